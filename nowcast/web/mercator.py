"""Web Mercator: which cell of a grid each pixel of a map or tile shows.

The page is in Web Mercator, not in the radar's own projection: a browser then turns longitude and
latitude into pixels in two lines, and the page, XYZ tiles and the clients that know them share one
picture. The price is that a pixel shows the cell in which its centre lies; pixels are finer than
cells where the picture allows it, so no cell is lost.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import pyproj

from nowcast.field.grid import WGS84

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nowcast.field.grid import Grid

RADIUS = 6_378_137.0
HALF = math.pi * RADIUS  # from the middle of the world to its edge, in metres
MAXIMUM_LATITUDE = 85.0511
# A pixel's side as a fraction of a cell's, and how many pixels a picture is long: at least so many
# that hatching and edges of a small grid are lines, not blocks, and at most what a browser likes.
_FINER, _SHORTEST, _LONGEST = 0.75, 600, 2048
_EDGE_POINTS = 64


@dataclass(frozen=True, eq=False)
class Raster:
    """Pixels of a map, and the cell that each of them shows.

    Attributes:
        west, north: the outer corner of the first pixel, in metres of Web Mercator.
        pixel: the side of a pixel, likewise.
        factor: so many cells a side share a block whose largest value is shown; 1 for fine maps.
        cells: number of the block at each pixel (height, width), counted along rows; -1 outside.

    """

    west: float
    north: float
    pixel: float
    factor: int
    cells: NDArray[np.int32]

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of pixels."""
        return self.cells.shape[0], self.cells.shape[1]

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """West, south, east, north in degrees."""
        height, width = self.shape
        west, north = lonlat(self.west, self.north)
        east, south = lonlat(self.west + width * self.pixel, self.north - height * self.pixel)
        return west, south, east, north

    def show(self, values: NDArray[np.generic], *, outside: float) -> NDArray[np.generic]:
        """``values`` (y, x) at the pixels, (height, width); ``outside`` where the grid ends."""
        blocks = _largest(values, self.factor)
        padded = np.append(blocks.ravel(), np.asarray(outside, dtype=values.dtype))
        return np.asarray(padded[self.cells])


def metres(lon: float, lat: float) -> tuple[float, float]:
    """The place in Web Mercator."""
    return math.radians(lon) * RADIUS, math.asinh(math.tan(math.radians(lat))) * RADIUS


def lonlat(x: float, y: float) -> tuple[float, float]:
    """Longitude and latitude (degrees) of a place in Web Mercator."""
    return math.degrees(x / RADIUS), math.degrees(math.atan(math.sinh(y / RADIUS)))


@lru_cache(maxsize=4)
def picture_raster(grid: Grid) -> Raster:
    """The raster of one picture of the whole grid."""
    west, south, east, north = _box(grid)
    latitude = math.radians(min(abs(lonlat(0, south)[1]), abs(lonlat(0, north)[1])))
    finest = _FINER * min(grid.cell_metres) / math.cos(latitude)
    longer = max(east - west, north - south)
    pixel = max(min(finest, longer / _SHORTEST), longer / _LONGEST)
    shape = math.ceil((north - south) / pixel), math.ceil((east - west) / pixel)
    return _raster(grid, west=west, north=north, pixel=pixel, shape=shape)


@lru_cache(maxsize=256)
def tile_raster(grid: Grid, *, zoom: int, column: int, row: int, size: int) -> Raster:
    """The raster of an XYZ tile of ``size`` pixels a side."""
    side = 2 * HALF / 2**zoom
    west, north = column * side - HALF, HALF - row * side
    return _raster(grid, west=west, north=north, pixel=side / size, shape=(size, size))


def cells_at(
    grid: Grid, lon: NDArray[np.float64], lat: NDArray[np.float64]
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.bool_]]:
    """Row and column of the cell at each place (degrees), and whether the grid has it; 0 if not."""
    across, down = _from_lonlat(grid).transform(lon, lat)
    with np.errstate(invalid="ignore"):
        row = np.floor((grid.north - down) / grid.dy)
        column = np.floor((across - grid.west) / grid.dx)
        inside = (row >= 0) & (row < grid.height) & (column >= 0) & (column < grid.width)
    return np.where(inside, row, 0).astype(int), np.where(inside, column, 0).astype(int), inside


def _raster(
    grid: Grid, *, west: float, north: float, pixel: float, shape: tuple[int, int]
) -> Raster:
    """Which block each pixel shows; blocks are as coarse as whole cells fit into a pixel."""
    height, width = shape
    x = west + pixel * (np.arange(width) + 0.5)
    y = north - pixel * (np.arange(height) + 0.5)
    lon, lat = np.degrees(x / RADIUS), np.degrees(np.arctan(np.sinh(y / RADIUS)))
    row, column, inside = cells_at(grid, *np.meshgrid(lon, lat))
    scale = math.cos(math.radians(float(np.mean(lat))))
    factor = max(1, int(pixel * scale / max(grid.cell_metres)))
    number = row // factor * math.ceil(grid.width / factor) + column // factor
    cells = np.where(inside, number, -1).astype(np.int32)
    return Raster(west=west, north=north, pixel=pixel, factor=factor, cells=cells)


def _largest(values: NDArray[np.generic], factor: int) -> NDArray[np.generic]:
    """The largest value of every block of ``factor`` x ``factor`` cells; NaN where all are."""
    if factor == 1:
        return values
    rows = np.arange(0, values.shape[0], factor)
    columns = np.arange(0, values.shape[1], factor)
    return np.asarray(np.fmax.reduceat(np.fmax.reduceat(values, rows, axis=0), columns, axis=1))


def _box(grid: Grid) -> tuple[float, float, float, float]:
    """West, south, east, north of the grid in metres of Web Mercator."""
    left, right, bottom, top = grid.extent
    x, y = np.linspace(left, right, _EDGE_POINTS), np.linspace(bottom, top, _EDGE_POINTS)
    lon, lat = _to_lonlat(grid).transform(*np.meshgrid(x, y))
    seen = np.isfinite(lon) & np.isfinite(lat)
    lat = np.clip(lat[seen], -MAXIMUM_LATITUDE, MAXIMUM_LATITUDE)
    across = np.radians(lon[seen]) * RADIUS
    down = np.arcsinh(np.tan(np.radians(lat))) * RADIUS
    return float(across.min()), float(down.min()), float(across.max()), float(down.max())


@lru_cache(maxsize=8)
def _to_lonlat(grid: Grid) -> pyproj.Transformer:
    return pyproj.Transformer.from_crs(grid.crs, WGS84, always_xy=True)


@lru_cache(maxsize=8)
def _from_lonlat(grid: Grid) -> pyproj.Transformer:
    return pyproj.Transformer.from_crs(WGS84, grid.crs, always_xy=True)
