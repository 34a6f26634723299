"""NOAA's MRMS mosaics of the United States as GRIB2, plain or gzipped."""

from __future__ import annotations

import io
import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from nowcast.field.errors import FormatError, SchemaError, UnsafeFileError
from nowcast.field.grid import WGS84, Grid
from nowcast.ingest.readers.coding import MARSHALL_PALMER
from nowcast.ingest.readers.compressed import contents, head
from nowcast.ingest.readers.single import single_frame, utc_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from nowcast.field.schema import Frames
    from nowcast.field.units import ZR

_EXPECTED = "one GRIB2 message of MRMS (discipline 209): a rain rate or a reflectivity"
_DISCIPLINE = 209
_SCALES = ("binary", "decimal")
_BYTE_LIMIT = 256 << 20
_SECTION_HEADER_BYTES = 5
_CELL_LIMIT = 60_000_000
# Category and number in NOAA's MRMS tables (v12.2).
_RATE = {(6, 1): "PrecipRate"}
_REFLECTIVITY = {
    (3, 57): "ReflectivityAtLowestAltitude",
    (8, 8): "SeamlessHSR",
    (10, 0): "MergedReflectivityQCComposite",
}
# -99 is below the threshold, -999 no coverage; cut between them and the echoes.
_NO_ECHO_BELOW_DBZ, _UNSEEN_BELOW_DBZ = -90.0, -500.0


@dataclass(frozen=True)
class MrmsGrib:
    """MRMS GRIB2: rain rate (mm h-1; -3 no coverage) or reflectivity (dBZ; -999, -99 no echo).

    The grid is taken as WGS 84: the ellipsoid in the files (IAU 1965) has no datum, so that no
    transformation of it would move a cell.

    Attributes:
        zr: from reflectivity to rain rate.

    """

    zr: ZR = MARSHALL_PALMER

    def matches(self, path: Path) -> bool:
        """Whether this is a GRIB2 message of MRMS."""
        first = head(path, 8)
        return first[:4] == b"GRIB" and first[6:8] == bytes([_DISCIPLINE, 2])

    def times(self, path: Path) -> NDArray[np.datetime64]:
        """The reference time of the message, to the second; raises FormatError."""
        with _message(path) as handle:
            return _stated_time(handle)

    def read(self, path: Path, *, stamp: np.datetime64 | None = None) -> Frames:
        """The frame, north first and west first; raises FormatError and UnsafeFileError."""
        with _message(path) as handle:
            grid, south_first = _grid(handle, path=path)
            name, is_rate = _product(handle, path=path)
            numbers, values = _numbers(handle, path=path, shape=grid.shape)
            stated = _stated_time(handle)
        if is_rate:
            # -3 is no coverage and -1 missing; there is no negative rain.
            values[values < 0] = np.nan
        else:
            values[values < _UNSEEN_BELOW_DBZ] = np.nan
            values[values < _NO_ECHO_BELOW_DBZ] = -np.inf
            with np.errstate(over="ignore"):  # a cell of infinite rain is refused below
                values = self.zr.rate_mm_h(values)
        rate = values if numbers is None else values[numbers]
        return single_frame(
            rate[::-1] if south_first else rate,
            path=path,
            grid=grid,
            stated=stated,
            stamp=stamp,
            attrs={
                "institution": "NOAA National Severe Storms Laboratory",
                "title": f"MRMS {name}",
            },
        )


@contextmanager
def _message(path: Path) -> Iterator[Any]:
    """The eccodes handle of the one message, whole; its errors come out as FormatError."""
    # eccodes 2.43 and later lay a PROJ of their own over everybody's, which breaks pyproj where it
    # comes second; field.grid has imported it by now.
    import eccodes  # noqa: PLC0415

    data = contents(path, expected=_EXPECTED, limit=_BYTE_LIMIT)
    if data[:4] != b"GRIB" or data[6:8] != bytes([_DISCIPLINE, 2]):
        raise FormatError(f"{path}: begins with {data[:8]!r}, expected {_EXPECTED}")
    length = int.from_bytes(data[8:16], "big")
    if length != len(data):
        raise FormatError(
            f"{path}: {len(data)} bytes where the message declares {length}: "
            f"cut short, or more than {_EXPECTED}"
        )
    try:
        handle = eccodes.codes_new_from_message(data)
        try:
            yield handle
        finally:
            eccodes.codes_release(handle)
    except eccodes.CodesInternalError as error:
        raise FormatError(f"{path}: damaged GRIB ({error}), expected {_EXPECTED}") from error


def _get(handle: Any, name: str) -> Any:
    import eccodes  # noqa: PLC0415

    return eccodes.codes_get(handle, name)


def _stated_time(handle: Any) -> NDArray[np.datetime64]:
    names = ("year", "month", "day", "hour", "minute", "second")
    return utc_of(*(int(_get(handle, name)) for name in names))


