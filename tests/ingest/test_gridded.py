"""Weather and traffic on grids: real files, the authors' layouts, and regridding by law."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyproj
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from nowcast.field.errors import FormatError, SchemaError, UnsafeFileError
from nowcast.field.grid import WGS84, Grid
from nowcast.field.schema import grid_coordinates, grid_of
from nowcast.ingest.gridded import regrid
from nowcast.ingest.gridded_traffic import matches as is_traffic
from nowcast.ingest.gridded_traffic import open_traffic
from nowcast.ingest.gridded_weather import matches as is_weather
from nowcast.ingest.gridded_weather import open_weather

ERA5 = "weather/era5/era5-2mt-2019-03-uk.grib"
MEMBERS = "weather/era5/era5-levels-members.grib"
WIND = "weather/meteonet_wind"
TAXI = "traffic/nyc_taxi_bike/data/volume_test.npz"
BIKES = "traffic/bikenyc/data/NYCBike1"

COARSE = Grid(crs=WGS84, west=-11, north=61, dx=1, dy=0.5, height=24, width=20)
FINE = Grid(
    crs=pyproj.CRS.from_epsg(27700), west=0, north=900e3, dx=2e4, dy=1e4, height=80, width=33
)


def on_grid(values: Any, grid: Grid = COARSE) -> xr.Dataset:
    """A Dataset of one field (time, y, x) or (y, x)."""
    dims = ("time", "y", "x")[-np.ndim(values) :]
    return xr.Dataset(
        {"field": (dims, values, {"units": "K"})}, coords=grid_coordinates(grid), attrs={"a": 1}
    )


@pytest.fixture(scope="module")
def era5(shared_data: Path) -> xr.Dataset:
    return open_weather(shared_data / ERA5)


@pytest.fixture(scope="module")
def members(shared_data: Path) -> xr.Dataset:
    return open_weather(shared_data / MEMBERS)


# --- weather


def test_era5_has_the_values_of_eccodes(shared_data: Path, era5: xr.Dataset) -> None:
    import eccodes

    weather = era5
    with (shared_data / ERA5).open("rb") as file:
        handle = eccodes.codes_grib_new_from_file(file)
        first = eccodes.codes_get_values(handle).reshape(33, 49)
        assert eccodes.codes_get(handle, "latitudeOfFirstGridPointInDegrees") == 58
        eccodes.codes_release(handle)
    temperature = weather["t2m"]
    assert temperature.dims == ("time", "y", "x")
    assert temperature.shape == (744, 33, 49)
    assert temperature.attrs["units"] == "K"
    assert temperature.attrs["long_name"] == "2 metre temperature"
    np.testing.assert_allclose(temperature.values[0], first, rtol=1e-6)
    assert weather["time"].values[0] == np.datetime64("2019-03-01T00:00")
    assert weather["time"].values[-1] == np.datetime64("2019-03-31T23:00")
    grid = grid_of(weather)
    assert grid.extent == pytest.approx((-10.125, 2.125, 49.875, 58.125))
    assert 260 < temperature.values.min() < temperature.values.max() < 300


def test_no_index_is_written_beside_the_file(shared_data: Path, tmp_path: Path) -> None:
    path = tmp_path / "copy.grib"
    path.write_bytes((shared_data / MEMBERS).read_bytes())
    open_weather(path)
    assert list(tmp_path.iterdir()) == [path]


def test_members_and_levels_come_after_time(shared_data: Path, members: xr.Dataset) -> None:
    weather = members
    assert weather["z"].dims == ("time", "realization", "pressure", "y", "x")
    assert weather["z"].shape == (4, 10, 2, 61, 120)
    assert weather["z"].attrs["units"] == "m2 s-2"
    # From the whole globe at 0 to 357 degrees to -180 to 177, the Greenwich meridian in the middle.
    assert list(weather["x"].values[[0, 60, 119]]) == [-180, 0, 177]
    assert (np.diff(weather["y"].values) < 0).all()
    # Colder and higher up where the pressure is less; z at 500 hPa is about 5.5 km.
    height_m = weather["z"].mean(["time", "realization", "y", "x"]) / 9.81
    assert height_m.sel(pressure=500) == pytest.approx(5500, abs=300)
    assert height_m.sel(pressure=850) == pytest.approx(1450, abs=150)
    # Warm in the tropics, whatever the longitude: the roll moved coordinates and values alike.
    raw = xr.open_dataset(
        shared_data / MEMBERS,
        engine="cfgrib",
        backend_kwargs={"indexpath": ""},
        decode_timedelta=False,
    )
    theirs = raw["t"].sel(number=3, isobaricInhPa=850, latitude=48, longitude=9)
    ours = weather["t"].sel(realization=3, pressure=850, y=48, x=9)
    np.testing.assert_array_equal(ours.values, theirs.values)


def grib(folder: Path, messages: list[dict[str, Any]]) -> Path:
    """GRIB2 messages on 3x4 cells of 1 degree from 47 N 5 E, each filled with its ``value``."""
    import eccodes

    path = folder / "forecast.grib2"
    with path.open("wb") as file:
        for keys in messages:
            handle = eccodes.codes_grib_new_from_samples("regular_ll_sfc_grib2")
            grid = {"Ni": 4, "Nj": 3, "latitudeOfFirstGridPointInDegrees": 47}
            grid |= {
                "latitudeOfLastGridPointInDegrees": 45,
                "longitudeOfFirstGridPointInDegrees": 5,
            }
            grid |= {"longitudeOfLastGridPointInDegrees": 8, "iDirectionIncrementInDegrees": 1}
            grid |= {"jDirectionIncrementInDegrees": 1, "dataDate": 20200101, "dataTime": 600}
            value = keys["value"]
            for key, setting in (grid | keys).items():
                if key != "value":
                    eccodes.codes_set(handle, key, setting)
            eccodes.codes_set_values(handle, np.full(12, float(value)))
            eccodes.codes_write(handle, file)
            eccodes.codes_release(handle)
    return path


def test_the_steps_of_one_run_become_valid_times(tmp_path: Path) -> None:
    messages = [
        {"shortName": name, "stepRange": step, "value": value + step}
        for name, value in (("2t", 280), ("10u", 5))
        for step in (1, 2, 3)
    ]
    weather = open_weather(grib(tmp_path, messages))
    assert set(weather.data_vars) == {"t2m", "u10"}
    assert weather["t2m"].dims == weather["u10"].dims == ("time", "y", "x")
    hours = [f"2020-01-01T0{hour}:00" for hour in (7, 8, 9)]
    np.testing.assert_array_equal(weather["time"], np.array(hours, dtype="datetime64[ns]"))
    np.testing.assert_allclose(weather["t2m"][:, 0, 0], [281, 282, 283], rtol=1e-6)
    np.testing.assert_allclose(weather["u10"][:, 2, 3], [6, 7, 8], rtol=1e-6)
    assert weather["forecast_reference_time"].values == np.datetime64("2020-01-01T06:00")
    assert weather["u10"].attrs["level"] == "heightAboveGround 10"
    assert grid_of(weather).extent == (4.5, 8.5, 44.5, 47.5)


def test_the_steps_of_several_runs_stay_apart(tmp_path: Path) -> None:
    messages = [
        {"shortName": "2t", "dataTime": 100 * run, "stepRange": step, "value": 10 * run + step}
        for run in (0, 6)
        for step in (1, 2)
    ]
    weather = open_weather(grib(tmp_path, messages))
    assert weather["t2m"].dims == ("forecast_reference_time", "lead_time", "y", "x")
    np.testing.assert_allclose(weather["t2m"][:, :, 1, 1], [[1, 2], [61, 62]], rtol=1e-6)
    assert weather["lead_time"].values[1] == np.timedelta64(2, "h")
    assert weather["forecast_reference_time"].values[1] == np.datetime64("2020-01-01T06:00")


def test_one_message_has_a_time_too(tmp_path: Path) -> None:
    weather = open_weather(grib(tmp_path, [{"shortName": "2t", "stepRange": 0, "value": 280}]))
    assert weather["t2m"].dims == ("time", "y", "x")
    assert list(weather["time"].values) == [np.datetime64("2020-01-01T06:00")]


def test_fields_of_one_name_are_told_apart_by_their_level(tmp_path: Path) -> None:
    messages = [
        {"shortName": "t", "typeOfLevel": "isobaricInhPa", "level": 850, "value": 270},
        {"shortName": "t", "typeOfLevel": "isobaricInhPa", "level": 500, "value": 250},
        {"shortName": "t", "typeOfLevel": "surface", "value": 280},
    ]
    weather = open_weather(grib(tmp_path, messages))
    levels = weather["t_isobaricInhPa"]
    assert levels.dims == ("time", "pressure", "y", "x")
    assert levels.sel(pressure=500).values == pytest.approx(250)
    assert weather["t_surface_0"].values == pytest.approx(280)


def test_other_grids_are_refused(tmp_path: Path) -> None:
    path = grib(tmp_path, [{"shortName": "2t", "value": 280}])
    path.write_bytes(
        path.read_bytes() + grib(tmp_path, [{"shortName": "10u", "Ni": 5, "value": 1}]).read_bytes()
    )
    with pytest.raises(FormatError, match=r"forecast\.grib2: cannot be read"):
        open_weather(path)


def netcdf(folder: Path, **changes: Any) -> Path:
    """Wind on a Lambert grid in km, south first, with a missing value, as services write it."""
    lambert = {"grid_mapping_name": "lambert_conformal_conic", "standard_parallel": 63.3}
    lambert |= {"longitude_of_central_meridian": 15.0, "latitude_of_projection_origin": 63.3}
    lambert |= {"earth_radius": 6_371_000.0}
    wind = np.arange(2 * 3 * 4, dtype=np.float32).reshape(2, 3, 4)
    wind[0, 0, 0] = np.nan
    file = xr.Dataset(
        {
            "u": (
                ("time", "y", "x"),
                wind,
                {"units": "m s-1", "standard_name": "eastward_wind", "grid_mapping": "projection"},
            ),
            "projection": ((), 0, lambert),
            "station": (("station",), np.arange(2)),
        },
        coords={
            "time": np.array(["2020-01-01T00:00", "2020-01-01T01:00"], dtype="datetime64[ns]"),
            "y": ("y", [-25.0, 0.0, 25.0], {"standard_name": "projection_y_coordinate"}),
            "x": ("x", [0.0, 2.5, 5.0, 7.5], {"standard_name": "projection_x_coordinate"}),
        },
    )
    for axis in "yx":
        file[axis].attrs["units"] = "km"
    path = folder / "wind.nc"
    file.assign_coords(changes).to_netcdf(path)
    return path


def test_netcdf_on_a_projection_in_km(tmp_path: Path) -> None:
    weather = open_weather(netcdf(tmp_path))
    assert list(weather.data_vars) == ["u"]
    assert list(weather["y"].values) == [25_000, 0, -25_000]
    assert list(weather["x"].values) == [0, 2500, 5000, 7500]
    assert np.isnan(weather["u"].values[0, 2, 0])
    assert weather["u"].values[1, 0, 3] == 23
    assert weather["u"].attrs["standard_name"] == "eastward_wind"
    # Where the projection begins: 63.3 N 15 E.
    grid = grid_of(weather)
    assert grid.lonlat_of(1, 0) == pytest.approx((15, 63.3), abs=1e-6)
    assert weather["time"].values[1] == np.datetime64("2020-01-01T01:00")


def test_netcdf_on_latitude_and_longitude(era5: xr.Dataset, tmp_path: Path) -> None:
    # As the Climate Data Store writes ERA5: valid_time, latitude, longitude, nothing more.
    weather = era5.isel(time=slice(0, 3)).copy(deep=True)
    path = tmp_path / "era5.nc"
    stored = weather.drop_vars("crs").rename(time="valid_time", y="latitude", x="longitude")
    for name in stored.variables:
        stored[name].attrs.pop("grid_mapping", None)
    stored.to_netcdf(path)
    assert is_weather(path)
    xr.testing.assert_equal(open_weather(path), weather)


def test_a_grid_that_is_not_rectangular_is_refused(tmp_path: Path) -> None:
    path = netcdf(tmp_path, x=("x", [0.0, 1.0, 5.0, 6.0], {"units": "km", "axis": "X"}))
    with pytest.raises(FormatError, match=r"wind\.nc: .*x is not evenly spaced"):
        open_weather(path)
    xr.Dataset({"t": (("cell",), np.zeros(3))}, coords={"cell": [1, 2, 3]}).to_netcdf(path)
    with pytest.raises(FormatError, match=r"wind\.nc: dimensions cell without coordinate"):
        open_weather(path)


def test_damaged_weather_is_refused(shared_data: Path, tmp_path: Path) -> None:
    whole = (shared_data / ERA5).read_bytes()
    for name, data, said in [
        ("empty.grib", b"", "empty or unreadable, expected weather"),
        ("short.grib", whole[:100_000], "cannot be read"),
        ("other.grib", b"GRIB" + bytes(40), "cannot be read"),
        ("short.nc", netcdf(tmp_path).read_bytes()[:4000], "HDF5"),
        ("text.nc", b"hello, world", "begins with b'hello, w', expected weather"),
        ("classic.nc", b"CDF\x01" + bytes(30), "cannot be read|no field|without coordinate"),
    ]:
        path = tmp_path / name
        path.write_bytes(data)
        with pytest.raises(FormatError, match=rf"{name}: .*({said})"):
            open_weather(path)


def test_netcdf_that_leads_to_another_file_is_refused(tmp_path: Path) -> None:
    path = netcdf(tmp_path)
    with h5py.File(path, "r+") as file:
        file["secret"] = h5py.ExternalLink("/etc/passwd", "/")
    with pytest.raises(UnsafeFileError, match=r"wind\.nc: /secret is a link to another file"):
        open_weather(path)


def test_rain_and_wind_of_meteonet(shared_data: Path) -> None:
    weather = open_weather(shared_data / WIND)
    assert set(weather.data_vars) == {"rainfall_rate", "eastward_wind", "northward_wind"}
    assert weather["rainfall_rate"].dims == ("time", "y", "x")
    assert weather["rainfall_rate"].shape == (18, 128, 128)
    five = np.timedelta64(5, "m")
    assert (np.diff(weather["time"].values) == five).all()
    assert weather["time"].values[0] == np.datetime64("2018-03-12T05:00")
    with np.load(shared_data / WIND / "rain/y2018-M3-d12-h6-m5.npz") as file:
        rain = file["arr_0"]
    with np.load(shared_data / WIND / "V/y2018-M3-d12-h6-m5.npz") as file:
        wind = file["data"]
    at_six = weather.sel(time="2018-03-12T06:05")
    np.testing.assert_allclose(at_six["rainfall_rate"], rain * 0.12, rtol=1e-5)
    np.testing.assert_allclose(at_six["northward_wind"], wind / 100, rtol=1e-5)
    assert "crs" not in weather.coords
    assert weather.attrs["georeference"].startswith("none")


def test_one_map_of_meteonet(shared_data: Path) -> None:
    path = shared_data / WIND / "U/y2018-M3-d12-h5-m30.npz"
    assert is_weather(path)
    wind = open_weather(path)
    assert list(wind.data_vars) == ["eastward_wind"]
    together = open_weather(shared_data / WIND)["eastward_wind"]
    np.testing.assert_array_equal(wind["eastward_wind"][0], together.sel(time=wind["time"][0]))


def test_a_map_that_is_missing_is_missing_and_not_dry(tmp_path: Path) -> None:
    for quantity, minutes in {"rain": (0, 10), "U": (0, 5, 10)}.items():
        (tmp_path / quantity).mkdir()
        for minute in minutes:
            field = np.array([[minute, -1], [2, 3]], dtype=np.int16)
            np.savez(tmp_path / quantity / f"y2018-M3-d12-h5-m{minute}.npz", field)
    weather = open_weather(tmp_path)
    rain = weather["rainfall_rate"].values
    assert rain.shape == (3, 2, 2)
    assert np.isnan(rain[1]).all()
    assert np.isnan(rain[2, 0, 1])
    assert rain[2, 0, 0] == pytest.approx(1.2)
    assert weather["eastward_wind"].values[1, 0] == pytest.approx([0.05, -0.01])
    (tmp_path / "U/y2018-M3-d12-h5-m5.npz").write_bytes(b"")
    with pytest.raises(FormatError, match=r"h5-m5\.npz: 0 arrays, expected an npz file of one map"):
        open_weather(tmp_path)
    with pytest.raises(FormatError, match=r"no files such as rain/y2018"):
        open_weather(tmp_path / "U")


# --- traffic


def taxibj(folder: Path, data: Any, dates: list[bytes]) -> Path:
    """A file in the layout of TaxiBJ."""
    path = folder / "BJ13_M32x32_T30_InOut.h5"
    with h5py.File(path, "w") as file:
        file["data"], file["date"] = data, np.array(dates)
    return path


def test_taxibj_written_from_new_york(shared_data: Path, tmp_path: Path) -> None:
    with np.load(shared_data / TAXI) as file:
        volume = file["volume"]
    into, out_of = volume[:96, ..., 1], volume[:96, ..., 0]
    dates = [b"201307%02d%02d" % (day, slot) for day in (1, 2) for slot in range(1, 49)]
    path = taxibj(tmp_path, np.stack([into, out_of], axis=1), dates)
    assert is_traffic(path)
    traffic = open_traffic(path)
    new_york = open_traffic(shared_data / TAXI, start=np.datetime64("2013-07-01"))
    xr.testing.assert_equal(traffic, new_york.isel(time=slice(0, 96)))
    assert traffic["inflow"].dims == ("time", "y", "x")
    assert traffic["time"].values[1] == np.datetime64("2013-07-01T00:30")
    assert traffic["time"].values[95] == np.datetime64("2013-07-02T23:30")
    assert traffic.attrs["cadence_minutes"] == 30


def test_taxibj_with_gaps_out_of_order_and_twice(tmp_path: Path) -> None:
    data = np.arange(4 * 2 * 2 * 3, dtype=float).reshape(4, 2, 2, 3)
    path = taxibj(tmp_path, data, [b"2013070148", b"2013070101", b"2013070203", b"2013070101"])
    traffic = open_traffic(path)
    assert list(traffic["time"].values.astype("datetime64[m]").astype(str)) == [
        "2013-07-01T00:00",
        "2013-07-01T23:30",
        "2013-07-02T01:00",
    ]
    np.testing.assert_array_equal(traffic["inflow"][0], data[1, 0])
    np.testing.assert_array_equal(traffic["outflow"][2], data[2, 1])


def test_hourly_files_of_that_layout(tmp_path: Path) -> None:
    dates = [b"201404%02d%02d" % (day, slot) for day in (1, 2) for slot in range(1, 25)]
    traffic = open_traffic(taxibj(tmp_path, np.ones((48, 2, 3, 4)), dates))
    assert traffic.attrs["cadence_minutes"] == 60
    assert traffic["time"].values[-1] == np.datetime64("2014-04-02T23:00")


def test_new_york_has_starts_and_ends(shared_data: Path) -> None:
    assert is_traffic(shared_data / TAXI)
    traffic = open_traffic(shared_data / TAXI)
    with np.load(shared_data / TAXI) as file:
        volume = file["volume"]
    np.testing.assert_array_equal(traffic["outflow"], volume[..., 0])
    np.testing.assert_array_equal(traffic["inflow"], volume[..., 1])
    assert "time" not in traffic.coords
    assert traffic.attrs["cadence_minutes"] == 30
    assert traffic.attrs["georeference"].startswith("none")


@pytest.mark.parametrize("name", [TAXI, TAXI.replace("volume", "bike_volume"), BIKES])
def test_trips_start_before_they_end(shared_data: Path, name: str) -> None:
    # When traffic grows, more trips have started than ended: tells the two flows apart.
    city = open_traffic(shared_data / name).sum(["y", "x"])
    ahead = (city["outflow"] - city["inflow"]).values
    growth = np.diff((city["outflow"] + city["inflow"]).values)
    assert np.corrcoef(ahead[1:], growth)[0, 1] > 0.25


def test_bikes_of_all_parts_follow_each_other(shared_data: Path) -> None:
    assert is_traffic(shared_data / BIKES)
    bikes = open_traffic(shared_data / BIKES, start=np.datetime64("2014-08-08T01:00"))
    assert bikes["inflow"].shape == (1295, 16, 8)
    assert (np.diff(bikes["time"].values) == np.timedelta64(1, "h")).all()
    with np.load(shared_data / BIKES / "test.npz") as file:
        samples, after = file["x"], file["y"]
    part = bikes.isel(time=slice(431, None))
    np.testing.assert_array_equal(part["inflow"].values.reshape(864, 128), after[:, 0, :, 0])
    np.testing.assert_array_equal(part["outflow"].values.reshape(864, 128), after[:, 0, :, 1])
    # The first test sample's newest input is the last frame of the part before it.
    before = bikes["inflow"].values[430].ravel()
    np.testing.assert_array_equal(before, samples[0, -1, :, 0])
    # Neighbours in the published graph are neighbours on the grid.
    with np.load(shared_data / BIKES / "adj_mx.npz") as file:
        neighbours = np.flatnonzero(file["adj_mx"][9 * 8 + 3])
    rows, columns = np.divmod(neighbours, 8)
    assert np.abs(rows - 9).max() == np.abs(columns - 3).max() == 1


def test_traffic_that_does_not_fit_is_refused(shared_data: Path, tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="slots 0 to 0 of a day, expected 1 to 48"):
        open_traffic(taxibj(tmp_path, np.ones((1, 2, 3, 4)), [b"2013070100"]))
    with pytest.raises(FormatError, match="dates such as '2013'"):
        open_traffic(taxibj(tmp_path, np.ones((1, 2, 3, 4)), [b"2013"]))
    with pytest.raises(FormatError, match=r"data of shape \(2, 2, 3, 4\) for 1 dates"):
        open_traffic(taxibj(tmp_path, np.ones((2, 2, 3, 4)), [b"2013070101"]))
    with pytest.raises(FormatError, match="negative or missing counts"):
        open_traffic(taxibj(tmp_path, -np.ones((1, 2, 3, 4)), [b"2013070101"]))
    path = tmp_path / "bad.npz"
    cases: list[tuple[dict[str, Any], str]] = [
        ({"volume": np.ones((3, 4, 5))}, r"volume of shape \(3, 4, 5\)"),
        ({"other": np.ones(3)}, "bad.npz: other, expected gridded traffic"),
        ({"x": np.ones(3), "x_offsets": np.ones(3), "y": np.ones((3, 1, 7, 2))}, "7 cells"),
        (
            {
                "x": np.zeros((3, 2, 128, 2)),
                "x_offsets": np.array([[-1], [0]]),
                "y": np.ones((3, 1, 128, 2)),
            },
            "samples that do not follow each other",
        ),
    ]
    for arrays, said in cases:
        np.savez(path, **arrays)
        with pytest.raises(FormatError, match=said):
            open_traffic(path)
    path.write_bytes((shared_data / TAXI).read_bytes()[:100_000])
    with pytest.raises(FormatError, match=r"bad\.npz: neither HDF5 nor npz, expected gridded"):
        open_traffic(path)
    with pytest.raises(FormatError, match=r"no train\.npz, val\.npz or test\.npz"):
        open_traffic(tmp_path)


# --- regridding


@settings(max_examples=10)  # each builds its transformation anew
@given(a=st.floats(-10, 10), b=st.floats(-10, 10), c=st.floats(-100, 100))
def test_a_linear_field_is_reproduced(a: float, b: float, c: float) -> None:
    lon, lat = COARSE.lonlat()
    there = regrid(on_grid(a * lon + b * lat + c), FINE)["field"]
    lon, lat = FINE.lonlat()
    # Within the outermost cell centres: to 0.5 degrees east of the edge, 0.25 south of it.
    within = (lon > -10.5) & (lon < 8.5) & (lat < 60.75) & (lat > 49.25)
    assert within.mean() > 0.8
    np.testing.assert_array_equal(np.isfinite(there), within)
    expected = (a * lon + b * lat + c)[within]
    np.testing.assert_allclose(there.values[within], expected, rtol=1e-5, atol=1e-3)


def test_values_by_hand() -> None:
    source = Grid(crs=WGS84, west=0, north=2, dx=1, dy=1, height=2, width=2)
    target = Grid(crs=WGS84, west=0.25, north=1.75, dx=0.5, dy=0.5, height=3, width=3)
    there = regrid(on_grid(np.array([[0.0, 4.0], [8.0, 16.0]]), source), target)["field"].values
    np.testing.assert_allclose(there, [[0, 2, 4], [4, 7, 10], [8, 12, 16]])


def test_missing_cells_stay_missing_where_they_weigh_most() -> None:
    source = Grid(crs=WGS84, west=0, north=2, dx=1, dy=1, height=2, width=2)
    target = Grid(crs=WGS84, west=0.4, north=1.6, dx=0.2, dy=0.2, height=6, width=6)
    values = np.array([[np.nan, 4.0], [8.0, 8.0]])
    there = regrid(on_grid(values, source), target)["field"].values
    # At the missing cell nothing is known; far from it the others count, by their weights.
    assert np.isnan(there[0, 0])
    assert np.isnan(there[1, 1])
    # Row 5 is at y 0.5, column 5 at x 1.5: the seen cells themselves.
    assert there[5, 5] == pytest.approx(8)
    assert there[0, 5] == pytest.approx(4)
    # In the middle three of four equal weights are seen: their mean.
    middle = Grid(crs=WGS84, west=0.5, north=1.5, dx=1 / 3, dy=1 / 3, height=3, width=3)
    assert regrid(on_grid(values, source), middle)["field"].values[1, 1] == pytest.approx(20 / 3)


def test_around_the_world_and_back() -> None:
    globe = Grid(crs=WGS84, west=-181, north=91, dx=2, dy=2, height=91, width=180)
    lon, lat = globe.lonlat()
    field = on_grid(np.cos(np.deg2rad(lon)) + np.sin(np.deg2rad(lat)), globe)
    pacific = Grid(
        crs=pyproj.CRS.from_proj4("+proj=laea +lat_0=0 +lon_0=180 +units=m"),
        west=-1e6,
        north=1e6,
        dx=1e5,
        dy=1e5,
        height=20,
        width=20,
    )
    there = regrid(field, pacific)["field"].values
    lon, lat = pacific.lonlat()
    expected = np.cos(np.deg2rad(lon)) + np.sin(np.deg2rad(lat))
    np.testing.assert_allclose(there, expected, atol=2e-4)
    assert np.ptp(there) > 0.1


def test_era5_agrees_with_xarray_s_interpolation(era5: xr.Dataset) -> None:
    weather = era5.isel(time=slice(0, 70))
    there = regrid(weather, FINE)
    assert there["t2m"].dims == ("time", "y", "x")
    assert there["t2m"].shape == (70, 80, 33)
    assert there["t2m"].dtype == np.float32
    assert there["t2m"].attrs["units"] == "K"
    np.testing.assert_array_equal(there["time"], weather["time"])
    assert grid_of(there).same_as(FINE)
    lon, lat = (xr.DataArray(degrees, dims=("row", "column")) for degrees in FINE.lonlat())
    theirs = weather["t2m"].interp(y=lat, x=lon).values
    np.testing.assert_allclose(there["t2m"].values, theirs, rtol=1e-6)
    assert np.isfinite(theirs).mean() > 0.5


def test_members_are_kept(members: xr.Dataset) -> None:
    there = regrid(members, FINE)
    assert there["z"].dims == ("time", "realization", "pressure", "y", "x")
    assert there["z"].shape == (4, 10, 2, 80, 33)
    assert list(there["pressure"].values) == [850, 500]


def test_what_has_no_place_cannot_be_moved(shared_data: Path) -> None:
    with pytest.raises(SchemaError, match="no variable crs"):
        regrid(open_weather(shared_data / WIND), FINE)
    with pytest.raises(SchemaError, match="no field with dimensions y and x"):
        regrid(on_grid(np.zeros(COARSE.shape)).drop_vars("field"), FINE)
