"""Geography under and over the pictures, as GeoJSON in longitude and latitude."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from nowcast.products.basemap import lonlat_box
from nowcast.products.map_data import LAYERS, MapData, find_map_data

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

    from nowcast.field.grid import Grid
    from nowcast.products.map_data import Box

_PLACES = 250
_DEGREES_OF_DETAIL = 1 / 2500  # lines no finer than that part of the box
_MARGIN = 0.6  # how far geography goes on around the grid, as a part of its size
# And at the least so wide in all, in heights of the grid: a window is wider than a narrow grid, and
# a degree of longitude is short in the north.
_WIDTH_IN_HEIGHTS = 3.5
_DECIMALS = 4


@lru_cache(maxsize=8)
def geography_of(grid: Grid, data: MapData | None = None) -> dict[str, Any]:
    """Geography around a grid: a MultiPolygon or MultiLineString a layer, places, and credits.

    ``{"layers": {name: geometry}, "places": [[name, lon, lat, inhabitants]], "credit": text}``;
    layers of which this machine has no data are left out.
    """
    data = data or find_map_data()
    box = _wider(lonlat_box(grid))
    degrees = box[3] - box[1]
    scale = "10m" if degrees < 15 else "50m" if degrees < 60 else "110m"
    layers = {
        name: geometry
        for name in LAYERS
        if (geometry := _geometry(data, name, scale=scale, box=box)) is not None
    }
    places = data.places(scale=scale, box=box)[:_PLACES]
    sources = dict.fromkeys(data.credit(name) for name in (*layers, "places"))
    return {
        "layers": layers,
        "places": [
            [place.name, round(place.lon, _DECIMALS), round(place.lat, _DECIMALS), place.population]
            for place in places
        ],
        "credit": ", ".join(credit for credit in sources if credit),
    }


def _wider(box: Box) -> Box:
    west, south, east, north = map(float, box)
    width, height = east - west, north - south
    across = max(_MARGIN * width, (_WIDTH_IN_HEIGHTS * height - width) / 2)
    up = _MARGIN * height
    return (
        max(west - across, -180.0),
        max(south - up, -85.0),
        min(east + across, 180.0),
        min(north + up, 85.0),
    )


def _geometry(data: MapData, name: str, *, scale: str, box: Box) -> dict[str, Any] | None:
    """A layer as one GeoJSON geometry, cut at the box; None where there is nothing."""
    import shapely  # noqa: PLC0415 - heavy

    tolerance = (box[3] - box[1]) * _DEGREES_OF_DETAIL
    parts: list[BaseGeometry] = []
    for geometry in data.geometries(name, scale=scale, box=box):
        cut = shapely.clip_by_rect(shapely.simplify(geometry, tolerance), *box)
        parts += [part for part in shapely.get_parts(cut) if not part.is_empty]
    if not parts:
        return None
    wanted = "Polygon" if name in {"land", "lakes"} else "LineString"
    rounded = [shapely.set_precision(part, 10**-_DECIMALS, mode="pointwise") for part in parts]
    kept = [shapely.geometry.mapping(part) for part in rounded if part.geom_type == wanted]
    return {"type": f"Multi{wanted}", "coordinates": [part["coordinates"] for part in kept]}
