"""CF NetCDF and Zarr: real files against netCDF4 and pysteps, gauges for places, and by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import netCDF4
import numpy as np
import pyproj
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from nowcast.field.errors import FormatError, SchemaError, UnsafeFileError
from nowcast.field.grid import Grid
from nowcast.field.schema import Frames, as_radar, forecast_dataset, frames_dataset, grid_of
from nowcast.field.units import ZR
from nowcast.ingest.readers.cf import CfFile
from nowcast.ingest.readers.cf_rain import rain_unit
from nowcast.products.netcdf import NetCdf, write_frames
from nowcast.products.zarr_store import ZarrStore

BRISBANE = "radar/bom/66/2020/10/31/66_20201031_010000.prcp-c10.nc"
IMPROVER = "radar/improver/201811031530_radar_rainrate_composite_UK_regridded.nc"
RADOLAN = "radar/dwd/radolan_ry_data_compressed.nc"
JULY = "radar/openmrg/20150725/openmrg_rad.nc"
AUGUST = "radar/openmrg/20150827/openMRG_example_rad.nc"


def stored(path: Path, name: str) -> np.ndarray:
    with netCDF4.Dataset(path) as file:
        return np.asarray(np.ma.filled(file[name][:].astype(float), np.nan))


def rate_of(path: Path, **settings: Any) -> np.ndarray:
    rate: np.ndarray = CfFile(**settings).read(path)["rainfall_rate"].values
    return rate


def test_bom_as_pysteps_reads_it(shared_data: Path) -> None:
    from pysteps.io.importers import import_bom_rf3

    depth, _, metadata = import_bom_rf3(str(shared_data / BRISBANE))
    assert metadata["accutime"] == 10
    frames = CfFile().read(shared_data / BRISBANE)
    np.testing.assert_allclose(frames["rainfall_rate"].values[0], depth * 6, rtol=1e-5)
    assert frames["rainfall_rate"].max() == pytest.approx(19.5)
    # The end of the interval 00:50 to 01:00, as in the file's name.
    assert CfFile().times(shared_data / BRISBANE) == [np.datetime64("2020-10-31T01:00")]
    assert frames.attrs["licence"] == "http://www.bom.gov.au/other/copyright.shtml"
    grid = grid_of(frames)
    assert grid.extent == (-128_000, 128_000, -128_000, 128_000)
    # The radar at Mt Stapylton stands in the middle, and Brisbane 37 km to the northwest.
    assert grid.cell(lon=153.2405, lat=-27.7183) == (256, 256)
    row, column = grid.cell(lon=153.0251, lat=-27.4698) or (0, 0)
    assert np.hypot(row - 256, column - 256) * 0.5 == pytest.approx(34.8, abs=1)
    assert row < 256 > column


def test_bom_interpolates_below_zero(shared_data: Path) -> None:
    path = shared_data / BRISBANE.replace("010000", "004000")
    with netCDF4.Dataset(path) as file:
        file.set_auto_maskandscale(False)
        numbers = file["precipitation"][:]
    assert (numbers == -2).sum() == 1  # beside -1, which is the fill value, and 0
    frames = CfFile().read(path)
    np.testing.assert_array_equal(np.isnan(frames["rainfall_rate"].values[0]), numbers < 0)
    assert frames.attrs["impossible_cells"] == 1


def test_improver_is_in_metres_a_second(shared_data: Path) -> None:
    frames = CfFile().read(shared_data / IMPROVER)
    expected = stored(shared_data / IMPROVER, "lwe_precipitation_rate") * 3.6e6
    rows = frames["rainfall_rate"].values[0][::-1]  # the file starts in the south
    np.testing.assert_allclose(rows, expected, rtol=1e-5)
    # Cells that were never written hold the library's default, not 1e43 mm/h.
    assert np.isnan(rows).sum() == np.isnan(expected).sum() == 2
    assert frames["time"].values == [np.datetime64("2018-11-03T15:30")]
    grid = grid_of(frames)
    assert grid.shape == (200, 200)
    assert grid.lonlat_of(grid.north / 2000 - 0.5, -grid.west / 2000 - 0.5) == pytest.approx(
        (-2.5, 54.9)
    )


def test_radolan_without_units_or_projection(shared_data: Path) -> None:
    frames = CfFile().read(shared_data / RADOLAN)
    depth = stored(shared_data / RADOLAN, "RY")
    assert depth.shape == frames["rainfall_rate"].shape == (12, 900, 900)
    np.testing.assert_allclose(frames["rainfall_rate"].values[:, ::-1], depth * 12, rtol=1e-5)
    assert np.isnan(frames["rainfall_rate"]).sum() == np.isnan(depth).sum() == 2_173_105
    times = frames["time"].values
    assert (times[0], times[-1]) == (
        np.datetime64("2021-08-23T08:50"),
        np.datetime64("2021-08-23T09:45"),
    )
    longitude, latitude = (
        stored(shared_data / RADOLAN, name)[::-1] for name in ("longitude", "latitude")
    )
    grid = grid_of(frames)
    for cell in ((0, 0), (0, 899), (899, 0), (899, 899), (450, 450)):
        assert grid.lonlat_of(*cell) == pytest.approx((longitude[cell], latitude[cell]), abs=1e-5)


def gauge_correlation(shared_data: Path, radar: str, gauges: str, *, flip: bool) -> float:
    """Of rain at gauges in July 2015 and radar over them in the 5 minutes before."""
    frames = CfFile().read(shared_data / radar)
    grid, rate = grid_of(frames), frames["rainfall_rate"].values
    rate = rate[:, ::-1] if flip else rate
    with netCDF4.Dataset(shared_data / gauges) as file:
        depth = np.asarray(file["rainfall_amount"][:])
        places = list(zip(file["lon"][:], file["lat"][:], strict=True))
    depth = depth if depth.shape[0] != len(places) else depth.T
    if depth.shape[0] != rate.shape[0]:  # one a minute
        depth = np.stack(
            [depth[max(0, 5 * i - 4) : 5 * i + 1].sum(axis=0) for i in range(len(rate))]
        )
    cells = [grid.cell(lon=float(lon), lat=float(lat)) for lon, lat in places]
    over = np.stack([rate[:, row, column] for row, column in filter(None, cells)], axis=1)
    assert over.shape == depth.shape
    return float(np.corrcoef(over[:-1].ravel(), depth[1:].ravel())[0, 1])


@pytest.mark.parametrize(
    ("radar", "gauges"),
    [
        (JULY, "radar/openmrg/20150725/openmrg_municp_gauge.nc"),
        (AUGUST, "radar/openmrg/20150827/openMRG_city_gauges_20150827.nc"),
    ],
)
def test_radar_lies_over_the_gauges(shared_data: Path, radar: str, gauges: str) -> None:
    right = gauge_correlation(shared_data, radar, gauges, flip=False)
    wrong = gauge_correlation(shared_data, radar, gauges, flip=True)
    assert right > 0.5
    assert right > wrong + 0.1


def test_openmrg_by_numbers(shared_data: Path) -> None:
    august = CfFile().read(shared_data / AUGUST)
    np.testing.assert_allclose(
        august["rainfall_rate"].values, stored(shared_data / AUGUST, "R"), rtol=1e-6
    )
    grid = grid_of(august)
    longitude, latitude = (stored(shared_data / AUGUST, name) for name in ("lon", "lat"))
    for cell in ((0, 0), (47, 36), (20, 10)):
        assert grid.lonlat_of(*cell) == pytest.approx((longitude[cell], latitude[cell]), abs=1e-4)
    # The reflectivity beside it says the same, but for what integers of 0.001 mm/h leave out.
    by_dbz = rate_of(shared_data / AUGUST, variable="data")
    np.testing.assert_allclose(by_dbz, august["rainfall_rate"].values, rtol=1e-3, atol=6e-4)
    assert (by_dbz == 0).mean() > 0.2
    july = CfFile().read(shared_data / JULY)
    assert grid_of(july).same_as(grid)
    depth = stored(shared_data / JULY, "rainfall_amount")
    echo = depth > 4.1e-5  # -30 dBZ stands for no echo
    rate = july["rainfall_rate"].values[:, ::-1]
    np.testing.assert_allclose(rate[echo], 12 * depth[echo], rtol=1e-5)
    assert not rate[~echo].any()
    assert (~echo).mean() == pytest.approx(0.317, abs=1e-3)
    assert july.attrs["licence"] == "https://creativecommons.org/licenses/by-sa/4.0"


def test_gauges_are_no_radar(shared_data: Path) -> None:
    for path in sorted((shared_data / "radar/openmrg").glob("*/*gauge*.nc")):
        with pytest.raises(FormatError, match=r"holds rainfall_amount \(.*, expected a field of"):
            CfFile().read(path)


# By hand.

TIMES = np.array(["2020-03-01T00:00", "2020-03-01T00:05"], dtype="datetime64[ns]")
LAEA = pyproj.CRS("+proj=laea +lat_0=55 +lon_0=10 +x_0=1950000 +y_0=-2100000 +ellps=WGS84")
GRID = Grid(LAEA, west=1_900_000, north=-2_000_000, dx=1000, dy=2000, height=2, width=3)
RATE = np.array([[[0, 1, 2], [3, np.nan, 5]], [[6, 7, 8], [9, 10, 11]]], dtype=np.float32)
MAPPING = {
    "grid_mapping_name": "lambert_azimuthal_equal_area",
    "longitude_of_projection_origin": 10.0,
    "latitude_of_projection_origin": 55.0,
    "false_easting": 1950000.0,
    "false_northing": -2100000.0,
    "semi_major_axis": 6378137.0,
    "inverse_flattening": 298.257223563,
}


def cf(values: np.ndarray = RATE, **attrs: Any) -> xr.Dataset:
    """A little CF file: rain rate on GRID at TIMES."""
    described = {"units": "mm h-1", "standard_name": "rainfall_rate", "grid_mapping": "crs"} | attrs
    return xr.Dataset(
        {
            "rain": (("time", "y", "x"), values, {k: v for k, v in described.items() if v}),
            "crs": ((), 0, MAPPING),
        },
        coords={
            "time": ("time", TIMES, {"standard_name": "time"}),
            "y": ("y", GRID.y, {"standard_name": "projection_y_coordinate", "units": "m"}),
            "x": ("x", GRID.x, {"standard_name": "projection_x_coordinate", "units": "m"}),
        },
    )


def save(dataset: xr.Dataset, folder: Path, **options: Any) -> Path:
    path = folder / "a.nc"
    dataset.to_netcdf(path, **options)
    return path


def read(dataset: xr.Dataset, folder: Path, **settings: Any) -> Frames:
    return CfFile(**settings).read(save(dataset, folder))


def check(frames: Frames, expected: np.ndarray = RATE) -> None:
    np.testing.assert_allclose(frames["rainfall_rate"].values, expected, rtol=1e-6)
    grid = grid_of(frames)  # of the same place, if not of the same name
    np.testing.assert_allclose(grid.extent, GRID.extent, atol=0.1)
    np.testing.assert_allclose(grid.lonlat(), GRID.lonlat(), atol=1e-6)
    np.testing.assert_array_equal(frames["time"].values, TIMES)


@pytest.mark.parametrize("kind", ["NETCDF4", "NETCDF4_CLASSIC", "NETCDF3_64BIT", "NETCDF3_CLASSIC"])
def test_every_kind_of_netcdf(tmp_path: Path, kind: Any) -> None:
    path = save(cf(), tmp_path, format=kind)
    assert CfFile().matches(path)
    check(CfFile().read(path))
    np.testing.assert_array_equal(CfFile().times(path), TIMES)


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("consolidated", [True, False])
@pytest.mark.filterwarnings("ignore:Consolidated metadata is currently not part")
def test_every_kind_of_zarr(tmp_path: Path, version: Any, *, consolidated: bool) -> None:
    path = tmp_path / "a.zarr"
    cf().to_zarr(path, zarr_format=version, consolidated=consolidated)
    assert CfFile().matches(path)
    check(CfFile().read(path))


def test_south_and_east_first(tmp_path: Path) -> None:
    check(read(cf().isel(y=slice(None, None, -1)), tmp_path))
    check(read(cf().isel(x=slice(None, None, -1)), tmp_path))
    check(read(cf().transpose("x", "time", "y"), tmp_path))


def test_kilometres(tmp_path: Path) -> None:
    dataset = cf()
    for name in ("x", "y"):
        dataset[name] = (name, dataset[name].values / 1000, dataset[name].attrs | {"units": "km"})
    check(read(dataset, tmp_path))
    dataset["x"].attrs["units"] = "furlong"
    with pytest.raises(FormatError, match=r"coordinates in furlong and km, expected m, km or deg"):
        read(dataset, tmp_path)


@pytest.mark.parametrize(
    "stated",
    [
        {"crs_wkt": LAEA.to_wkt()},
        {"spatial_ref": LAEA.to_wkt("WKT1_GDAL")},
        {"proj4": LAEA.to_string()},
    ],
)
def test_the_projection_in_other_words(tmp_path: Path, stated: dict[str, str]) -> None:
    dataset = cf()
    dataset["crs"].attrs = stated
    check(read(dataset, tmp_path))
    dataset = cf(grid_mapping="").drop_vars("crs").assign_attrs(stated)
    check(read(dataset, tmp_path))


def test_a_grid_mapping_that_nobody_names(tmp_path: Path) -> None:
    check(read(cf(grid_mapping=""), tmp_path))
    check(read(cf(grid_mapping="crs: x y"), tmp_path))


def test_dimensions_known_by_their_attributes(tmp_path: Path) -> None:
    names = {"y": "nj", "x": "ni", "time": "nt"}
    dataset = cf().rename(names)
    check(read(dataset, tmp_path))
    for name, axis in (("nj", "Y"), ("ni", "X")):
        dataset[name].attrs = {"units": "m", "axis": axis}
    check(read(dataset, tmp_path))
    dataset["ni"].attrs = {}
    with pytest.raises(FormatError, match="expected a field of rain rate"):
        read(dataset, tmp_path)


@pytest.mark.parametrize(
    ("units", "factor"),
    [
        ("mm h-1", 1),
        ("mm/h", 1),
        ("mm hr^-1", 1),
        ("mm h**-1", 1),
        ("mm/hour", 1),
        ("mm.h-1", 1),
        ("kg m-2 s-1", 3600),
        ("kg/m2/s", 3600),
        ("kg m**-2 s**-1", 3600),
        ("m s-1", 3.6e6),
        ("m/s", 3.6e6),
        ("mm day-1", 1 / 24),
        ("cm h-1", 10),
        ("mm/5min", 12),
        ("mm s-1", 3600),
        ("l m-2 h-1", 1),
        ("mm", 12),
        ("kg m-2", 12),
        ("m", 12000),
    ],
)
def test_units(tmp_path: Path, units: str, factor: float) -> None:
    frames = read(cf(RATE / factor, units=units), tmp_path)
    np.testing.assert_allclose(frames["rainfall_rate"].values, RATE, rtol=1e-5)


@pytest.mark.parametrize(
    "units", ["", "1", "K", "m s-2", "mm h-1 h-1", "kg", "W m-2", "% of rain", "mm/h/h", "2 mm h-1"]
)
def test_units_of_other_things(units: str) -> None:
    assert rain_unit(units) is None


def test_reflectivity(tmp_path: Path) -> None:
    dbz = np.where(
        RATE > 0, ZR().dbz(np.where(RATE > 0, RATE, 1)), np.where(RATE == 0, -np.inf, np.nan)
    )
    attrs = {"units": "dBZ", "standard_name": "equivalent_reflectivity_factor"}
    frames = read(cf(dbz, **attrs), tmp_path)
    np.testing.assert_allclose(frames["rainfall_rate"].values, RATE, rtol=1e-5)
    assert (frames.attrs["zr_a"], frames.attrs["zr_b"]) == (200, 1.6)
    other = read(cf(dbz, **attrs), tmp_path, zr=ZR(223, 1.53))
    assert other["rainfall_rate"].values[0, 0, 2] == ZR(223, 1.53).rate_mm_h(dbz[0, 0, 2])


def test_the_interval_of_an_accumulation(tmp_path: Path) -> None:
    amount = {"units": "kg m-2", "standard_name": "precipitation_amount"}
    # By even steps of 5 min; by a cell method; by bounds; by a start time; by the setting.
    check(read(cf(RATE / 12, **amount), tmp_path))
    method = cf(RATE / 6, **amount, cell_methods="time: sum (interval: 10 min) area: mean")
    check(read(method, tmp_path))
    bounds = cf(RATE / 4, **amount)
    bounds["time"] = bounds["time"] - np.timedelta64(7, "m")
    bounds["time"].attrs = {"standard_name": "time", "bounds": "edges"}
    bounds["time"].encoding = {"units": "minutes since 2020-01-01"}
    quarter = np.timedelta64(15, "m")
    bounds["edges"] = (("time", "bnds"), np.stack([TIMES - quarter, TIMES], axis=1))
    check(read(bounds, tmp_path))  # valid at the end of the interval
    start = cf(RATE / 2, **amount)
    start["start_time"] = ("time", TIMES - np.timedelta64(30, "m"))
    check(read(start, tmp_path))
    for dataset in (method, bounds, start):
        with pytest.raises(AssertionError):
            check(read(dataset, tmp_path, accumulation_minutes=60))
    check(read(cf(RATE, **amount), tmp_path, accumulation_minutes=60))
    with pytest.raises(
        FormatError, match=r"over an unknown interval, .*: set accumulation_minutes"
    ):
        read(cf(RATE, **amount).isel(time=[0]), tmp_path)


def test_bounds_do_not_move_a_rate(tmp_path: Path) -> None:
    dataset = cf()
    dataset["time"].attrs["bounds"] = "edges"
    dataset["time"].encoding = {"units": "minutes since 2020-01-01"}
    dataset["edges"] = (("time", "bnds"), np.stack([TIMES, TIMES + np.timedelta64(5, "m")], axis=1))
    check(read(dataset, tmp_path))


def test_one_time_and_the_name_of_the_file(tmp_path: Path) -> None:
    path = save(cf().isel(time=1), tmp_path)
    assert CfFile().times(path) == [TIMES[1]]
    np.testing.assert_array_equal(rate_of(path), RATE[1:])
    stamp = np.datetime64("2020-03-01T00:10", "ns")
    assert CfFile().read(path, stamp=stamp)["time"].values == [stamp]
    path = save(cf().isel(time=1, drop=True), tmp_path)
    assert CfFile().times(path).size == 0
    assert CfFile().read(path, stamp=stamp)["time"].values == [stamp]
    with pytest.raises(FormatError, match=r"a\.nc: holds no time"):
        CfFile().read(path)
    # Two frames: the name gives one time, and the file's own count.
    np.testing.assert_array_equal(CfFile().read(save(cf(), tmp_path), stamp=stamp)["time"], TIMES)


@pytest.mark.parametrize(
    ("values", "units", "calendar"),
    [
        ([0, 5], "minutes since 2020-03-01", "standard"),
        ([0.0, 5 / 1440], "days since 2020-03-01 00:00:00 UTC", "gregorian"),
        ([3600, 3900], "seconds since 2020-03-01 00:00:00 +01:00", "proleptic_gregorian"),
        ([18322 * 86400, 18322 * 86400 + 300], "seconds since 1970-01-01", None),
    ],
)
def test_ways_to_write_a_time(
    tmp_path: Path, values: list[float], units: str, calendar: str | None
) -> None:
    dataset = cf().drop_vars("time")
    attrs = {"units": units} | ({"calendar": calendar} if calendar else {})
    check(read(dataset.assign_coords(time=("time", np.array(values), attrs)), tmp_path))


@pytest.mark.parametrize(
    ("values", "attrs", "message"),
    [
        ([0, 5], {"units": "minutes since yesterday"}, "times in .*yesterday.* cannot be read"),
        ([0, 5], {"units": "minutes since 2020-03-01", "calendar": "360_day"}, "no radar has"),
        ([0, np.nan], {"units": "minutes since 2020-03-01"}, "some of them missing"),
        ([5, 5], {"units": "minutes since 2020-03-01"}, "times are not strictly ascending"),
    ],
)
def test_times_that_are_none(
    tmp_path: Path, values: list[float], attrs: dict[str, str], message: str
) -> None:
    dataset = cf().drop_vars("time")
    dataset = dataset.assign_coords(time=("time", np.array(values), attrs))
    with pytest.raises(FormatError, match=rf"a\.nc: .*{message}"):
        read(dataset, tmp_path)


def test_latitude_and_longitude(tmp_path: Path) -> None:
    for lon in (np.array([4.0, 4.01, 4.02]), np.array([354.0, 354.01, 354.02])):
        dataset = xr.Dataset(
            {"rr": (("time", "lat", "lon"), RATE, {"units": "mm h-1"})},
            coords={
                "time": TIMES,
                "lat": ("lat", np.array([51.98, 52.0]), {"units": "degrees_north"}),
                "lon": ("lon", lon, {"units": "degrees_east"}),
            },
        )
        frames = read(dataset, tmp_path)
        np.testing.assert_array_equal(frames["rainfall_rate"].values, RATE[:, ::-1])
        grid = grid_of(frames)
        assert grid.is_geographic
        west = (lon[0] + 180) % 360 - 180
        np.testing.assert_allclose(grid.extent, (west - 0.005, west + 0.025, 51.97, 52.01))


def with_places(grid: Grid, *, stem: tuple[str, str] = ("lat", "lon")) -> xr.Dataset:
    """Rain known by 2-D latitude and longitude alone."""
    lon, lat = (place.astype(np.float32) for place in grid.lonlat())
    rate = np.arange(lon.size, dtype=np.float32).reshape(1, *lon.shape)
    return xr.Dataset(
        {
            "rain": (("time", "j", "i"), rate, {"units": "mm h-1"}),
            stem[0]: (("j", "i"), lat, {"units": "degrees_north"}),
            stem[1]: (("j", "i"), lon, {"units": "degrees_east"}),
        },
        coords={"time": TIMES[:1]},
    )


@pytest.mark.parametrize(
    ("crs", "lon", "lat"),
    [
        ("EPSG:4326", 5, 50),
        ("EPSG:3067", 24, 61),
        ("+proj=stere +lat_0=90 +lat_ts=60 +lon_0=10 +R=6370040", 9, 51),
        ("+proj=stere +lat_0=90 +lat_ts=60 +lon_0=23.5 +ellps=WGS84", 15, 62),
        ("+proj=stere +lat_0=-90 +lat_ts=-60 +lon_0=140 +ellps=WGS84", 150, -45),
        ("+proj=tmerc +lat_0=40 +lon_0=-100 +ellps=WGS84", -100, 40),
        ("+proj=aeqd +lat_0=-33 +lon_0=151 +ellps=WGS84", 151, -33),
    ],
)
def test_places_alone(tmp_path: Path, crs: str, lon: float, lat: float) -> None:
    projection = pyproj.CRS(crs)
    x, y = pyproj.Transformer.from_crs(4326, projection, always_xy=True).transform(lon, lat)
    size = 1000.0 if projection.is_projected else 0.01
    grid = Grid(projection, x - 40 * size, y + 30 * size, size, size, height=61, width=81)
    frames = read(with_places(grid), tmp_path)
    found = grid_of(frames)
    for cell in ((0, 0), (0, 80), (60, 0), (60, 80), (30, 40)):
        place = found.cell(lon=grid.lonlat_of(*cell)[0], lat=grid.lonlat_of(*cell)[1])
        assert place == cell
        x, y = found._from_lonlat.transform(*grid.lonlat_of(*cell))
        assert x == pytest.approx(found.x[cell[1]], abs=0.03 * found.dx)
        assert y == pytest.approx(found.y[cell[0]], abs=0.03 * found.dy)


def test_places_that_no_projection_explains(tmp_path: Path) -> None:
    dataset = with_places(GRID)
    dataset["lon"].values[0, 0] += 0.01
    with pytest.raises(FormatError, match=r"evenly spaced in no projection tried .* off at best"):
        read(dataset, tmp_path)


def test_coordinates_without_projection_or_unit(tmp_path: Path) -> None:
    dataset = with_places(GRID).rename(j="y", i="x")
    dataset = dataset.assign_coords(
        y=("y", (GRID.y + 2_100_000) / 1000), x=("x", (GRID.x - 1_950_000) / 1000)
    )
    found = grid_of(read(dataset, tmp_path))
    np.testing.assert_allclose(found.lonlat(), GRID.lonlat(), atol=1e-5)
    operation = found.crs.coordinate_operation
    assert operation is not None
    assert operation.method_name == "Lambert Azimuthal Equal Area"
    dataset = dataset.drop_vars(["lat", "lon"])
    with pytest.raises(FormatError, match="no projection of y and x, expected a grid mapping"):
        read(dataset, tmp_path)


def test_places_that_contradict(tmp_path: Path) -> None:
    lon, lat = GRID.lonlat()
    dataset = cf().assign_coords(lat=(("y", "x"), lat), lon=(("y", "x"), lon))
    check(read(dataset, tmp_path))
    dataset["lat"].values[:] = lat[::-1]
    with pytest.raises(FormatError, match=r"y and x lie up to 1\.\d cells off the 2-D latitudes"):
        read(dataset, tmp_path)


def test_which_variable(tmp_path: Path) -> None:
    dataset = cf()
    dataset["other"] = dataset["rain"].assign_attrs(standard_name="precipitation_flux") + 1
    dataset["other"].attrs = {"units": "mm h-1", "grid_mapping": "crs"}
    check(read(dataset, tmp_path))  # a standard name counts for more than units
    dataset["rain"].attrs.pop("standard_name")
    with pytest.raises(
        FormatError, match=r"a\.nc: rain in rain, other: say which with the option v"
    ):
        read(dataset, tmp_path)
    check(read(dataset, tmp_path, variable="other"), RATE + 1)
    with pytest.raises(FormatError, match=r"no variable gone, expected one of rain \(time x y x x"):
        read(dataset, tmp_path, variable="gone")
    with pytest.raises(FormatError, match=r"variable crs \(a scalar, no units\), expected a field"):
        read(dataset, tmp_path, variable="crs")
    unnamed = cf(units="")
    with pytest.raises(
        FormatError, match=r"holds rain \(time x y x x, no units\), crs .*, expected a fi"
    ):
        read(unnamed, tmp_path)
    check(read(unnamed, tmp_path, units="mm/h"))


def test_a_grid_too_small_to_have_a_spacing(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"a\.nc: rain of 1 x 3 cells, expected at least 2 x 2"):
        read(cf().isel(y=[0]), tmp_path)
    uneven = cf().assign_coords(x=[0.0, 1.0, 3.0])
    uneven["x"].attrs = {"units": "m", "axis": "X"}
    with pytest.raises(FormatError, match=r"a\.nc: coordinate x is not evenly spaced"):
        read(uneven, tmp_path)


def test_what_is_no_rain(tmp_path: Path) -> None:
    wind = cf(units="m s-1", standard_name="eastward_wind")
    with pytest.raises(FormatError, match="expected a field of rain rate"):
        read(wind, tmp_path)
    wind["rain"].attrs = {"units": "m s-1", "grid_mapping": "crs"}
    check(read(wind, tmp_path), RATE * np.float32(3.6e6))  # it is called rain
    with pytest.raises(FormatError, match="expected a field of rain rate"):
        read(wind.rename(rain="u10"), tmp_path)
    ensemble = cf().expand_dims(realization=2)
    with pytest.raises(FormatError, match=r"realization x time x y x x, .*\), expected a field"):
        read(ensemble, tmp_path)


def test_packed_values_and_those_that_are_none(tmp_path: Path) -> None:
    packed = {"dtype": "i2", "scale_factor": 0.01, "add_offset": 1.0, "_FillValue": -1}
    path = save(cf(), tmp_path, encoding={"rain": packed})
    np.testing.assert_allclose(rate_of(path), RATE, atol=0.005)
    assert np.isnan(rate_of(path)).sum() == 1
    unwritten = tmp_path / "b.nc"
    with netCDF4.Dataset(unwritten, "w") as file:
        file.createDimension("lat", 2)
        file.createDimension("lon", 3)
        for name, values in (("lat", [52, 51]), ("lon", [4, 5, 6])):
            file.createVariable(name, "f8", (name,))[:] = values
            file[name].units = {"lat": "degrees_north", "lon": "degrees_east"}[name]
        for name, kind in (("rain", "f4"), ("packed", "i2")):
            rain = file.createVariable(name, kind, ("lat", "lon"))
            rain.units = "mm h-1"
            if name == "packed":
                rain.scale_factor = 0.5
            rain[0] = [0, 1, 2]
    stamp = TIMES[0]
    for name in ("rain", "packed"):
        frames = CfFile(variable=name).read(unwritten, stamp=stamp)
        np.testing.assert_array_equal(frames["rainfall_rate"].values[0], [[0, 1, 2], [np.nan] * 3])
    for attrs in ({"valid_range": [0.0, 9.0]}, {"valid_min": 0.0, "valid_max": 9.0}):
        np.testing.assert_array_equal(
            rate_of(save(cf(**attrs), tmp_path)), np.where(RATE <= 9, RATE, np.nan)
        )


def test_numbers_that_mean_something_unsaid(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="1 of 11 cells hold impossible rates, -3 mm/h"):
        read(cf(np.where(RATE == 3, -3, RATE)), tmp_path)
    with pytest.raises(FormatError, match="1 of 11 cells hold impossible rates, infinite mm/h"):
        read(cf(np.where(RATE == 3, np.inf, RATE)), tmp_path)
    rate = read(cf(np.where(RATE == 3, -1e-7, RATE)), tmp_path)["rainfall_rate"].values
    assert rate[0, 1, 0] == 0  # rounding
    # One stray cell in a hundred is no reason to lose a frame: it is unseen, and counted.
    many = np.zeros((2, 50, 50), dtype=np.float32)
    many[0, 0, :3] = -0.6, np.inf, -1e-4
    dataset = cf().isel(x=[0], y=[0]).drop_vars(["rain", "x", "y"])
    for name in ("y", "x"):
        attrs = {"units": "m", "axis": name.upper()}
        dataset = dataset.assign_coords({name: (name, 1000.0 * np.arange(50), attrs)})
    dataset["rain"] = (("time", "y", "x"), many, {"units": "mm h-1"})
    frames = read(dataset, tmp_path)
    np.testing.assert_array_equal(frames["rainfall_rate"].values[0, -1, :4], [np.nan, np.nan, 0, 0])
    assert frames.attrs["impossible_cells"] == 2


@pytest.mark.parametrize("geographic", [False, True])
@pytest.mark.filterwarnings("ignore:Consolidated metadata is currently not part")
def test_what_we_write_ourselves(tmp_path: Path, *, geographic: bool) -> None:
    grid = GRID if not geographic else Grid(pyproj.CRS(4326), 4.0, 52.0, 0.01, 0.02, 2, 3)
    frames = frames_dataset(RATE, times=TIMES, grid=grid, attrs={"institution": "us"})
    found = CfFile().read(write_frames(frames, tmp_path / "frames.nc"))
    xr.testing.assert_allclose(found["rainfall_rate"], frames["rainfall_rate"])
    assert grid_of(found).same_as(grid)
    assert found.attrs["institution"] == "us"
    members = np.stack([RATE, RATE + 1])
    extra = {"rainfall_rate_member": (("realization", "lead_time", "y", "x"), members)}
    forecast = forecast_dataset(
        RATE, past=as_radar(frames), source="test", extra=extra, coords={"realization": [0, 1]}
    )
    for product in (NetCdf(), ZarrStore()):
        found = CfFile().read(product.write(forecast, into=tmp_path))
        np.testing.assert_array_equal(found["rainfall_rate"].values, RATE)
        np.testing.assert_array_equal(found["time"].values, forecast["time"].values)
        assert grid_of(found).same_as(grid)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.nc", b"", r"a\.nc: empty, expected NetCDF or a folder of Zarr"),
        ("a.nc", b"time,rain\n", r"a\.nc: starts with b'time,rain\\n', expected NetCDF"),
        ("a.nc", b"CDF\x01\0\0\0\1", r"a\.nc: truncated or damaged NetCDF of 8 bytes"),
        ("a.nc", b"\x89HDF\r\n\x1a\n", r"a\.nc: truncated or damaged HDF5 of 8 bytes"),
        ("a.zarr/other.txt", b"", r"a\.zarr: a folder without Zarr metadata"),
        ("a.zarr/zarr.json", b"{", r"zarr\.json: damaged .*, expected JSON"),
        ("a.zarr/zarr.json", b"[]", r"a\.zarr: truncated or damaged"),
    ],
)
def test_files_of_other_kinds(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    opened = path if name == "a.nc" else path.parent
    with pytest.raises(FormatError, match=message):
        CfFile().read(opened)
    with pytest.raises(FormatError, match="cannot be opened"):
        CfFile().times(tmp_path / "gone.nc")
    assert not CfFile().matches(tmp_path / "gone.nc")


def test_other_hdf5_is_not_ours(shared_data: Path) -> None:
    for name in (
        "radar/knmi/RAD_NL25_PCP_CM_202106222000.h5",
        "radar/odim/belgium.comp.hdf",
    ):
        assert not CfFile().matches(shared_data / name)
    assert CfFile().matches(shared_data / BRISBANE)
    assert not CfFile().matches(shared_data / "radar/dwd/composite_rv_20250923_0855.tar")


@pytest.fixture(scope="module")
def wholes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("wholes")
    kinds: tuple[Any, ...] = ("NETCDF4", "NETCDF3_64BIT")
    return {kind: save(cf(), folder, format=kind).read_bytes() for kind in kinds}


@given(st.data())
def test_truncated_anywhere(
    wholes: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    whole = data.draw(st.sampled_from(sorted(wholes.values())))
    path = tmp_path_factory.getbasetemp() / "cut.nc"
    path.write_bytes(whole[: data.draw(st.integers(0, len(whole) - 8))])
    with pytest.raises(FormatError, match=r"cut\.nc: "):
        CfFile().read(path)


def test_a_file_that_leads_elsewhere(tmp_path: Path) -> None:
    import h5py

    path = save(cf(), tmp_path)
    with h5py.File(path, "a") as file:
        file["more"] = h5py.ExternalLink("/etc/passwd", "data")
    with pytest.raises(UnsafeFileError, match="/more is a link to another file"):
        CfFile().read(path)
    with h5py.File(path, "a") as file:
        del file["more"]
        file.create_dataset("more", (60_000, 60_000), "f8", chunks=(1000, 1000))
    with pytest.raises(UnsafeFileError, match="/more declares 28800000000 bytes"):
        CfFile().read(path)


def test_a_zarr_that_means_harm(tmp_path: Path) -> None:
    path = tmp_path / "a.zarr"
    cf().to_zarr(path, zarr_format=2, consolidated=False)
    array = json.loads((path / "rain/.zarray").read_text())
    for change, message in (
        ({"filters": [{"id": "pickle"}]}, "stored with codec pickle"),
        ({"compressor": {"id": "evil.pickle"}}, r"stored with codec evil\.pickle"),
        ({"shape": [60_000, 60_000, 2]}, "declares 28800000000 bytes"),
    ):
        (path / "rain/.zarray").write_text(json.dumps(array | change))
        with pytest.raises(UnsafeFileError, match=message):
            CfFile().read(path)
    (path / "rain/.zarray").write_text(json.dumps(array))
    check(CfFile().read(path))
    (path / "rain/0.0.0").unlink()
    (path / "rain/0.0.0").symlink_to("/etc/passwd")
    with pytest.raises(UnsafeFileError, match=r"rain/0\.0\.0 is a link"):
        CfFile().read(path)


def test_codecs_inside_shards(tmp_path: Path) -> None:
    inner = {"name": "numcodecs.pickle"}
    shard = {"name": "sharding_indexed", "configuration": {"codecs": [inner]}}
    array = {"shape": [1], "data_type": "float32", "codecs": [shard], "node_type": "array"}
    group = {"node_type": "group", "consolidated_metadata": {"metadata": {"rain": array}}}
    path = tmp_path / "a.zarr"
    path.mkdir()
    (path / "zarr.json").write_text(json.dumps(group))
    with pytest.raises(UnsafeFileError, match=r"stored with codec numcodecs\.pickle"):
        CfFile().read(path)


@pytest.mark.parametrize("codec", ["blosc", "zstd", "gzip", "zlib", "lz4", "none"])
def test_a_chunk_cut_short(tmp_path: Path, codec: str) -> None:
    import numcodecs  # type: ignore[import-untyped]

    path = tmp_path / "a.zarr"
    compressor = None if codec == "none" else numcodecs.get_codec({"id": codec})
    encoding = {"rain": {"compressors": compressor}}
    cf().to_zarr(path, zarr_format=2, consolidated=False, encoding=encoding)
    check(CfFile().read(path))
    chunk = path / "rain/0.0.0"
    chunk.write_bytes(chunk.read_bytes()[:20])
    with pytest.raises(
        FormatError, match=r"a\.zarr(: truncated or damaged|/rain/0.0.0: cut short)"
    ):
        CfFile().read(path)


def test_a_chunk_that_would_unpack_to_more_than_blosc_can(tmp_path: Path) -> None:
    """Blosc takes the size for a negative one and Python stops it: mutant 301751 of the fuzz."""
    import numcodecs

    path = tmp_path / "a.zarr"
    encoding = {"rain": {"compressors": numcodecs.Blosc()}}
    cf().to_zarr(path, zarr_format=2, consolidated=False, encoding=encoding)
    chunk = path / "rain/0.0.0"
    whole = chunk.read_bytes()
    chunk.write_bytes(whole[:4] + b"\xff\xff\xff\xff" + whole[8:])
    with pytest.raises(FormatError, match=r"damaged, unpacks to 4294967295 bytes, expected fewer"):
        CfFile().read(path)


def test_dimensions_that_are_no_references_are_refused(tmp_path: Path, shared_data: Path) -> None:
    """The netCDF library aborts the process on them: mutant 214 of the fuzz."""
    path = tmp_path / "dimensions.nc"
    path.write_bytes((shared_data / IMPROVER).read_bytes())
    with h5py.File(path, "r+") as file:
        file["lwe_precipitation_rate"].attrs["DIMENSION_LIST"] = np.zeros(10)
    with pytest.raises(FormatError, match="dimensions of lwe_precipitation_rate are float64"):
        CfFile().read(path)


def test_a_projection_that_cannot_be_written_is_refused() -> None:
    """As PROJ made one of damaged axes: mutant 1043 of the fuzz."""
    attrs = {"crs_wkt": 'PROJCRS["unnamed",CS[Cartesian,2]]'}
    dataset = xr.Dataset({"crs": ((), 0, attrs)}, coords={"y": [1.0, 0.0], "x": [0.0, 1.0]})
    with pytest.raises(SchemaError, match="variable crs holds no projection"):
        grid_of(dataset)
