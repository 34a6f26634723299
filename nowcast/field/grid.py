"""Where the cells of a field lie: a regular grid in a map projection, or in lon and lat."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pyproj

from nowcast.field.errors import SchemaError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

WGS84 = pyproj.CRS.from_epsg(4326)
EARTH_RADIUS_M = 6_371_000.0


@dataclass(frozen=True)
class Grid:
    """A regular grid, north first.

    Attributes:
        crs: the coordinate reference system, in metres or in degrees.
        west, north: the outer corner of the first cell (row 0, column 0), in metres or degrees.
        dx, dy: the size of a cell, both positive; rows go south.
        height, width: the number of rows and columns.

    """

    crs: pyproj.CRS
    west: float
    north: float
    dx: float
    dy: float
    height: int
    width: int

    def __post_init__(self) -> None:
        if self.height < 1 or self.width < 1:
            raise SchemaError(
                f"a grid of {self.height} x {self.width} cells, expected at least 1 x 1"
            )
        if not (self.dx > 0 and self.dy > 0):
            raise SchemaError(f"cells of {self.dx} x {self.dy}, expected positive sizes")
        if not self.crs.is_geographic and any(
            axis.unit_conversion_factor != 1.0 for axis in self.crs.axis_info
        ):
            units = {axis.unit_name for axis in self.crs.axis_info}
            raise SchemaError(f"a projection in {', '.join(sorted(units))}, expected metres")

    @classmethod
    def from_centres(cls, crs: pyproj.CRS, *, y: ArrayLike, x: ArrayLike) -> Grid:
        """The grid with cell centres ``y`` (descending) and ``x`` (ascending), evenly spaced."""
        dy, dx = -_spacing(y, "y"), _spacing(x, "x")
        rows, columns = np.asarray(y, dtype=float), np.asarray(x, dtype=float)
        return cls(
            crs=crs,
            west=float(columns[0] - dx / 2),
            north=float(rows[0] + dy / 2),
            dx=dx,
            dy=dy,
            height=rows.size,
            width=columns.size,
        )

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.height, self.width

    @property
    def is_geographic(self) -> bool:
        """Whether x and y are longitude and latitude in degrees."""
        return bool(self.crs.is_geographic)

    @property
    def x(self) -> NDArray[np.float64]:
        """Cell centres along a row, (width,), ascending."""
        return np.asarray(self.west + self.dx * (np.arange(self.width) + 0.5), dtype=np.float64)

    @property
    def y(self) -> NDArray[np.float64]:
        """Cell centres along a column, (height,), descending."""
        return np.asarray(self.north - self.dy * (np.arange(self.height) + 0.5), dtype=np.float64)

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """West, east, south, north: the outer edges."""
        return (
            self.west,
            self.west + self.dx * self.width,
            self.north - self.dy * self.height,
            self.north,
        )

    @property
    def geotransform(self) -> tuple[float, float, float, float, float, float]:
        """GDAL's order: west, dx, 0, north, 0, -dy."""
        return (self.west, self.dx, 0.0, self.north, 0.0, -self.dy)

    @property
    def cell_metres(self) -> tuple[float, float]:
        """The size (dy, dx) of a cell in metres; on a lat/lon grid that of its middle row."""
        if not self.is_geographic:
            return self.dy, self.dx
        metres = np.deg2rad(1.0) * EARTH_RADIUS_M
        middle = np.deg2rad((self.extent[2] + self.extent[3]) / 2)
        return self.dy * metres, float(self.dx * metres * np.cos(middle))

    @cached_property
    def _to_lonlat(self) -> pyproj.Transformer:
        return pyproj.Transformer.from_crs(self.crs, WGS84, always_xy=True)

    @cached_property
    def _from_lonlat(self) -> pyproj.Transformer:
        return pyproj.Transformer.from_crs(WGS84, self.crs, always_xy=True)

    def lonlat(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Longitude and latitude (degrees, WGS 84) of all cell centres, each (height, width)."""
        x, y = np.meshgrid(self.x, self.y)
        lon, lat = self._to_lonlat.transform(x, y)
        return np.asarray(lon), np.asarray(lat)

    def lonlat_of(self, row: ArrayLike, column: ArrayLike) -> tuple[float, float]:
        """Longitude and latitude of the centre of a cell; fractions lie between centres."""
        x = self.west + self.dx * (np.asarray(column, dtype=float) + 0.5)
        y = self.north - self.dy * (np.asarray(row, dtype=float) + 0.5)
        lon, lat = self._to_lonlat.transform(x, y)
        return float(lon), float(lat)

    def cell(self, *, lon: float, lat: float) -> tuple[int, int] | None:
        """Row and column of the cell that holds a place, or None outside the grid."""
        x, y = self._from_lonlat.transform(lon, lat)
        if not (np.isfinite(x) and np.isfinite(y)):
            return None
        row = int(np.floor((self.north - y) / self.dy))
        column = int(np.floor((x - self.west) / self.dx))
        inside = 0 <= row < self.height and 0 <= column < self.width
        return (row, column) if inside else None

    def same_as(self, other: Grid) -> bool:
        """Whether both grids put every cell at the same place, to a thousandth of a cell."""
        if self.shape != other.shape or not np.allclose(
            [self.dx, self.dy], [other.dx, other.dy], rtol=1e-6
        ):
            return False
        close = abs(self.west - other.west) < 1e-3 * self.dx
        close &= abs(self.north - other.north) < 1e-3 * self.dy
        return bool(close and self.crs.equals(other.crs, ignore_axis_order=True))

    def __str__(self) -> str:
        """Size, cell size and projection, as a message shows them."""
        unit = "degree" if self.is_geographic else "m"
        name, operation = self.crs.name, self.crs.coordinate_operation
        if name in {"unknown", "undefined"} and operation is not None:
            name = operation.method_name
        return f"{self.height}x{self.width} cells of {self.dy:g}x{self.dx:g} {unit}, {name}"


def _spacing(values: ArrayLike, name: str) -> float:
    """The step of evenly spaced values (negative where they descend)."""
    centres = np.asarray(values, dtype=float)
    if centres.ndim != 1 or centres.size < 2:
        raise SchemaError(f"coordinate {name} of shape {centres.shape}, expected at least 2 values")
    step = (centres[-1] - centres[0]) / (centres.size - 1)
    steps = np.diff(centres)
    # Coordinates stored as float32 wobble in their last digits; a hundredth of a cell is harmless.
    if not (np.isfinite(step) and step != 0 and np.abs(steps - step).max() <= 0.01 * abs(step)):
        raise SchemaError(
            f"coordinate {name} is not evenly spaced: steps {steps.min():g} to {steps.max():g}"
        )
    return float(step)
