"""UK Met Office NIMROD composites of rain rate, plain, gzip or bzip2."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyproj

from nowcast.field.errors import FormatError, SchemaError
from nowcast.field.grid import Grid
from nowcast.ingest.readers.coding import Coding
from nowcast.ingest.readers.compressed import contents, head
from nowcast.ingest.readers.single import single_frame, utc_of

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from nowcast.field.schema import Frames

_EXPECTED = "one NIMROD field of rain rate (mm/h) on the British National Grid"
_LIMIT = 64 << 20
# Big-endian, as one Fortran record of 512 bytes between its lengths; names after the Met Office's
# "NIMROD file format" description.
_HEADER = np.dtype(
    [
        ("length", ">i4"),
        ("valid", ">i2", 6),  # year, month, day, hour, minute, second
        ("issued", ">i2", 5),
        ("data_type", ">i2"),  # 1: integers
        ("data_bytes", ">i2"),
        ("experiment", ">i2"),
        ("grid_type", ">i2"),  # 0: British National Grid
        ("height", ">i2"),
        ("width", ">i2"),
        ("release", ">i2"),
        ("field", ">i2"),
        ("vertical", ">i2", 4),
        ("origin", ">i2"),  # 0: the first cell is the north-western one
        ("missing", ">i2"),
        ("more_integers", ">i2", 6),
        ("levels", ">f4", 2),
        ("north_m", ">f4"),  # centre of the first cell
        ("dy_m", ">f4"),
        ("west_m", ">f4"),
        ("dx_m", ">f4"),
        ("more_numbers", ">f4", 67),
        ("units", "S8"),
        ("source", "S24"),
        ("title", "S24"),
        ("last_integers", ">i2", 51),
        ("length_again", ">i4"),
        ("data_length", ">i4"),
    ]
)
_HEADER_BYTES = 512
_INTEGERS, _NATIONAL_GRID, _NORTH_WEST = 1, 0, 0


@dataclass(frozen=True)
class Nimrod:
    """NIMROD: whole numbers of 1/32 mm h-1 (as the header says), -1 unseen, EPSG:27700."""

    def matches(self, path: Path) -> bool:
        """Whether this starts with a NIMROD header."""
        first = head(path, _HEADER.itemsize)
        if len(first) < _HEADER.itemsize:
            return False
        said = np.frombuffer(first, _HEADER)[0]
        return bool(said["length"] == said["length_again"] == _HEADER_BYTES)

    def times(self, path: Path) -> NDArray[np.datetime64]:
        """The valid time of the header; raises FormatError."""
        return _stated_time(_field(path)[0])

    def read(self, path: Path, *, stamp: np.datetime64 | None = None) -> Frames:
        """The frame, north first; raises FormatError and UnsafeFileError."""
        said, stored = _field(path)
        unit, _, per_mm_h = _text(said["units"]).partition("*")
        if unit.lower() != "mm/h" or not (per_mm_h or "1").isdigit() or per_mm_h == "0":
            raise FormatError(f"{path}: units {_text(said['units'])!r}, expected {_EXPECTED}")
        coding = Coding(
            gain=1.0 / int(per_mm_h or 1),
            offset=0.0,
            nodata=float(said["missing"]),
            undetect=None,
            quantity="rate",
        )
        return single_frame(
            coding.rate_mm_h(stored),
            path=path,
            grid=_grid(said, path=path),
            stated=_stated_time(said),
            stamp=stamp,
            attrs={"institution": "UK Met Office", "title": _text(said["title"])},
        )


def _field(path: Path) -> tuple[np.void, NDArray[np.int16]]:
    data = contents(path, expected=_EXPECTED, limit=_LIMIT)
    if len(data) < _HEADER.itemsize or data[:4] != _HEADER_BYTES.to_bytes(4, "big"):
        raise FormatError(f"{path}: begins with {data[:8]!r}, expected {_EXPECTED}")
    said = np.frombuffer(data, _HEADER, count=1)[0]
    kinds = tuple(int(said[name]) for name in ("data_type", "data_bytes", "grid_type", "origin"))
    if kinds != (_INTEGERS, 2, _NATIONAL_GRID, _NORTH_WEST):
        raise FormatError(
            f"{path}: data type, bytes, grid and origin {kinds}, expected {_EXPECTED}"
        )
    height, width = int(said["height"]), int(said["width"])
    found = len(data) - _HEADER.itemsize - 4
    if height < 1 or width < 1 or not found == said["data_length"] == 2 * height * width:
        raise FormatError(
            f"{path}: {found} bytes of pixels, expected {2 * height * width} for {height}x{width}: "
            f"cut short, or more than {_EXPECTED}"
        )
    stored = np.frombuffer(data, ">i2", count=height * width, offset=_HEADER.itemsize)
    return said, stored.reshape(height, width).astype(np.int16)


def _text(field: bytes) -> str:
    return field.decode("ascii", "replace").strip(" \0")


def _stated_time(said: np.void) -> NDArray[np.datetime64]:
    return utc_of(*(int(number) for number in said["valid"]))


def _grid(said: np.void, *, path: Path) -> Grid:
    dx, dy = float(said["dx_m"]), float(said["dy_m"])
    try:
        return Grid(
            crs=pyproj.CRS.from_epsg(27700),
            west=float(said["west_m"]) - dx / 2,
            north=float(said["north_m"]) + dy / 2,
            dx=dx,
            dy=dy,
            height=int(said["height"]),
            width=int(said["width"]),
        )
    except SchemaError as error:
        raise FormatError(f"{path}: {error}") from error
