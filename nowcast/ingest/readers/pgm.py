"""FMI's reflectivity composites as 8-bit PGM images, plain or gzipped."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyproj

from nowcast.field.errors import FormatError
from nowcast.field.grid import Grid
from nowcast.ingest.readers.coding import FMI_ZR, Coding
from nowcast.ingest.readers.compressed import contents, head
from nowcast.ingest.readers.projection import projection
from nowcast.ingest.readers.single import single_frame, utc

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from nowcast.field.schema import Frames
    from nowcast.field.units import ZR

_EXPECTED = "an FMI radar composite (8-bit binary PGM with its grid in the comments)"
_LIMIT = 128 << 20
_HEADER_LIMIT = 16384
# The header leaves the Earth's radius out. Only this one makes the corners as far apart as the
# metres per pixel say (760 x 999.674 m and 1226 x 999.629 m, both to a centimetre).
_EARTH_RADIUS_M = 6_371_288.0
_UNSEEN, _NO_ECHO = 255, 0
_CORNERS = ("bottomleft", "topright")


@dataclass(frozen=True)
class FmiPgm:
    """FMI PGM: dBZ = 0.5 v - 32, 255 unseen, 0 no echo; grid, time and product in the comments.

    Attributes:
        zr: from reflectivity to rain rate; FMI's own relation is Z = 223 R**1.53.

    """

    zr: ZR = FMI_ZR

    def matches(self, path: Path) -> bool:
        """Whether this is a binary PGM whose comments hold an FMI grid."""
        first = head(path, _HEADER_LIMIT)
        return first.startswith(b"P5") and b"# metersperpixel_x" in first

    def times(self, path: Path) -> NDArray[np.datetime64]:
        """The observation time of the header; raises FormatError on a foreign file."""
        first = head(path, _HEADER_LIMIT) or contents(path, expected=_EXPECTED, limit=_LIMIT)
        return _stated_time(_header(first, path=path)[0])

    def read(self, path: Path, *, stamp: np.datetime64 | None = None) -> Frames:
        """The frame, north first; raises FormatError and UnsafeFileError."""
        data = contents(path, expected=_EXPECTED, limit=_LIMIT)
        said, (width, height), start = _header(data, path=path)
        if len(data) - start != width * height:
            raise FormatError(
                f"{path}: {len(data) - start} bytes of pixels, "
                f"expected {width * height} for {height}x{width}: the file is cut short or foreign"
            )
        stored = np.frombuffer(data, np.uint8, offset=start).reshape(height, width)
        coding = Coding(gain=0.5, offset=-32.0, nodata=_UNSEEN, undetect=_NO_ECHO, zr=self.zr)
        return single_frame(
            coding.rate_mm_h(stored),
            path=path,
            grid=_grid(said, width=width, height=height, path=path),
            stated=_stated_time(said),
            stamp=stamp,
            attrs={
                "institution": "Finnish Meteorological Institute",
                "title": f"FMI radar composite {said.get('productname', '')}".strip(),
            },
        )


def _header(data: bytes, *, path: Path) -> tuple[dict[str, str], tuple[int, int], int]:
    """What the comments say, width and height, and where the pixels start."""
    said: dict[str, str] = {}
    numbers: list[int] = []
    position = 0
    while len(numbers) < 3:
        end = data.find(b"\n", position, _HEADER_LIMIT)
        line = data[position:end].decode("ascii", "replace").strip()
        if end < 0 or (position == 0 and line != "P5"):
            raise FormatError(f"{path}: begins with {data[:16]!r}, expected {_EXPECTED}")
        if line.startswith("#"):
            key, _, value = line[1:].strip().partition(" ")
            said[key] = value.strip()
        elif position > 0:
            try:
                numbers += [int(word) for word in line.split()]
            except ValueError as error:
                raise FormatError(
                    f"{path}: {line!r} in the PGM header, expected numbers"
                ) from error
        position = end + 1
    width, height, maximum = numbers[:3]
    if maximum != _UNSEEN or width < 1 or height < 1:
        raise FormatError(
            f"{path}: {width}x{height} pixels of up to {maximum}, expected {_EXPECTED}"
        )
    parameter = said.get("param", "")
    if parameter and "reflectivity" not in parameter.lower():
        raise FormatError(f"{path}: holds {parameter}, expected a reflectivity (dBZ)")
    return said, (width, height), position


def _stated_time(said: dict[str, str]) -> NDArray[np.datetime64]:
    return utc(said.get("obstime", ""), "%Y%m%d%H%M")


def _grid(said: dict[str, str], *, width: int, height: int, path: Path) -> Grid:
    """The grid between the outer corners that the comments give in degrees."""
    if said.get("type") != "stereographic":
        raise FormatError(f"{path}: projection {said.get('type')!r}, expected stereographic")
    try:
        centre = {
            "lat_0": float(said["centrallatitude"]),
            "lon_0": float(said["centrallongitude"]),
            "lat_ts": float(said["truelatitude"]),
        }
        lon, lat = zip(*(map(float, said[name].split()) for name in _CORNERS), strict=True)
        pixel_m = [float(said[name]) for name in ("metersperpixel_x", "metersperpixel_y")]
    except (KeyError, ValueError) as error:
        raise FormatError(f"{path}: the comments do not give the grid: {error}") from error
    words = " ".join(f"+{name}={value}" for name, value in centre.items())
    crs, _ = projection(f"+proj=stere {words} +R={_EARTH_RADIUS_M}", path=path)
    projected = pyproj.Transformer.from_crs(crs.geodetic_crs, crs, always_xy=True)
    (west, east), (south, north) = projected.transform(lon, lat)
    sizes_m = ((east - west) / width, (north - south) / height)
    if not np.allclose(sizes_m, pixel_m, rtol=1e-3):
        raise FormatError(
            f"{path}: {sizes_m[0]:.1f}x{sizes_m[1]:.1f} m a pixel between the corners, "
            f"but {pixel_m[0]:.1f}x{pixel_m[1]:.1f} m in the header"
        )
    return Grid(
        crs=crs, west=west, north=north, dx=sizes_m[0], dy=sizes_m[1], height=height, width=width
    )
