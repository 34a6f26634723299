"""CF files opened as Datasets: NetCDF 3 and 4 and Zarr folders, found to be whole and harmless."""

from __future__ import annotations

import lzma
import math
import warnings
import zlib
from contextlib import contextmanager
from typing import TYPE_CHECKING

import h5py
import netCDF4
import numpy as np
import xarray as xr

from nowcast.field.errors import FormatError, SchemaError, UsageError
from nowcast.field.netcdf import NETCDF_LOCK, open_netcdf
from nowcast.ingest.readers.cf_zarr import check_folder, is_zarr
from nowcast.ingest.readers.hdf5 import SIGNATURE, Limits, open_hdf5

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# A day of 5-minute fields, or an ensemble forecast, lies in one array.
LIMITS = Limits(dataset_bytes=4 * 2**30, cells=2**32)
_CLASSIC = (b"CDF\x01", b"CDF\x02", b"CDF\x05")
_EXPECTED = "NetCDF or a folder of Zarr"
# An attribute that we give to variables in which a small number stands for no echo.
DRY_AT_MOST = "nowcast_dry_at_most"
# What the libraries below xarray raise on damaged files.
_BROKEN = (
    *(OSError, RuntimeError, KeyError, ValueError, TypeError, AttributeError, OverflowError),
    *(EOFError, zlib.error, lzma.LZMAError),
)


def is_cf(path: Path) -> bool:
    """Whether this is NetCDF or Zarr. Raises nothing."""
    try:
        if path.is_dir():
            return is_zarr(path)
        start = _start(path)
        return start.startswith(_CLASSIC) or (start.startswith(SIGNATURE) and _is_netcdf4(path))
    except (FormatError, *_BROKEN):
        return False


@contextmanager
def open_cf(path: Path) -> Iterator[xr.Dataset]:
    """The file as a Dataset, its values not yet read and its times not decoded.

    Packed values come unpacked and filled ones as NaN. Raises FormatError on an empty, truncated,
    foreign or damaged file, also where the damage shows while it is read, UnsafeFileError on one
    that leads to other files or declares more than ``LIMITS`` allow, and UsageError where Zarr is
    not installed.
    """
    engine = _checked_engine(path)
    try:
        with warnings.catch_warnings():
            # "Multiple fill values": all of them become NaN, as they should.
            warnings.simplefilter("ignore", xr.SerializationWarning)
            dataset = _open(path, engine)
        with dataset:
            yield dataset
    except SchemaError as error:  # a grid that cannot be
        raise FormatError(f"{path}: {error}") from error
    except ModuleNotFoundError as error:
        raise UsageError(
            f"{path}: {error.name} is not installed: pip install 'mim-nowcast[zarr]'"
        ) from error
    except _BROKEN as error:
        reason = " ".join(str(error).split())[:200]
        raise FormatError(
            f"{path}: truncated or damaged ({reason}), expected {_EXPECTED}: fetch it again"
        ) from error


def unfilled(values: np.ndarray, variable: xr.DataArray) -> np.ndarray:
    """Values with NaN also where nothing was written, or where ``valid_range`` says so.

    A NetCDF variable without ``_FillValue`` is filled with a default number, which xarray takes
    for data. Values of a ``DRY_AT_MOST`` become 0, or minus infinity where they are reflectivity.
    """
    packing = variable.encoding
    scale = float(packing.get("scale_factor", 1.0))
    offset = float(packing.get("add_offset", 0.0))
    field: np.ndarray = values.astype(np.float64 if values.dtype.kind != "f" else values.dtype)
    if "_FillValue" not in packing and "missing_value" not in packing:
        stored = np.dtype(packing.get("dtype", values.dtype))
        default = netCDF4.default_fillvals.get(stored.str[1:])
        if default is not None and stored.itemsize > 1 and packing.get("source"):
            field[np.isclose(field, float(default) * scale + offset, rtol=1e-6, atol=0)] = np.nan
    attrs = variable.attrs
    lowest, highest = attrs.get("valid_range", (attrs.get("valid_min"), attrs.get("valid_max")))
    half_step = abs(scale) / 2 if "scale_factor" in packing else 0.0
    if lowest is not None:
        field[field < float(lowest) * scale + offset - half_step] = np.nan
    if highest is not None:
        field[field > float(highest) * scale + offset + half_step] = np.nan
    if DRY_AT_MOST in attrs:
        no_echo = -np.inf if attrs.get("units") == "dBZ" else 0.0
        field[field <= attrs[DRY_AT_MOST]] = no_echo
    return field


