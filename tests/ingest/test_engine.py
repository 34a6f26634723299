"""``xr.open_dataset(path, engine="nowcast")`` on every kind of file."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from nowcast.field.errors import FormatError, MissingFramesError, UnsafeFileError, UsageError
from nowcast.field.schema import as_frames, grid_of
from nowcast.ingest.xarray_engine import NowcastBackend

# One a kind of file: pattern below the data folder, frames, first time, rows and columns.
RADAR = [
    ("knmi/2010/08/RAD_NL25_RAP_5min_201008260230.h5", 1, "2010-08-26T02:30", (765, 700)),
    ("knmi/RAD_NL25_PCP_CM_202106222000.h5", 1, "2021-06-22T20:00", (765, 700)),
    ("fmi/pgm/20160928/201609281600_*.pgm.gz", 1, "2016-09-28T16:00", (1226, 760)),
    ("fmi/geotiff/201609281445_FINUTM.tif", 1, "2016-09-28T14:45", (7316, 4963)),
    ("mch/20150515/AQC151351630F_00005.801.gif", 1, "2015-05-15T16:30", (640, 710)),
    ("bom/66/2020/10/31/66_20201031_050000.prcp-c10.nc", 1, "2020-10-31T05:00", (512, 512)),
    ("opera/20180824/T_PAAH21_C_EUOC_20180824180000.hdf", 1, "2018-08-24T18:00", (2200, 1900)),
    ("opera/20241126/CIRRUS/*010000.hdf", 1, "2024-11-26T01:00", (4400, 3800)),
    ("opera/20241126/NIMBUS/T_PAAH22*.hdf", 1, "2024-11-26T01:00", (2200, 1900)),
    ("opera/20241126/NIMBUS/T_PASH22*.hdf", 1, "2024-11-26T01:00", (2200, 1900)),
    ("mrms/2019/06/10/*-010600.grib2", 1, "2019-06-10T01:06", (3500, 7000)),
    ("mrms/MRMS_ReflectivityAt*.grib2.gz", 1, "2023-04-06T12:00:39", (3500, 7000)),
    ("dwd/yw/*1708160130-dwd---bin.gz", 1, "2017-08-16T01:30", (1100, 900)),
    ("dwd/composite_rv_20250923_0855.tar", 1, "2025-09-23T08:55", (1200, 1100)),
    ("dwd/radolan_ry_data_compressed.nc", 12, "2021-08-23T08:50", (900, 900)),
    ("meteonet/rainfall_SE_2016_08.3.npz", 45, "2016-08-21T00:10", (515, 784)),
    ("openmrg/20150725/openmrg_rad.nc", 31, "2015-07-25T12:30", (48, 37)),
    ("openmrg/20150827/openMRG_example_rad.nc", 145, "2015-08-27T00:00", (48, 37)),
    ("improver/201811031530_*.nc", 1, "2018-11-03T15:30", (200, 200)),
    ("nimrod/input_preciprate.nimrod", 1, None, None),
    ("odim/2024-10-08T120000Z-*.h5", 1, "2024-10-08T12:00", (2200, 1900)),
    ("odim/belgium.comp.hdf", 1, "2019-06-06T00:00", (700, 700)),
]
POLAR = [
    ("odim/T_PAGZ54_C_LYBM_20240904070004.hdf", (361, 498), "DBZH"),
    ("odim/T_PAHA41_C_LPMG_20241008054701.h5", (360, 200), "VRADH"),
    ("odim/T_PAJZ60_C_LZIB_20241008052500.hdf", (360, 960), "TH"),
    ("odim/T_PAZA43_C_LPMG_20241008051005.h5", (360, 300), "DBZH"),
    ("odim/T_PAZA45_C_LPMG_20241008053005.h5", (360, 300), "DBZH"),
    ("odim/T_PAZZ43_C_EKMI_20241008073000.h5", (360, 475), "ZDR"),
]
OTHER = [
    ("weather/meteonet_wind/rain/y2018-M3-d12-h5-m5.npz", "rainfall_rate", (1, 128, 128)),
    ("weather/meteonet_wind/U/y2018-M3-d12-h5-m5.npz", "eastward_wind", (1, 128, 128)),
    ("weather/meteonet_wind/V/y2018-M3-d12-h5-m5.npz", "northward_wind", (1, 128, 128)),
    ("weather/meteonet_wind", "eastward_wind", (18, 128, 128)),
    ("weather/era5/era5-2mt-2019-03-uk.grib", "t2m", (744, 33, 49)),
    ("weather/era5/era5-levels-members.grib", "t", None),
    ("traffic/nyc_taxi_bike/data/volume_test.npz", "inflow", (960, 10, 20)),
    ("traffic/nyc_taxi_bike/data/bike_volume_test.npz", "outflow", (960, 10, 20)),
    ("traffic/bikenyc/data/NYCBike1/val.npz", "inflow", None),
    ("traffic/bikenyc/data/NYCBike1/test.npz", "inflow", None),
    ("traffic/bikenyc/data/NYCBike1", "inflow", (1295, 16, 8)),
]


def one(folder: Path, pattern: str) -> Path:
    found = sorted(folder.glob(pattern))
    assert len(found) == 1, found
    return found[0]


@pytest.mark.parametrize(
    ("pattern", "frames", "first", "shape"), RADAR, ids=[row[0] for row in RADAR]
)
def test_radar(
    shared_data: Path,
    pattern: str,
    frames: int,
    first: str | None,
    shape: tuple[int, int] | None,
) -> None:
    dataset = xr.open_dataset(one(shared_data / "radar", pattern), engine="nowcast")
    found = as_frames(dataset)
    assert found.sizes["time"] == frames
    grid = grid_of(found)
    if first is not None:
        assert found["time"].values[0] == np.datetime64(first)
    if shape is not None:
        assert grid.shape == shape
    rate = found["rainfall_rate"].values
    assert (rate == 0).any()
    assert np.nanmax(rate) > 0


@pytest.mark.parametrize(("pattern", "sizes", "name"), POLAR, ids=[row[0] for row in POLAR])
def test_polar(shared_data: Path, pattern: str, sizes: tuple[int, int], name: str) -> None:
    dataset = xr.open_dataset(one(shared_data / "radar", pattern), engine="nowcast")
    assert (dataset.sizes["azimuth"], dataset.sizes["range"]) == sizes
    assert dataset[name].dims == ("azimuth", "range")


def test_a_composite_of_something_else(shared_data: Path) -> None:
    """Echo tops: heights above the ground, against h5py."""
    import h5py

    path = shared_data / "radar" / "odim" / "odim_RAD_NL25_ETH_NA_202506030910.h5"
    dataset = xr.open_dataset(path, engine="nowcast")
    assert dataset["HGHT"].dims == ("time", "y", "x")
    assert dataset["time"].values[0] == np.datetime64("2025-06-03T09:10")
    with h5py.File(path) as file:
        stored = file["dataset1/data1/data"][()]
        what = file["dataset1/data1/what"].attrs
        known = (stored != what["nodata"]) & (stored != what["undetect"])
        expected = stored * what["gain"] + what["offset"]
    np.testing.assert_array_equal(np.isfinite(dataset["HGHT"].values[0]), known)
    np.testing.assert_allclose(dataset["HGHT"].values[0][known], expected[known], rtol=1e-6)
    assert grid_of(dataset).cell(lon=4.966, lat=52.405) is not None


@pytest.mark.parametrize(("pattern", "name", "shape"), OTHER, ids=[row[0] for row in OTHER])
def test_weather_and_traffic(
    shared_data: Path, pattern: str, name: str, shape: tuple[int, ...] | None
) -> None:
    dataset = xr.open_dataset(shared_data / pattern, engine="nowcast")
    assert dataset[name].dims[-2:] == ("y", "x")
    if shape is not None:
        assert dataset[name].shape == shape
    assert np.isfinite(dataset[name].values).any()


def test_a_feed_that_is_named_sets_the_reader(shared_data: Path) -> None:
    path = one(shared_data / "radar", "fmi/pgm/20160928/201609281600_*.pgm.gz")
    by_name = xr.open_dataset(path, engine="nowcast")
    given = xr.open_dataset(path, engine="nowcast", feed="fmi")
    xr.testing.assert_identical(by_name, given)
    with pytest.raises(FormatError, match=r"201609281600_"):
        xr.open_dataset(path, engine="nowcast", feed="knmi")
    with pytest.raises(UsageError, match=r"unknown feed 'fmy'\. Did you mean fmi"):
        xr.open_dataset(path, engine="nowcast", feed="fmy")


def test_variables_may_be_dropped_and_arrays_chunked(
    write_frame: Callable[..., Path], tmp_path: Path
) -> None:
    path = write_frame(tmp_path, "2020-05-01T00:05", np.ones((20, 30), np.float32))
    assert "rainfall_rate" not in xr.open_dataset(
        path, engine="nowcast", drop_variables="rainfall_rate"
    )
    chunked = xr.open_dataset(path, engine="nowcast", drop_variables=["crs", "absent"], chunks={})
    assert "crs" not in chunked.variables
    assert float(chunked["rainfall_rate"].mean()) == 1


@pytest.mark.parametrize("version", [2, 3])
def test_zarr_stores_are_opened_too(
    write_frame: Callable[..., Path], tmp_path: Path, version: int
) -> None:
    path = write_frame(tmp_path, "2020-05-01T00:05", np.ones((20, 30), np.float32))
    frames = xr.open_dataset(path, engine="nowcast")
    store = tmp_path / "frames.zarr"
    frames.to_zarr(store, zarr_format=version, consolidated=False)
    again = xr.open_dataset(store, engine="nowcast")
    np.testing.assert_array_equal(again["rainfall_rate"], frames["rainfall_rate"])
    assert grid_of(again).same_as(grid_of(frames))


def test_only_names_of_feeds_are_guessed(tmp_path: Path) -> None:
    backend = NowcastBackend()
    assert backend.guess_can_open("/data/AQC151351630F_00005.801.gif")
    assert backend.guess_can_open(Path("RAD_NL25_RAP_5min_201008260230.h5"))
    for other in ("forecast.nc", "era5.grib", str(tmp_path), "http://x/y.nc", 3, b"CDF", None):
        assert not backend.guess_can_open(other)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "an empty file, expected one of"),
        (b"<html>404</html>", "begin with b'<html>40'"),
        (b"\x89HDF\r\n\x1a\n" + b"\0" * 90, "truncated or damaged HDF5"),
        (b"CDF\x01", "wrong.dat"),
        (b"GRIB\0\0\0\1 not really", "wrong.dat"),
        (b"PK\x03\x04", "wrong.dat"),
    ],
)
def test_a_file_that_is_none_of_these(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "wrong.dat"
    path.write_bytes(content)
    with pytest.raises((FormatError, UnsafeFileError), match=message) as caught:
        xr.open_dataset(path, engine="nowcast")
    assert str(path) in str(caught.value)


def test_what_is_no_path(tmp_path: Path) -> None:
    with pytest.raises(MissingFramesError, match="no such file or folder"):
        xr.open_dataset(tmp_path / "absent", engine="nowcast")
    for wrong in ("https://example.org/radar.h5", b"bytes"):
        with pytest.raises(UsageError, match="expected the path of a file or folder on disk"):
            NowcastBackend().open_dataset(wrong)


def test_in_a_fresh_process_that_imports_xarray_alone(shared_data: Path) -> None:
    """As a user does: xarray loads all engines, and their libraries must bear each other."""
    path = one(shared_data / "radar", "mch/20150515/AQC151351630F_00005.801.gif")
    code = (
        "import sys, xarray as xr\n"
        "found = xr.open_dataset(sys.argv[1], engine='nowcast')\n"
        "guessed = xr.open_dataset(sys.argv[1])\n"
        "assert found.identical(guessed)\n"
        "print(found['crs'].attrs['grid_mapping_name'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stdout.strip()) == (0, "oblique_mercator"), done.stderr
