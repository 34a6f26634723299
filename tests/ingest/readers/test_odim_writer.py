"""ODIM_H5 as we write it: read back by ourselves, by pysteps and by bare h5py."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyproj
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from nowcast.field.errors import ProductError
from nowcast.field.grid import Grid
from nowcast.field.schema import grid_of
from nowcast.field.units import ZR
from nowcast.ingest.readers.odim import Odim
from nowcast.ingest.readers.odim_writer import OdimDetails, Quantity, write_odim

TIME = np.datetime64("2020-02-29T23:55", "ns")
LAEA = pyproj.CRS("+proj=laea +lat_0=55 +lon_0=10 +x_0=1950000 +y_0=-2100000 +ellps=WGS84")
GRID = Grid(LAEA, west=1_900_000, north=-2_000_000, dx=1000, dy=2000, height=2, width=3)
RATE = np.array([[0, 0.5, np.nan], [12.34, 0.01, 200]])


def read(path: Path, **settings: Any) -> np.ndarray:
    rate: np.ndarray = Odim(**settings).read(path)["rainfall_rate"].values[0]
    return rate


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("written")


rates = arrays.arrays(
    np.float64,
    GRID.shape,
    elements=st.one_of(st.just(0.0), st.just(np.nan), st.floats(0.001, 2000.0)),
)


@settings(max_examples=20)
@given(rates, st.sampled_from(["RATE", "ACRR", "DBZH"]))
def test_what_is_written_is_read(folder: Path, rate: np.ndarray, quantity: Quantity) -> None:
    path = write_odim(folder / "a.h5", rate, grid=GRID, time=TIME, quantity=quantity)
    found = read(path)
    np.testing.assert_array_equal(np.isnan(found), np.isnan(rate))
    assert not found[rate == 0].any()
    # Half a step: 0.01 mm/h; 0.001 mm in 5 min; 0.002 dBZ; or 1/65534 of the highest.
    highest = np.nanmax(rate, initial=0)
    step = max({"RATE": 0.01, "ACRR": 0.012, "DBZH": 0.0}[quantity], highest / 65534)
    relative = {"RATE": 0.0, "ACRR": 0.0, "DBZH": 0.1 * 0.002 * np.log(10) / 1.6}[quantity]
    error = np.abs(found - rate)
    assert (
        error[~np.isnan(rate)] <= (0.51 * (step + relative * rate) + 1e-6)[~np.isnan(rate)]
    ).all()


def test_by_hand(folder: Path) -> None:
    frames = Odim().read(write_odim(folder / "a.h5", RATE, grid=GRID, time=TIME))
    np.testing.assert_allclose(frames["rainfall_rate"].values[0], RATE, atol=1e-6)
    assert frames["time"].values == [TIME]
    assert grid_of(frames).same_as(GRID)
    with h5py.File(folder / "a.h5") as file:
        numbers = file["dataset1/data1/data"]
        np.testing.assert_array_equal(numbers, [[0, 50, 65535], [1234, 1, 20000]])
        assert numbers.dtype == np.uint16
        assert numbers.compression == "gzip"
        assert dict(file["dataset1/what"].attrs)["startdate"] == b"20200229"


def test_what_the_standard_asks_for(folder: Path) -> None:
    write_odim(folder / "a.h5", RATE, grid=GRID, time=TIME, quantity="ACRR")
    found = {}
    with h5py.File(folder / "a.h5") as file:
        file.visititems(lambda name, node: found.update({name: dict(node.attrs)}))
        assert file.attrs["Conventions"] == b"ODIM_H5/V2_4"
        # Text of fixed length, ending in null; h5py writes another kind, which may hang readers.
        for node in (file, *(file[name] for name in found)):
            for name in node.attrs:
                kind = h5py.h5a.open(node.id, name.encode()).get_type()
                if isinstance(kind, h5py.h5t.TypeStringID):
                    assert not kind.is_variable_str()
                    assert kind.get_strpad() == h5py.h5t.STR_NULLTERM
    assert found["what"] == {
        "object": b"COMP",
        "version": b"H5rad 2.4",
        "date": b"20200229",
        "time": b"235500",
        "source": b"CMT:mim-nowcast",
    }
    assert found["dataset1/what"]["starttime"] == b"235000"
    assert found["dataset1/what"]["endtime"] == b"235500"
    assert found["dataset1/data1/what"]["quantity"] == b"ACRR"
    assert found["dataset1/data1/what"]["nodata"] != found["dataset1/data1/what"]["undetect"]
    assert found["where"]["xsize"] == 3
    assert found["where"]["ysize"] == 2
    assert found["where"]["yscale"] == 2000.0
    assert {
        f"{corner}_{name}" for corner in ("UL", "UR", "LL", "LR") for name in ("lon", "lat")
    } < set(found["where"])


@pytest.mark.parametrize("quantity", ["RATE", "ACRR", "DBZH"])
def test_pysteps_reads_the_same(folder: Path, quantity: Quantity) -> None:
    from pysteps.io.importers import import_odim_hdf5

    path = write_odim(folder / "a.h5", RATE, grid=GRID, time=TIME, quantity=quantity)
    field, _, metadata = import_odim_hdf5(str(path), qty=quantity)
    expected = read(path)
    if quantity == "DBZH":
        field = np.where(field == -30, 0, (10 ** (field / 10) / 200) ** (1 / 1.6))
    np.testing.assert_allclose(field * (12 if quantity == "ACRR" else 1), expected, rtol=1e-5)
    west, east, south, north = GRID.extent
    found = [metadata[name] for name in ("x1", "x2", "y1", "y2")]
    np.testing.assert_allclose(found, (west, east, south, north), atol=1e-3)


def test_the_relation_is_the_one_given(folder: Path) -> None:
    details = OdimDetails(zr=ZR(223, 1.53))
    path = write_odim(folder / "a.h5", RATE, grid=GRID, time=TIME, quantity="DBZH", details=details)
    np.testing.assert_allclose(read(path, zr=ZR(223, 1.53)), RATE, rtol=1e-3)


def test_simulated_rain_says_so(folder: Path) -> None:
    details = OdimDetails(simulated=True, product_name="a storm", source="ORG:99")
    path = write_odim(folder / "a.h5", RATE, grid=GRID, time=TIME, details=details)
    attrs = Odim().read(path).attrs
    assert attrs == {
        "institution": "ORG:99",
        "title": "a storm",
        "quantity": "RATE",
        "simulated": "true",
    }


@pytest.mark.parametrize(
    "crs",
    [
        "EPSG:3067",
        "EPSG:4326",
        "+proj=stere +lat_0=90 +lat_ts=60 +lon_0=10 +R=6370040",
    ],
)
def test_any_projection(folder: Path, crs: str) -> None:
    projection = pyproj.CRS(crs)
    if projection.is_geographic:
        grid = Grid(projection, west=9, north=46, dx=0.01, dy=0.02, height=2, width=3)
    else:
        x, y = pyproj.Transformer.from_crs(4326, projection, always_xy=True).transform(9, 46)
        grid = Grid(projection, west=x, north=y, dx=1000, dy=1000, height=2, width=3)
    found = grid_of(Odim().read(write_odim(folder / "a.h5", RATE, grid=grid, time=TIME)))
    size = grid.dx if not projection.is_geographic else 0.01
    np.testing.assert_allclose(found.extent, grid.extent, atol=1e-3 * size)
    assert found.lonlat_of(1, 1) == pytest.approx(grid.lonlat_of(1, 1), abs=1e-6)


@pytest.mark.parametrize(
    ("rate", "message"),
    [
        (RATE[:1], r"rates of shape \(1, 3\), expected \(2, 3\)"),
        (RATE - 1, "expected .* NaN or finite and at least 0"),
        (np.full((2, 3), np.inf), "expected .* NaN or finite and at least 0"),
    ],
)
def test_what_cannot_be_stored(folder: Path, rate: np.ndarray, message: str) -> None:
    with pytest.raises(ProductError, match=message):
        write_odim(folder / "never.h5", rate, grid=GRID, time=TIME)
    assert not (folder / "never.h5").exists()


def test_a_datum_that_odim_cannot_name(folder: Path) -> None:
    grid = Grid(pyproj.CRS("EPSG:2056"), 2_600_000, 1_200_000, 1000, 1000, height=2, width=3)
    with pytest.raises(ProductError, match=r"CH1903\+.* cannot be written as a PROJ string"):
        write_odim(folder / "never.h5", RATE, grid=grid, time=TIME)


def test_no_half_file(tmp_path: Path) -> None:
    with pytest.raises(ProductError, match=r"a\.h5: could not be written: there is no such"):
        write_odim(tmp_path / "gone/a.h5", RATE, grid=GRID, time=TIME)
    (tmp_path / "a.h5").mkdir()
    with pytest.raises(ProductError, match="could not be written"):
        write_odim(tmp_path / "a.h5", RATE, grid=GRID, time=TIME)
    assert [path.name for path in tmp_path.iterdir()] == ["a.h5"]  # no scraps beside