def _open(path: Path, engine: str) -> xr.Dataset:
    if engine == "zarr":
        return xr.open_dataset(
            path,
            engine="zarr",
            decode_times=False,
            chunks=None,
            cache=False,
            consolidated=_is_consolidated(path),
        )
    return open_netcdf(path, decode_times=False, cache=False)


def _checked_engine(path: Path) -> str:
    """The name of xarray's engine for a file that has been found whole and harmless."""
    if path.is_dir():
        if not is_zarr(path):
            raise FormatError(f"{path}: a folder without Zarr metadata, expected {_EXPECTED}")
        check_folder(path, dataset_bytes=LIMITS.dataset_bytes)
        return "zarr"
    start = _start(path)
    if start.startswith(_CLASSIC):
        _check_classic(path)
        return "netcdf4"
    if not start.startswith(SIGNATURE):
        found = f"starts with {start!r}" if start else "empty"
        raise FormatError(f"{path}: {found}, expected {_EXPECTED}")
    with open_hdf5(path, limits=LIMITS) as file:
        file.visititems(lambda name, item: _check_dimensions(path, name, item))
    return "netcdf4"


def _check_dimensions(path: Path, name: str, item: h5py.HLObject) -> None:
    """The netCDF library takes references in these attributes for granted, and aborts without."""
    if "DIMENSION_LIST" in item.attrs:
        kind = item.attrs.get_id("DIMENSION_LIST").dtype
        if h5py.check_ref_dtype(h5py.check_vlen_dtype(kind) or kind) is None:
            raise FormatError(
                f"{path}: the dimensions of {name} are {kind}, expected references: damaged NetCDF"
            )


def _start(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            return stream.read(16)
    except OSError as error:
        raise FormatError(f"{path}: cannot be opened ({error.strerror})") from error


def _check_classic(path: Path) -> None:
    """Classic NetCDF stores arrays plain, so that a file shorter than they are is cut short."""
    size = path.stat().st_size
    try:
        with NETCDF_LOCK, netCDF4.Dataset(path) as file:
            declared = sum(
                math.prod(variable.shape) * variable.dtype.itemsize
                for variable in file.variables.values()
            )
    except _BROKEN as error:
        raise FormatError(
            f"{path}: truncated or damaged NetCDF of {size} bytes ({error}), "
            "expected a whole file: fetch it again"
        ) from error
    if declared > size:
        raise FormatError(
            f"{path}: cut short, {size} bytes, expected at least {declared}: fetch it again"
        )


def _is_netcdf4(path: Path) -> bool:
    """Whether an HDF5 file is laid out by the NetCDF library: only its dimensions are scales."""
    with h5py.File(path, "r", locking="best-effort") as file:
        if "_NCProperties" in file.attrs:
            return True
        scales = (
            file[name].attrs.get("CLASS")
            for name in file
            if isinstance(file.get(name, getlink=True), h5py.HardLink)
        )
        return any(scale == b"DIMENSION_SCALE" for scale in scales)


def _is_consolidated(path: Path) -> bool:
    if (path / ".zmetadata").is_file():
        return True
    metadata = path / "zarr.json"
    return metadata.is_file() and "consolidated_metadata" in metadata.read_text()
