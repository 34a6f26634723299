"""The strict CF checker, and independent readers, on every product of every projection."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cartopy.crs as ccrs
import cf_xarray  # noqa: F401 - gives datasets their accessor cf
import numpy as np
import pyproj
import pytest
import rasterio
import xarray as xr
from cf_checker import findings
from forecast_samples import PROJECTIONS, clock, forecast, grid_of, past
from rio_cogeo import cog_validate

from nowcast.field import schema
from nowcast.field.grid import Grid
from nowcast.products.cog import Cog
from nowcast.products.netcdf import NetCdf, write_frames

# The cell that every reader must find at its place on the earth.
ROW, COLUMN = 5, 3


@dataclass(frozen=True)
class Written:
    projection: str
    grid: Grid
    forecast: schema.Forecast
    netcdf: Path
    geotiff: Path


@pytest.fixture(scope="module", params=PROJECTIONS)
def written(request, tmp_path_factory):
    """A forecast with all optional variables, as NetCDF and GeoTIFF, on one projection."""
    folder = tmp_path_factory.mktemp("products")
    made = forecast(request.param, kind="full")
    return Written(
        projection=request.param,
        grid=grid_of(request.param),
        forecast=made,
        netcdf=NetCdf(clock=clock).write(made, into=folder),
        geotiff=Cog(clock=clock).write(made, into=folder),
    )


def test_the_strict_checker_finds_nothing_on_any_projection(written):
    assert findings(written.netcdf) == []


@pytest.mark.parametrize("kind", ["plain", "ensemble", "probability"])
def test_the_strict_checker_finds_nothing_on_any_kind(tmp_path, kind):
    # A name that is not ASCII is stored as another type of text.
    product = NetCdf(clock=clock, compression="zstd", attrs={"institution": "Météo-France"})
    assert findings(product.write(forecast("mrms", kind=kind), into=tmp_path)) == []


@pytest.mark.parametrize("projection", ["knmi", "meteonet"])
def test_the_strict_checker_finds_nothing_on_frames(tmp_path, projection):
    frames = past(grid_of(projection), frames=3).assign_coords(
        infilled=("time", [False, True, False])
    )
    path = write_frames(schema.as_radar(frames), tmp_path / "frames.nc", clock=clock)
    assert findings(path) == []


def test_the_checker_would_find_a_fault(tmp_path):
    path = NetCdf(clock=clock).write(forecast("knmi"), into=tmp_path)
    with xr.open_dataset(path, engine="netcdf4", decode_cf=False) as good:
        bad = good.load()
    bad["rainfall_rate"].attrs["units"] = "bananas"
    bad["crs"].attrs.pop("latitude_of_projection_origin")
    bad.to_netcdf(tmp_path / "bad.nc", engine="netcdf4")
    faults = " ".join(findings(tmp_path / "bad.nc"))
    assert "bananas" in faults
    assert "latitude_of_projection_origin" in faults


@pytest.mark.filterwarnings("ignore:Passing the dataset to every single check:DeprecationWarning")
def test_discovery_attributes_lack_only_what_we_cannot_know(tmp_path):
    contact = {f"{who}_{how}": "x" for who in ("creator", "publisher") for how in ("email", "url")}
    product = NetCdf(clock=clock, attrs=contact | {"publisher_name": "x"})
    path = product.write(forecast("knmi", kind="full"), into=tmp_path)
    faults = findings(path, "acdd:1.3")
    # Rain on the ground has no height, some of our fields no standard name; the rest is the user's.
    unknown = (
        *("vertical", "standard_name", "vocabulary"),
        *("contributor", "publisher_", "metadata_link", "program"),
    )
    assert [fault for fault in faults if not any(word in fault for word in unknown)] == []


def test_gdal_finds_the_place_in_the_netcdf(written):
    grid = written.grid
    with rasterio.open(f"netcdf:{written.netcdf}:rainfall_rate") as seen:
        assert seen.shape == grid.shape
        expected = rasterio.Affine.from_gdal(*grid.geotransform)
        assert seen.transform.almost_equals(expected, precision=1e-6)
        assert np.isnan(seen.nodata)
        np.testing.assert_array_equal(seen.read(), written.forecast["rainfall_rate"].values)
        assert_place(seen, written)


def test_gdal_finds_the_place_in_the_geotiff(written):
    valid, errors, warnings = cog_validate(written.geotiff, strict=True)
    assert (valid, errors, warnings) == (True, [], [])
    with rasterio.open(written.geotiff) as seen:
        np.testing.assert_array_equal(seen.read(), written.forecast["rainfall_rate"].values)
        assert_place(seen, written)
    assert len(list(written.geotiff.parent.iterdir())) == 2, "GDAL left a file beside"


def assert_place(seen, written):
    """By its longitude and latitude, the cell is found in an open file of GDAL's."""
    lon, lat = written.grid.lonlat_of(ROW, COLUMN)
    crs = pyproj.CRS.from_wkt(seen.crs.to_wkt())
    x, y = pyproj.Transformer.from_crs(4326, crs, always_xy=True).transform(lon, lat)
    # PROJ's way from and to OSGB36 differs by 87 m between its libraries: an eleventh of a cell.
    assert (x, y) == pytest.approx(
        (written.grid.x[COLUMN], written.grid.y[ROW]), abs=0.1 * written.grid.dx
    )
    (sampled,) = seen.sample([(x, y)])
    np.testing.assert_array_equal(sampled, written.forecast["rainfall_rate"].values[:, ROW, COLUMN])


