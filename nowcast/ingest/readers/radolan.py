"""DWD's RADOLAN and RADKLIM composites in their binary format, plain, gzip or bzip2."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyproj

from nowcast.field.errors import FormatError, SchemaError
from nowcast.field.grid import Grid
from nowcast.field.units import rate_from_accumulation
from nowcast.ingest.readers.compressed import contents, head
from nowcast.ingest.readers.single import single_frame

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from nowcast.field.schema import Frames

# Sums of rain that radars saw: 5 min, hours, days.
_PRODUCTS = ("RZ", "RY", "YW", "RH", "RB", "RL", "RU", "RW", "SQ", "SH", "SF")
_EXPECTED = f"a RADOLAN composite of rain depths ({', '.join(_PRODUCTS)})"
_HEADER = re.compile(rb"[A-Z][A-Z0-9]\d{6}10000\d{4}BY")
_LIMIT = 128 << 20
_RADIUS_M = 6_370_040.0
_FOREIGN = (ArithmeticError, AttributeError, EOFError, LookupError, OSError, TypeError, ValueError)


@dataclass(frozen=True)
class Radolan:
    """RADOLAN binary: rain depth within the interval that the header states, as a mean rate.

    Cells with the clutter flag keep their value: what DWD made of them.
    The grid is DWD's polar stereographic one on a sphere of 6370.04 km, here in metres.
    """

    def matches(self, path: Path) -> bool:
        """Whether this starts with the header of a RADOLAN composite."""
        return _HEADER.match(head(path, 32)) is not None

    def times(self, path: Path) -> NDArray[np.datetime64]:
        """The end of the interval, from the header; raises FormatError."""
        return _stated_time(_composite(path, pixels=False)[1])

    def read(self, path: Path, *, stamp: np.datetime64 | None = None) -> Frames:
        """The frame, north first; raises FormatError and UnsafeFileError."""
        depth_mm, said = _composite(path, pixels=True)
        minutes = said.get("intervalseconds", 0) / 60.0
        if minutes <= 0:
            raise FormatError(f"{path}: interval of {minutes:g} min, expected more than 0")
        # DWD's first row is the southern one.
        return single_frame(
            rate_from_accumulation(depth_mm[::-1], minutes=minutes),
            path=path,
            grid=_grid(*depth_mm.shape, path=path),
            stated=_stated_time(said),
            stamp=stamp,
            attrs={
                "institution": "Deutscher Wetterdienst",
                "title": f"DWD RADOLAN {said['producttype']}",
                "accumulation_minutes": minutes,
            },
        )


def _composite(path: Path, *, pixels: bool) -> tuple[NDArray[np.float64], dict[str, Any]]:
    """Depths (mm, south first, NaN unseen; empty without ``pixels``) and what the header says."""
    from wradlib.io.radolan import read_radolan_composite  # noqa: PLC0415

    data = contents(path, expected=_EXPECTED, limit=_LIMIT)
    if not _HEADER.match(data):
        raise FormatError(f"{path}: begins with {data[:16]!r}, expected {_EXPECTED}")
    product = data[:2].decode()
    if product not in _PRODUCTS:
        raise FormatError(f"{path}: product {product}, expected {_EXPECTED}")
    try:
        depth_mm, said = read_radolan_composite(io.BytesIO(data), missing=np.nan, loaddata=pixels)
    except _FOREIGN as error:
        raise FormatError(
            f"{path}: cut short or damaged ({error}), expected {_EXPECTED}"
        ) from error
    return (np.empty((0, 0)) if depth_mm is None else depth_mm), said


def _stated_time(said: dict[str, Any]) -> NDArray[np.datetime64]:
    return np.array([said["datetime"]], dtype="datetime64[ns]")


def _grid(height: int, width: int, *, path: Path) -> Grid:
    from wradlib.georef import get_radolan_coordinates  # noqa: PLC0415

    crs = pyproj.CRS.from_dict(
        {"proj": "stere", "lat_0": 90, "lat_ts": 60, "lon_0": 10, "R": _RADIUS_M}
    )
    try:
        x_km, y_km = get_radolan_coordinates(height, width, mode="center")
        return Grid.from_centres(crs, y=y_km[::-1] * 1000.0, x=x_km * 1000.0)
    except (ValueError, SchemaError) as error:
        raise FormatError(f"{path}: a RADOLAN grid of {height}x{width} cells: {error}") from error
