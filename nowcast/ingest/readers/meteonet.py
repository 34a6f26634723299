"""Météo-France's MeteoNet rain accumulations: npz files of many 5-minute maps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nowcast.field.errors import FormatError, SchemaError
from nowcast.field.grid import WGS84, Grid
from nowcast.field.schema import frames_dataset
from nowcast.field.units import rate_from_accumulation
from nowcast.ingest.readers import npz

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from nowcast.field.schema import Frames

_EXPECTED = "MeteoNet rain: an npz file with data (time, y, x) and dates"
_MINUTES = 5.0
_MISSING = -1
_MAP_DIMENSIONS = 3
_COORDINATES_LIMIT = 64 << 20
# Outer north-western corner of the zones NW and SE; the grid files hold the centres of the cells.
_CELL_DEGREES = 0.01
_CORNERS = {(565, 784): (51.896, -5.842), (515, 784): (46.25, 2.0)}


@dataclass(frozen=True)
class MeteonetNpz:
    """MeteoNet npz: 1/100 mm per 5 min, -1 unseen, on latitude and longitude (EPSG:4326).

    The grid comes from a ``radar_coords_*.npz`` of the same shape beside the file, else from the
    shape, which tells the zones apart.

    Attributes:
        byte_limit: the largest map array that is read; a full file of eleven days holds 2.8 GB.

    """

    byte_limit: int = 3 << 30

    def matches(self, path: Path) -> bool:
        """Whether this is an npz file with data and dates."""
        return {"data", "dates"} <= set(npz.names(path))

    def times(self, path: Path) -> NDArray[np.datetime64]:
        """The ends of the 5-minute intervals, in the order of the file; raises FormatError."""
        return npz.times(path, "dates")

    def read(self, path: Path, *, stamp: np.datetime64 | None = None) -> Frames:
        """All frames; ``stamp`` counts only where the file holds one.

        Raises FormatError and UnsafeFileError.
        """
        depths = npz.array(path, "data", limit=self.byte_limit)
        times = self.times(path)
        if depths.ndim != _MAP_DIMENSIONS or depths.shape[0] != times.size or not times.size:
            raise FormatError(
                f"{path}: data of shape {depths.shape} for {times.size} dates, expected {_EXPECTED}"
            )
        if times.size == 1 and stamp is not None:
            times = np.array([stamp])
        rate = rate_from_accumulation(depths, minutes=_MINUTES) * np.float32(0.01)
        rate[depths == _MISSING] = np.nan
        try:
            return frames_dataset(
                rate,
                times=times,
                grid=_grid(path, depths.shape[1:]),
                attrs={
                    "institution": "Météo-France",
                    "title": "MeteoNet rain accumulation",
                    "accumulation_minutes": _MINUTES,
                },
            )
        except SchemaError as error:
            raise FormatError(f"{path}: {error}") from error


def _grid(path: Path, shape: tuple[int, ...]) -> Grid:
    for beside in sorted(path.parent.glob("radar_coords_*.npz")):
        latitudes = npz.array(beside, "lats", limit=_COORDINATES_LIMIT)
        if latitudes.shape == shape:
            longitudes = npz.array(beside, "lons", limit=_COORDINATES_LIMIT)
            return Grid.from_centres(WGS84, y=latitudes[:, 0], x=longitudes[0])
    if shape not in _CORNERS:
        known = " and ".join(f"{height}x{width}" for height, width in _CORNERS)
        raise FormatError(
            f"{path}: maps of {'x'.join(map(str, shape))} cells, expected {known}, "
            "or a radar_coords_*.npz of that shape beside the file"
        )
    north, west = _CORNERS[shape[0], shape[1]]
    return Grid(
        crs=WGS84,
        west=west,
        north=north,
        dx=_CELL_DEGREES,
        dy=_CELL_DEGREES,
        height=shape[0],
        width=shape[1],
    )