def test_cf_xarray_finds_the_rain_its_axes_and_its_projection(written):
    with xr.open_dataset(written.netcdf, engine="netcdf4") as raw:
        mapping = raw["crs"].attrs["grid_mapping_name"]
        rain = raw["rainfall_rate"]
        assert "rainfall_rate" in raw.cf.standard_names["rainfall_rate"]
        assert raw.cf.grid_mapping_names == {mapping: ["crs"]}
        assert (rain.cf.axes["X"], rain.cf.axes["Y"]) == (["x"], ["y"])
        assert rain.cf["time"].dims == ("lead_time",)
        geographic = mapping == "latitude_longitude"
        assert rain.cf.coordinates["longitude"] == ["x" if geographic else "lon"]
        assert rain.cf.coordinates["latitude"] == ["y" if geographic else "lat"]


def test_cartopy_finds_the_place_by_the_stored_lat_and_lon(written):
    grid = written.grid
    with xr.open_dataset(written.netcdf, engine="netcdf4") as raw:
        place = raw.isel(y=ROW, x=COLUMN)
        lon, lat = ("x", "y") if grid.is_geographic else ("lon", "lat")
        projection = ccrs.CRS(pyproj.CRS.from_wkt(raw["crs"].attrs["crs_wkt"]))
        plate = ccrs.CRS(pyproj.CRS.from_epsg(4326))
        seen = projection.transform_point(float(place[lon]), float(place[lat]), plate)
    # lat and lon are float32, good to a few metres.
    assert seen == pytest.approx((grid.x[COLUMN], grid.y[ROW]), abs=0.01 * grid.dx)


def test_readers_that_know_no_wkt_find_the_place_by_cf_attributes_alone(written):
    if written.projection == "mch":
        return  # CF has no attribute for the rectified angle of the Swiss grid: WKT alone holds it
    grid = written.grid
    with xr.open_dataset(written.netcdf, engine="netcdf4") as raw:
        attributes = dict(raw["crs"].attrs)
    attributes.pop("crs_wkt")
    bare = pyproj.CRS.from_cf(attributes)
    x, y = grid.x[COLUMN], grid.y[ROW]
    seen = pyproj.Transformer.from_crs(grid.crs, bare, always_xy=True).transform(x, y)
    assert seen == pytest.approx((x, y), abs=0.01 * grid.dx)
