"""Geography under a grid: read, projected and clipped once, then drawn on any number of maps."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pyproj

from nowcast.field.grid import WGS84, Grid
from nowcast.products.map_data import LAYERS, Box, MapData, Place

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from shapely.geometry.base import BaseGeometry

# Up to which size of the map (its longer side) a scale of Natural Earth serves.
_FINE_M, _MEDIUM_M = 1.6e6, 8e6
# How far a straight edge in longitude and latitude may go before it must bend, in degrees.
_LONGEST_EDGE = 0.5


@dataclass(frozen=True)
class Basemap:
    """Geography in the coordinates of a grid, cut at its edge.

    Attributes:
        layers: geometries by layer (see ``map_data.LAYERS``).
        places: towns within the grid, the largest first, with their x and y.
        credits: whose data each layer is, and ``places``; None where this machine has no data.

    """

    layers: dict[str, list[BaseGeometry]]
    places: tuple[tuple[Place, float, float], ...]
    credits: dict[str, str | None]

    def missing(self, *layers: str) -> list[str]:
        """Those of the layers of which this machine has no data."""
        return [name for name in layers if self.credits[name] is None]

    def credit_line(self, *layers: str) -> str:
        """Whose data those layers are; empty where there are none."""
        names = dict.fromkeys(self.credits[name] for name in layers)
        told = [name for name in names if name is not None]
        return f"Map: {', '.join(told)}" if told else ""


@lru_cache(maxsize=8)
def basemap_of(grid: Grid, *, data: MapData, pixel: float) -> Basemap:
    """The basemap of a grid, its lines no finer than half a ``pixel`` (metres or degrees)."""
    box, scale = lonlat_box(grid), _scale_of(grid)
    layers = {
        name: _on_grid(
            data.geometries(name, scale=scale, box=box), grid, box=box, tolerance=pixel / 2
        )
        for name in LAYERS
    }
    return Basemap(
        layers=layers,
        places=_places_on_grid(data.places(scale=scale, box=box), grid),
        credits={name: data.credit(name) for name in (*LAYERS, "places")},
    )


def lonlat_box(grid: Grid) -> Box:
    """West, south, east, north (degrees) of a box that holds the grid; the whole belt at a pole."""
    west, east, south, north = grid.extent
    x, y = np.meshgrid(np.linspace(west, east, 64), np.linspace(south, north, 64))
    lon, lat = _lonlat(grid.crs, x, y)
    seen = np.isfinite(lon) & np.isfinite(lat)
    if not seen.any():
        return (-180.0, -90.0, 180.0, 90.0)
    lon, lat = lon[seen], lat[seen]
    margin = 0.02 * (1.0 + np.ptp(lat))
    low, high = max(float(lat.min()) - margin, -90.0), min(float(lat.max()) + margin, 90.0)
    if np.ptp(lon) > 180.0:  # the grid holds a pole or crosses the antimeridian
        low, high = -90.0 if _holds(grid, -90.0) else low, 90.0 if _holds(grid, 90.0) else high
        return (-180.0, low, 180.0, high)
    return (float(lon.min() - margin), low, float(lon.max() + margin), high)


def _holds(grid: Grid, latitude: float) -> bool:
    """Whether the grid holds the pole at a latitude."""
    x, y = _from_lonlat(grid.crs, np.array([0.0]), np.array([latitude]))
    west, east, south, north = grid.extent
    return bool(west <= x[0] <= east and south <= y[0] <= north)


def _scale_of(grid: Grid) -> str:
    dy, dx = grid.cell_metres
    side = max(dy * grid.height, dx * grid.width)
    return "10m" if side <= _FINE_M else "50m" if side <= _MEDIUM_M else "110m"


def _on_grid(
    geometries: list[BaseGeometry], grid: Grid, *, box: Box, tolerance: float
) -> list[BaseGeometry]:
    """The geometries in the grid's coordinates, cut at its edge, simplified to ``tolerance``."""
    import shapely  # noqa: PLC0415 - heavy

    west, east, south, north = grid.extent

    def project(vertices: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.column_stack(_from_lonlat(grid.crs, vertices[:, 0], vertices[:, 1]))

    kept = []
    for geometry in geometries:
        cut = shapely.segmentize(shapely.clip_by_rect(geometry, *box), _LONGEST_EDGE)
        if cut.is_empty:
            continue
        projected = shapely.transform(cut, project)
        # A vertex beyond the horizon of the projection; nothing near the grid has one.
        if not np.isfinite(shapely.get_coordinates(projected)).all():
            continue
        simple = shapely.simplify(projected, tolerance)
        inside = shapely.clip_by_rect(simple, west, south, east, north)
        if not inside.is_empty:
            kept.append(inside)
    return kept


def _places_on_grid(places: list[Place], grid: Grid) -> tuple[tuple[Place, float, float], ...]:
    if not places:
        return ()
    lon, lat = np.array([(place.lon, place.lat) for place in places]).T
    x, y = _from_lonlat(grid.crs, lon, lat)
    west, east, south, north = grid.extent
    inside = (west <= x) & (x <= east) & (south <= y) & (y <= north)
    return tuple((places[i], float(x[i]), float(y[i])) for i in np.flatnonzero(inside))


def _lonlat(crs: pyproj.CRS, x: Any, y: Any) -> tuple[Any, Any]:
    lon, lat = _transformer(crs, WGS84).transform(x, y)
    return np.asarray(lon), np.asarray(lat)


def _from_lonlat(crs: pyproj.CRS, lon: Any, lat: Any) -> tuple[Any, Any]:
    x, y = _transformer(WGS84, crs).transform(lon, lat)
    return np.asarray(x), np.asarray(y)


@lru_cache(maxsize=16)
def _transformer(source: pyproj.CRS, target: pyproj.CRS) -> pyproj.Transformer:
    """Making one takes longer than projecting a coastline."""
    return pyproj.Transformer.from_crs(source, target, always_xy=True)
