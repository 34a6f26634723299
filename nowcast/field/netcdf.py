"""NetCDF files opened by one thread at a time: the library below crashes where threads share it.

xarray takes a lock of its own where it reads values, but not while it opens a file and reads its
attributes. Here one lock is held for both; who uses ``netCDF4`` by itself holds it too.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import xarray as xr

if TYPE_CHECKING:
    from pathlib import Path


class _Lock:
    """A lock of the whole process, which Datasets that are copied or sent elsewhere keep."""

    def __init__(self) -> None:
        self._lock = threading.RLock()

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def __reduce__(self) -> str:
        """The one of the process that it comes to."""
        return "NETCDF_LOCK"


NETCDF_LOCK = _Lock()


def open_netcdf(path: Path, **options: Any) -> xr.Dataset:
    """``xr.open_dataset`` by the netCDF library; its values are read under the lock as well.

    It is to be closed by hand, which takes the lock too: xarray closes what nobody holds without.
    """
    with NETCDF_LOCK:
        return xr.open_dataset(path, engine="netcdf4", lock=NETCDF_LOCK, **options)
