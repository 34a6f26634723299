"""One thread at a time in the netCDF library."""

from __future__ import annotations

import copy
import gc
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import netCDF4
import numpy as np
import pytest
import xarray as xr

from nowcast.field import netcdf
from nowcast.field.netcdf import NETCDF_LOCK, open_netcdf


@pytest.fixture
def path(tmp_path: Path) -> Path:
    values = np.arange(6.0).reshape(2, 3)
    xr.Dataset({"rain": (("y", "x"), values)}, attrs={"title": "six"}).to_netcdf(tmp_path / "a.nc")
    return tmp_path / "a.nc"


def done_by(other: threading.Thread) -> bool:
    other.start()
    other.join(0.2)
    return not other.is_alive()


def test_a_file_is_opened_read_and_closed_only_where_nobody_else_is(path: Path) -> None:
    dataset = open_netcdf(path, cache=False)
    works = [
        lambda: open_netcdf(path).close(),
        lambda: dataset["rain"].values,
        dataset.close,
    ]
    for work in works:
        other = threading.Thread(target=work)
        with NETCDF_LOCK:
            assert not done_by(other)
        other.join(30)
        assert not other.is_alive()


def test_the_thread_that_holds_it_may_open_and_read(path: Path) -> None:
    with NETCDF_LOCK, open_netcdf(path) as dataset:
        assert dataset["rain"].sum() == 15
        assert dataset.attrs == {"title": "six"}


def test_copies_share_the_lock(path: Path) -> None:
    assert pickle.loads(pickle.dumps(NETCDF_LOCK)) is NETCDF_LOCK
    assert copy.deepcopy(NETCDF_LOCK) is netcdf.NETCDF_LOCK
    with open_netcdf(path) as dataset:
        again = pickle.loads(pickle.dumps(dataset))
        assert again["rain"].sum() == 15
        assert copy.deepcopy(dataset)["rain"].sum() == 15


def test_threads_that_open_read_and_write_at_once_do_not_crash(path: Path, tmp_path: Path) -> None:
    def busy(number: int) -> float:
        with NETCDF_LOCK, netCDF4.Dataset(tmp_path / f"{number}.nc", "w") as file:
            file.createDimension("x", 1000)
            file.createVariable("v", "f4", ("x",), zlib=True)[...] = number
        total = 0.0
        for _ in range(20):
            with open_netcdf(tmp_path / f"{number}.nc", cache=False) as dataset:
                total += float(dataset["v"].mean())
            opened = open_netcdf(path)
            total += float(opened["rain"].mean())
            opened.close()
        return total

    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(busy, range(8))) == [20 * (n + 2.5) for n in range(8)]
    gc.collect()
