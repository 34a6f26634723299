"""Radar composites as single-band GeoTIFF, as FMI publishes them."""

from __future__ import annotations

import re
import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
import pyproj

from nowcast.field.errors import FormatError, SchemaError, UnsafeFileError, UsageError
from nowcast.field.grid import Grid
from nowcast.ingest.readers.coding import FMI_ZR, Coding, Quantity
from nowcast.ingest.readers.single import single_frame, utc

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from nowcast.field.schema import Frames
    from nowcast.field.units import ZR

_EXPECTED = "a GeoTIFF of one band"
_MAGIC = (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+")
_CELL_LIMIT = 2**26
_ITEM = re.compile(r'<Item name="([^"<>]*)"[^<>]*>([^<>]*)</Item>')


@dataclass(frozen=True)
class GeoTiff:
    """A GeoTIFF whose numbers stand for reflectivity (dBZ) or rain rate (mm h-1).

    What the file states itself (gain, offset, nodata, undetect in FMI's metadata, or GDAL's scale,
    offset and nodata) wins over these settings.

    Attributes:
        gain, offset: value = gain * number + offset.
        nodata, undetect: the numbers of an unseen cell and of one without echo.
        quantity: what the value is.
        zr: from reflectivity to rain rate.

    """

    gain: float = 0.5
    offset: float = -32.0
    nodata: float | None = 255
    undetect: float | None = 0
    quantity: Quantity = "dbz"
    zr: ZR = FMI_ZR

    def __post_init__(self) -> None:
        if self.quantity not in get_args(Quantity):
            expected = " or ".join(get_args(Quantity))
            raise UsageError(f"GeoTIFF quantity {self.quantity!r}, expected {expected}")

    def matches(self, path: Path) -> bool:
        """Whether the file starts as a TIFF does and has a projection."""
        try:
            with path.open("rb") as stream:
                if stream.read(4) not in _MAGIC:
                    return False
            with _opened(path) as tiff:
                return tiff.crs is not None
        except (OSError, FormatError):
            return False

    def times(self, path: Path) -> NDArray[np.datetime64]:
        """The observation time in FMI's metadata; none in other GeoTIFFs."""
        with _opened(path) as tiff:
            return _stated_time(_items(tiff))

    def read(self, path: Path, *, stamp: np.datetime64 | None = None) -> Frames:
        """The frame, north first; raises FormatError and UnsafeFileError."""
        with _opened(path) as tiff:
            said = _items(tiff)
            grid, south_first = _grid(tiff, path=path)
            coding = self._coding(tiff, said=said, path=path)
            stored = tiff.read(1)
        if south_first:
            stored = stored[::-1]
        return single_frame(
            coding.rate_mm_h(stored),
            path=path,
            grid=grid,
            stated=_stated_time(said),
            stamp=stamp,
            attrs={"title": said["Quantity"]} if "Quantity" in said else {},
        )

    def _coding(self, tiff: Any, *, said: dict[str, str], path: Path) -> Coding:
        gain, offset, nodata = self.gain, self.offset, self.nodata
        if (tiff.scales[0], tiff.offsets[0]) != (1.0, 0.0):
            gain, offset = tiff.scales[0], tiff.offsets[0]
        if tiff.nodata is not None:
            nodata = tiff.nodata
        try:
            return Coding(
                gain=float(said.get("Gain", gain)),
                offset=float(said.get("Offset", offset)),
                nodata=_number(said.get("Nodata", nodata)),
                undetect=_number(said.get("Undetect", self.undetect)),
                quantity=self.quantity,
                zr=self.zr,
            )
        except ValueError as error:
            raise FormatError(f"{path}: metadata that are no numbers: {error}") from error


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """The file as a rasterio dataset of one band and a bearable size.

    The GTiff driver alone: any other that GDAL has would follow a file named .tif to other files or
    into the network. No side-car files either.
    """
    import rasterio  # noqa: PLC0415
    from rasterio.errors import NotGeoreferencedWarning, RasterioError  # noqa: PLC0415

    environment = {"GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR", "GDAL_PAM_ENABLED": "NO"}
    try:
        with (
            warnings.catch_warnings(action="ignore", category=NotGeoreferencedWarning),
            rasterio.Env(**environment),
            rasterio.open(path, driver="GTiff") as tiff,
        ):
            if tiff.count != 1:
                raise FormatError(f"{path}: {tiff.count} bands, expected {_EXPECTED}")
            if tiff.width * tiff.height > _CELL_LIMIT:
                raise UnsafeFileError(
                    f"{path}: declares {tiff.height}x{tiff.width} cells, "
                    f"expected at most {_CELL_LIMIT}: not read"
                )
            yield tiff
    except (RasterioError, OSError) as error:
        raise FormatError(f"{path}: cannot be read ({error}), expected {_EXPECTED}") from error


def _items(tiff: Any) -> dict[str, str]:
    """FMI's metadata: XML within a TIFF tag, of which we want names and texts only."""
    return dict(_ITEM.findall(tiff.tags().get("GDAL_METADATA", "")))


def _stated_time(said: dict[str, str]) -> NDArray[np.datetime64]:
    return utc(said.get("Observation time", ""), "%Y%m%d%H%M")


def _number(value: str | float | None) -> float | None:
    return None if value is None else float(value)


def _grid(tiff: Any, *, path: Path) -> tuple[Grid, bool]:
    """The grid, and whether the file's rows go north."""
    transform = tiff.transform
    if tiff.crs is None:
        raise FormatError(f"{path}: no projection in the file, expected {_EXPECTED} with one")
    if transform.b or transform.d or transform.a <= 0 or transform.e == 0:
        raise FormatError(f"{path}: a rotated or mirrored grid, expected rows from west to east")
    code = tiff.crs.to_epsg()
    south_first = transform.e > 0
    try:
        grid = Grid(
            crs=pyproj.CRS.from_epsg(code) if code else pyproj.CRS.from_wkt(tiff.crs.to_wkt()),
            west=transform.c,
            north=transform.f + transform.e * tiff.height * south_first,
            dx=transform.a,
            dy=abs(transform.e),
            height=tiff.height,
            width=tiff.width,
        )
    except (SchemaError, pyproj.exceptions.CRSError) as error:
        raise FormatError(f"{path}: {error}") from error
    return grid, south_first
