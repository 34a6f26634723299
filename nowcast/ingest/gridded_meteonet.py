"""MeteoNet's rain with wind beside it: small maps of north-west France, one a file.

Cut out and published with Bouget et al. (2021, doi:10.3390/rs13020246). File names hold the time,
folders (rain, U, V) the quantity. Where the cut-out lies is in none of them.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from nowcast.field.errors import FormatError
from nowcast.field.units import RATE, rate_from_accumulation
from nowcast.ingest.readers import npz
from nowcast.ingest.readers.single import utc_of

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

_EXPECTED = "a MeteoNet folder with rain, U and V, each of files such as y2018-M3-d12-h5-m0.npz"
_LIMIT = 64 << 20
_NAME = re.compile(r"y(\d{4})-M(\d{1,2})-d(\d{1,2})-h(\d{1,2})-m(\d{1,2})\.npz")
_MINUTES = 5.0
# Of both a millimetre and a metre per second: the authors normalise the wind by a variance of
# 183038, which is a deviation of 4.3 m/s, and MeteoNet counts rain in hundredths of a millimetre.
_HUNDREDTH = np.float32(0.01)
_QUANTITIES = {
    "rain": (
        "rainfall_rate",
        {"standard_name": "rainfall_rate", "long_name": "rain rate", "units": RATE},
    ),
    "U": (
        "eastward_wind",
        {"standard_name": "eastward_wind", "long_name": "eastward wind", "units": "m s-1"},
    ),
    "V": (
        "northward_wind",
        {"standard_name": "northward_wind", "long_name": "northward wind", "units": "m s-1"},
    ),
}
_ATTRS: dict[str, Any] = {
    "institution": "Météo-France",
    "title": "MeteoNet rain, and 10 m wind of a weather model",
    "cadence_minutes": _MINUTES,
    "georeference": "none: the files do not say where in north-west France the cut-out lies",
}


def matches(path: Path) -> bool:
    """Whether this is such a folder, or one map within it."""
    if path.is_dir():
        return any(_maps(path / name) for name in _QUANTITIES)
    named = _NAME.fullmatch(path.name) is not None and path.parent.name in _QUANTITIES
    return named and len(npz.names(path)) == 1


def open_meteonet(path: Path) -> xr.Dataset:
    """Rain rate (mm h-1, NaN unseen) and wind (m s-1), north first, of a folder or of one map.

    y and x count rows and columns. Raises FormatError and UnsafeFileError.
    """
    if path.is_dir():
        return _folder(path)
    return _fields([path], path.parent.name).assign_attrs(_ATTRS)


def _maps(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.glob("y*.npz")) if _NAME.fullmatch(path.name)]


def _folder(folder: Path) -> xr.Dataset:
    found = {name: maps for name in _QUANTITIES if (maps := _maps(folder / name))}
    if not found:
        raise FormatError(
            f"{folder}: no files such as rain/y2018-M3-d12-h5-m0.npz, expected {_EXPECTED}"
        )
    fields = [_fields(maps, name) for name, maps in found.items()]
    sizes = {(field.sizes["y"], field.sizes["x"]) for field in fields}
    if len(sizes) != 1:
        raise FormatError(f"{folder}: maps of {sorted(sizes)} cells, expected one size")
    # A time that one field lacks is missing there, not absent everywhere.
    return xr.merge(fields, join="outer", compat="no_conflicts").assign_attrs(_ATTRS)


def _fields(paths: list[Path], quantity: str) -> xr.Dataset:
    """The maps of one quantity, sorted by time."""
    name, attrs = _QUANTITIES[quantity]
    maps = [_map(path) for path in paths]
    shapes = {array.shape for array in maps}
    if len(shapes) != 1 or len(next(iter(shapes))) != 2:
        raise FormatError(
            f"{paths[0].parent}: maps of shapes {sorted(shapes)}, expected one (y, x)"
        )
    stored = np.stack(maps)
    values = stored.astype(np.float32) * _HUNDREDTH
    if quantity == "rain":
        values = rate_from_accumulation(values, minutes=_MINUTES)
        values[stored < 0] = np.nan
    rows, columns = (
        (axis, np.arange(size), {"long_name": f"{what} of the cut-out", "units": "1"})
        for axis, what, size in zip("yx", ("row", "column"), stored.shape[1:], strict=True)
    )
    times = np.array([_time(path) for path in paths])
    return xr.Dataset(
        {name: (("time", "y", "x"), values, attrs)},
        coords={"time": ("time", times, {"standard_name": "time"}), "y": rows, "x": columns},
    ).sortby("time")


def _map(path: Path) -> NDArray[Any]:
    names = npz.names(path)
    if len(names) != 1:
        raise FormatError(f"{path}: {len(names)} arrays, expected an npz file of one map")
    return npz.array(path, names[0], limit=_LIMIT)


def _time(path: Path) -> np.datetime64:
    named = _NAME.fullmatch(path.name)
    times = utc_of(*map(int, named.groups())) if named else np.array([])
    if not times.size:
        raise FormatError(f"{path}: a name without time, expected such as y2018-M3-d12-h5-m0.npz")
    time: np.datetime64 = times[0]
    return time
