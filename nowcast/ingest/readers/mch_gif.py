"""MeteoSwiss rain accumulations (AQC, CPC) as GIF images."""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyproj

from nowcast.field.errors import FormatError, UnsafeFileError
from nowcast.field.grid import Grid
from nowcast.field.units import ZR, rate_from_accumulation
from nowcast.ingest.readers.single import single_frame, utc

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from nowcast.field.schema import Frames

_SHAPE = (640, 710)
_EXPECTED = f"a MeteoSwiss AQC or CPC image of {_SHAPE[0]}x{_SHAPE[1]} pixels with a palette"
_PRODUCT = re.compile(rb"PRDT=([A-Z]{3})(\d{9})?")
_ACCUMULATED = re.compile(rb"ACCUm=(\d{1,6})\b")
# Z = 316 R**1.5 in half dB from -34.75 dB, read as a depth instead of a rate: the scale that the
# files call mmh2LASSEN8bit.
_DEPTH = ZR(a=316.0, b=1.5)
_FIRST_WET, _LAST_WET, _UNSEEN = 2, 250, 255


@dataclass(frozen=True)
class MchGif:
    """MeteoSwiss GIF: palette numbers for mm per interval; the Swiss grid is in no file.

    255 is unseen, 0 and 1 are dry; 251 to 254, which no known product uses, are unseen too.

    Attributes:
        accumulation_minutes: the interval of files whose comment does not state it.

    """

    accumulation_minutes: float = 5.0

    def matches(self, path: Path) -> bool:
        """Whether this is a GIF of the Swiss composite's size."""
        try:
            with path.open("rb") as stream:
                first = stream.read(10)
        except OSError:
            return False
        size = (int.from_bytes(first[8:10], "little"), int.from_bytes(first[6:8], "little"))
        return first[:6] in {b"GIF87a", b"GIF89a"} and size == _SHAPE

    def times(self, path: Path) -> NDArray[np.datetime64]:
        """The time of the product name in the image's comment; none where it has no comment."""
        return _stated_time(_image(path)[1], path=path)

    def read(self, path: Path, *, stamp: np.datetime64 | None = None) -> Frames:
        """The frame, north first; raises FormatError and UnsafeFileError."""
        numbers, comment = _image(path)
        stated = _stated_time(comment, path=path)
        minutes = self.accumulation_minutes
        if accumulated := _ACCUMULATED.search(comment):
            minutes = float(accumulated[1])
        if minutes <= 0:
            raise FormatError(f"{path}: accumulated over {minutes:g} min, expected more than 0")
        grid = Grid(
            crs=pyproj.CRS.from_epsg(21781),
            west=255_000.0,
            north=480_000.0,
            dx=1000.0,
            dy=1000.0,
            height=_SHAPE[0],
            width=_SHAPE[1],
        )
        return single_frame(
            rate_from_accumulation(_depths_mm()[numbers], minutes=minutes),
            path=path,
            grid=grid,
            stated=stated,
            stamp=stamp,
            attrs={
                "institution": "MeteoSwiss",
                "title": "MeteoSwiss rain accumulation",
                "accumulation_minutes": minutes,
            },
        )


def _depths_mm() -> NDArray[np.float32]:
    """The depth (mm) of each of the 256 numbers; NaN is unseen."""
    numbers = np.arange(256)
    depth = _DEPTH.rate_mm_h((numbers - 71.5) / 2.0)
    depth[numbers < _FIRST_WET] = 0
    depth[numbers > _LAST_WET] = np.nan
    return depth


def _image(path: Path) -> tuple[NDArray[np.uint8], bytes]:
    """The palette numbers and the comment."""
    from PIL import Image, UnidentifiedImageError  # noqa: PLC0415

    try:
        with (
            warnings.catch_warnings(action="error", category=Image.DecompressionBombWarning),
            Image.open(path, formats=["GIF"]) as image,
        ):
            found = f"a {image.mode} image of {image.height}x{image.width}"
            if (image.height, image.width) != _SHAPE or image.mode not in {"P", "L"}:
                raise FormatError(f"{path}: {found}, expected {_EXPECTED}")
            comment: Any = image.info.get("comment", b"")
            return np.asarray(image), bytes(comment)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise UnsafeFileError(f"{path}: not read ({error}), expected {_EXPECTED}") from error
    except (UnidentifiedImageError, OSError, SyntaxError, EOFError, ValueError) as error:
        raise FormatError(f"{path}: cannot be read ({error}), expected {_EXPECTED}") from error


def _stated_time(comment: bytes, *, path: Path) -> NDArray[np.datetime64]:
    named = _PRODUCT.search(comment)
    if named is None:
        return utc("", "%y%j%H%M")
    if named[1] not in {b"AQC", b"CPC"}:
        raise FormatError(f"{path}: product {named[1].decode()}, expected AQC or CPC")
    return utc((named[2] or b"").decode(), "%y%j%H%M")