def _product(handle: Any, *, path: Path) -> tuple[str, bool]:
    """The product's name, and whether it is a rain rate."""
    number = (_get(handle, "parameterCategory"), _get(handle, "parameterNumber"))
    name = (_RATE | _REFLECTIVITY).get(number)
    if name is None:
        known = ", ".join((_RATE | _REFLECTIVITY).values())
        raise FormatError(f"{path}: MRMS parameter {number[0]}.{number[1]}, expected {known}")
    return name, number in _RATE


def _grid(handle: Any, *, path: Path) -> tuple[Grid, bool]:
    """The grid in degrees from -180 to 180, and whether the file's rows go north."""
    kind = _get(handle, "gridType")
    if (
        kind != "regular_ll"
        or _get(handle, "iScansNegatively")
        or _get(handle, "jPointsAreConsecutive")
    ):
        raise FormatError(f"{path}: a {kind} grid, expected latitude and longitude, row by row")
    height, width = int(_get(handle, "Nj")), int(_get(handle, "Ni"))
    if height * width > _CELL_LIMIT:
        raise UnsafeFileError(
            f"{path}: declares {height}x{width} cells, expected at most {_CELL_LIMIT}: not read"
        )
    south_first = bool(_get(handle, "jScansPositively"))
    ends = [_get(handle, f"latitudeOf{end}GridPointInDegrees") for end in ("First", "Last")]
    west = _get(handle, "longitudeOfFirstGridPointInDegrees")
    dx, dy = (_get(handle, f"{axis}DirectionIncrementInDegrees") for axis in "ij")
    try:
        # Whole micro-degrees, as GRIB counts them.
        return (
            Grid(
                crs=WGS84,
                west=round((west + 180.0) % 360.0 - 180.0 - dx / 2, 7),
                north=round(max(ends) + dy / 2, 7),
                dx=dx,
                dy=dy,
                height=height,
                width=width,
            ),
            south_first,
        )
    except SchemaError as error:
        raise FormatError(f"{path}: {error}") from error


def _numbers(
    handle: Any, *, path: Path, shape: tuple[int, int]
) -> tuple[NDArray[Any] | None, NDArray[np.float32]]:
    """Numbers (y, x) and the value of each possible number; no numbers and values (y, x) else.

    MRMS packs its numbers as a PNG image, which Pillow decodes: eccodes takes longer, and a damaged
    image ends the process.
    """
    import eccodes  # noqa: PLC0415

    if _get(handle, "packingType") == "grid_png" and not _get(handle, "bitmapPresent"):
        numbers = _picture(handle, path=path, shape=shape)
        binary, decimal = (np.float64(_get(handle, f"{b}ScaleFactor")) for b in _SCALES)
        with np.errstate(all="ignore"):  # what is not finite is refused later
            every = np.arange(int(numbers.max()) + 1) * 2.0**binary
            values = ((_get(handle, "referenceValue") + every) / 10.0**decimal).astype(np.float32)
        found = numbers.shape
    else:
        numbers = None
        values = eccodes.codes_get_array(handle, "values").astype(np.float32)
        found = values.shape
        values = values.reshape(shape) if values.size == shape[0] * shape[1] else values
    if found not in {shape, (shape[0] * shape[1],)}:
        raise FormatError(
            f"{path}: {'x'.join(map(str, found))} values, expected {shape[0]}x{shape[1]}"
        )
    return numbers, values


def _picture(handle: Any, *, path: Path, shape: tuple[int, int]) -> NDArray[Any]:
    """The numbers of the PNG image within the message's data section, as large as the grid."""
    import eccodes  # noqa: PLC0415
    from PIL import Image  # noqa: PLC0415

    message = eccodes.codes_get_message(handle)
    start = int(_get(handle, "offsetSection7")) + _SECTION_HEADER_BYTES
    try:
        with (
            warnings.catch_warnings(action="error", category=Image.DecompressionBombWarning),
            Image.open(io.BytesIO(message[start:]), formats=["PNG"]) as image,
        ):
            if image.mode not in {"I;16", "L"}:
                raise FormatError(f"{path}: a {image.mode} image in the GRIB, expected a grey one")
            if (image.height, image.width) != shape:  # a small one may unpack to gigabytes
                raise FormatError(
                    f"{path}: an image of {image.height}x{image.width} in the GRIB, "
                    f"expected {shape[0]}x{shape[1]} as its grid says"
                )
            return np.asarray(image)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise UnsafeFileError(f"{path}: not read ({error}), expected {_EXPECTED}") from error
    except (OSError, SyntaxError, EOFError, ValueError) as error:
        raise FormatError(f"{path}: damaged image in the GRIB ({error})") from error
