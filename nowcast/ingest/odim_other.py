"""What ODIM_H5 holds besides rain on a map: echo tops and the like, and polar scans."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from nowcast.field.errors import FormatError
from nowcast.field.schema import grid_coordinates
from nowcast.ingest.readers.hdf5 import Attributes, open_hdf5
from nowcast.ingest.readers.odim import Odim
from nowcast.ingest.readers.odim_grid import composite_grid
from nowcast.ingest.readers.single import utc

if TYPE_CHECKING:
    from pathlib import Path

_POLAR = ("PVOL", "SCAN")
_LAYERS = ("dataset1/data1", "dataset1", "")


def matches(path: Path) -> bool:
    """Whether the file is ODIM_H5, whatever is in it."""
    return Odim().matches(path)


def open_other(path: Path) -> xr.Dataset:
    """The first image of a composite, (time, y, x), named by its quantity, in the file's units.

    NaN where nodata or undetect: what no echo means depends on the quantity. Of polar data the
    first sweep, (azimuth, range), as xradar reads it. Raises FormatError and UnsafeFileError.
    """
    with open_hdf5(path) as file:
        root = Attributes.of(path, file, "what")
        if root.text("object", "") in _POLAR:
            return _sweep(path)
        what, where = (
            Attributes.of(path, file, *(f"{layer}/{name}".lstrip("/") for layer in _LAYERS))
            for name in ("what", "where")
        )
        stored = file["dataset1/data1/data"][()]
        if stored.ndim != 2:
            raise FormatError(f"{path}: data of shape {stored.shape}, expected (y, x)")
        void = [what.number(name, np.nan) for name in ("nodata", "undetect")]
        field = stored * what.number("gain", 1.0) + what.number("offset", 0.0)
        field = np.where(np.isin(stored, void), np.nan, field).astype(np.float32)
        time = utc(f"{root.text('date')}{root.text('time')}", "%Y%m%d%H%M%S")
        grid = composite_grid(where, shape=stored.shape)
        attrs = {"institution": root.text("source", ""), "title": what.text("product", "")}
        quantity = what.text("quantity", "data")
    described = {"long_name": quantity, "grid_mapping": "crs"}
    return xr.Dataset(
        {quantity: (("time", "y", "x"), field[np.newaxis], described)},
        coords={"time": ("time", time, {"standard_name": "time"}), **grid_coordinates(grid)},
        attrs=attrs,
    )


def _sweep(path: Path) -> xr.Dataset:
    if "odim" not in xr.backends.list_engines():
        raise FormatError(
            f"{path}: polar radar data, not on a map; to open its first sweep: "
            "pip install 'mim-nowcast[radolan]'"
        )
    with warnings.catch_warnings():
        # It warns of scans whose start and end are one second; the sweep is right all the same.
        warnings.simplefilter("ignore")
        try:
            return xr.open_dataset(path, engine="odim", group="sweep_0").load()
        except (OSError, KeyError, ValueError) as error:
            raise FormatError(
                f"{path}: polar radar data that xradar cannot read: {error}"
            ) from error
