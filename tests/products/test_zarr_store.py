"""Forecasts as Zarr: the same dataset as the NetCDF, in a folder that appears whole."""

from __future__ import annotations

import json

import numpy as np
import pyproj
import pytest
import xarray as xr
import zarr
from forecast_samples import clock, file_size_limit, forecast, grid_of

from nowcast.field.errors import ProductError
from nowcast.products.netcdf import NetCdf
from nowcast.products.zarr_store import ZarrStore


@pytest.mark.parametrize("kind", ["plain", "full"])
@pytest.mark.parametrize("projection", ["knmi", "mch", "mrms"])
def test_it_opens_as_the_netcdf_does_and_without_a_warning(tmp_path, projection, kind):
    made = forecast(projection, kind=kind)
    store = ZarrStore(clock=clock).write(made, into=tmp_path)
    file = NetCdf(clock=clock).write(made, into=tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [file.name, store.name]
    assert store.name == "20150515T1200Z.zarr"
    with xr.open_zarr(store) as one, xr.open_dataset(file, engine="netcdf4") as other:
        xr.testing.assert_identical(one.load(), other.load())
        np.testing.assert_array_equal(one["rainfall_rate"], made["rainfall_rate"])


def test_it_is_of_version_three_with_a_lead_a_chunk(tmp_path):
    store = ZarrStore(clock=clock).write(forecast(kind="full"), into=tmp_path)
    group = zarr.open_group(store, mode="r")
    assert group.metadata.zarr_format == 3
    assert group["rainfall_rate"].chunks == (1, 8, 9)
    assert group["rainfall_rate_member"].chunks == (1, 1, 8, 9)
    described = json.loads((store / "rainfall_rate" / "zarr.json").read_text())
    assert described["fill_value"] == "NaN"
    assert described["dimension_names"] == ["lead_time", "y", "x"]
    codec = described["codecs"][-1]
    assert (codec["name"], codec["configuration"]["cname"]) == ("blosc", "zstd")
    assert len(list((store / "rainfall_rate" / "c").iterdir())) == 3
    assert group["rainfall_rate"].attrs["grid_mapping"] == "crs"
    assert "_FillValue" not in group["lat"].attrs


def test_its_projection_puts_a_place_into_the_right_cell(tmp_path):
    grid, made = grid_of("mch"), forecast("mch")
    store = ZarrStore(clock=clock).write(made, into=tmp_path)
    lon, lat = grid.lonlat_of(5, 3)
    with xr.open_zarr(store) as seen:
        crs = pyproj.CRS.from_wkt(seen["crs"].attrs["crs_wkt"])
        x, y = pyproj.Transformer.from_crs(4326, crs, always_xy=True).transform(lon, lat)
        cell = seen["rainfall_rate"].sel(x=x, y=y, method="nearest").values
        west, dx, _, north, _, dy = map(float, seen["crs"].attrs["GeoTransform"].split())
    np.testing.assert_array_equal(cell, made["rainfall_rate"].values[:, 5, 3])
    assert ((x - west) / dx, (y - north) / dy) == pytest.approx((3.5, 5.5), abs=1e-3)


def test_a_store_that_stood_there_is_replaced_whole(tmp_path):
    first, second = forecast(kind="full"), forecast("mrms", leads=2)
    ZarrStore(clock=clock).write(first, into=tmp_path)
    store = ZarrStore(clock=clock).write(second, into=tmp_path)
    with xr.open_zarr(store) as seen:
        assert "growth" not in seen
        np.testing.assert_array_equal(seen["rainfall_rate"], second["rainfall_rate"])
    assert list(tmp_path.iterdir()) == [store]


def test_a_folder_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ProductError, match=r"20150515T1200Z\.zarr: .* its folder is a file"):
        ZarrStore().write(forecast(), into=tmp_path / "file")


def test_without_space_the_old_store_stays_and_nothing_else(tmp_path):
    made = forecast()
    store = ZarrStore(clock=clock).write(made, into=tmp_path)
    large = forecast(grid=grid_of("knmi", height=100, width=100))
    with file_size_limit(5000), pytest.raises(ProductError, match="would exceed the size limit"):
        ZarrStore().write(large, into=tmp_path)
    assert list(tmp_path.iterdir()) == [store]
    with xr.open_zarr(store) as seen:
        np.testing.assert_array_equal(seen["rainfall_rate"], made["rainfall_rate"])
