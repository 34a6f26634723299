"""Geography from disk: in the right place, and never from the network."""

from __future__ import annotations

import shutil
import socket
import urllib.request
from pathlib import Path

import numpy as np
import pyproj
import pytest
import shapefile
import shapely
from forecast_samples import PROJECTIONS, forecast, grid_of

from nowcast.field.errors import FormatError
from nowcast.field.grid import Grid
from nowcast.products.basemap import basemap_of, lonlat_box
from nowcast.products.map_data import LAYERS, MapData, find_map_data
from nowcast.products.render import draw_map
from nowcast.products.style import MapStyle

KNMI = Grid(pyproj.CRS(PROJECTIONS["knmi"][0]), 0.0, -3_650e3, 1000.0, 1000.0, 765, 700)
ANYWHERE = pytest.mark.parametrize("name", PROJECTIONS)


@pytest.fixture
def no_network(monkeypatch):
    """Whoever opens a connection fails."""

    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError(f"a connection was opened: {args} {kwargs}")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(urllib.request, "urlopen", refuse)


@pytest.fixture(scope="module")
def coarse(tmp_path_factory):
    """The coarsest Natural Earth alone: quick to read."""
    names = [name.format("110m").split("/")[1] for layer in LAYERS.values() for name in layer]
    return MapData(folders=(natural_earth(tmp_path_factory.mktemp("coarse"), *names),))


def natural_earth(folder: Path, *names: str) -> Path:
    """A copy of some layers of Natural Earth in ``folder``."""
    for source in find_map_data().folders:
        for name in names:
            for path in source.glob(f"shapefiles/natural_earth/*/{name}.*"):
                target = folder / path.relative_to(source)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, target)
    return folder


def inside(layer: list, grid: Grid, *, lon: float, lat: float) -> bool:
    """Whether a place lies in the polygons of a layer."""
    x, y = pyproj.Transformer.from_crs(4326, grid.crs, always_xy=True).transform(lon, lat)
    return any(shapely.contains_xy(shape, x, y) for shape in layer)


def near(layer: list, grid: Grid, *, lon: float, lat: float) -> float:
    """How far a place lies from the lines of a layer."""
    x, y = pyproj.Transformer.from_crs(4326, grid.crs, always_xy=True).transform(lon, lat)
    return min(shapely.distance(shape, shapely.Point(x, y)) for shape in layer)


def test_known_places_lie_on_land_at_sea_and_in_a_lake():
    basemap = basemap_of(KNMI, data=find_map_data(), pixel=1000.0)
    land, lakes = basemap.layers["land"], basemap.layers["lakes"]
    assert inside(land, KNMI, lon=5.12, lat=52.09)  # Utrecht
    assert not inside(land, KNMI, lon=3.0, lat=53.5)  # North Sea
    assert inside(lakes, KNMI, lon=5.35, lat=52.75)  # IJsselmeer
    assert not inside(lakes, KNMI, lon=5.12, lat=52.09)


def test_known_places_lie_on_coast_border_and_river():
    basemap = basemap_of(KNMI, data=find_map_data(), pixel=1000.0)
    at = {"grid": KNMI}
    assert near(basemap.layers["coastlines"], lon=4.27, lat=52.115, **at) < 3e3  # Scheveningen
    assert near(basemap.layers["coastlines"], lon=5.12, lat=52.09, **at) > 30e3
    assert near(basemap.layers["borders"], lon=6.02, lat=50.755, **at) < 3e3  # Vaalserberg
    assert near(basemap.layers["rivers"], lon=6.965, lat=50.94, **at) < 4e3  # Rhine at Cologne


def test_places_lie_in_their_cells():
    basemap = basemap_of(KNMI, data=find_map_data(), pixel=1000.0)
    by_name = {place.name: (place, x, y) for place, x, y in basemap.places}
    place, x, y = by_name["Amsterdam"]
    row, column = int((KNMI.north - y) / KNMI.dy), int((x - KNMI.west) / KNMI.dx)
    assert KNMI.cell(lon=place.lon, lat=place.lat) == (row, column)
    assert (place.lon, place.lat) == pytest.approx((4.9, 52.37), abs=0.05)
    inhabitants = [place.population for place, _, _ in basemap.places]
    assert inhabitants == sorted(inhabitants, reverse=True)
    assert "Zürich" not in by_name


@ANYWHERE
def test_the_box_holds_every_cell(name):
    grid = grid_of(name, height=40, width=60)
    west, south, east, north = lonlat_box(grid)
    lon, lat = grid.lonlat()
    assert west <= lon.min() <= lon.max() <= east
    assert south <= lat.min() <= lat.max() <= north


@ANYWHERE
def test_geometry_ends_at_the_edge_of_the_grid(name, coarse):
    grid = grid_of(name, height=300, width=200)
    basemap = basemap_of(grid, data=coarse, pixel=grid.dx)
    west, east, south, north = grid.extent
    margin = 1e-6 * grid.dx
    shapes = [shape for layer in basemap.layers.values() for shape in layer]
    assert shapes
    for shape in shapes:
        left, low, right, high = shape.bounds
        assert west - margin <= left <= right <= east + margin
        assert south - margin <= low <= high <= north + margin


def test_land_around_a_pole_is_drawn():
    grid = Grid(pyproj.CRS(PROJECTIONS["south pole"][0]), -3e6, 3e6, 50e3, 50e3, 120, 120)
    assert lonlat_box(grid)[:2] == (-180.0, -90.0)
    land = basemap_of(grid, data=find_map_data(), pixel=10e3).layers["land"]
    assert inside(land, grid, lon=0.0, lat=-85.0)
    assert inside(land, grid, lon=179.0, lat=-85.0)
    assert not inside(land, grid, lon=-40.0, lat=-65.0)


def test_a_grid_across_the_antimeridian_shows_both_sides():
    crs = pyproj.CRS("+proj=laea +lat_0=-17 +lon_0=179 +ellps=WGS84")
    grid = Grid(crs, -400e3, 400e3, 10e3, 10e3, 80, 80)
    land = basemap_of(grid, data=find_map_data(), pixel=1e3).layers["land"]
    assert inside(land, grid, lon=178.0, lat=-17.8)  # Viti Levu
    assert inside(land, grid, lon=-179.9, lat=-16.8)  # Taveuni lies on the line
    assert inside(land, grid, lon=179.95, lat=-16.9)


def test_a_long_edge_bends_with_the_parallel(tmp_path):
    folder = tmp_path / "shapefiles/natural_earth/cultural"
    folder.mkdir(parents=True)
    corners = [[-40, 40], [-40, 50], [60, 50], [60, 40], [-40, 40]]
    with shapefile.Writer(folder / "ne_110m_admin_0_countries") as writer:
        writer.field("NAME")
        writer.poly([corners])
        writer.record("Squareland")
    grid = Grid(pyproj.CRS(PROJECTIONS["opera"][0]), 0.0, 0.0, 20e3, 20e3, 220, 190)
    land = basemap_of(grid, data=MapData(folders=(tmp_path,)), pixel=20e3).layers["land"]
    for lat, expected in ((39.5, False), (40.5, True), (49.5, True), (50.5, False)):
        assert inside(land, grid, lon=10.0, lat=lat) is expected


def test_nothing_at_hand_is_said():
    basemap = basemap_of(KNMI, data=MapData(), pixel=1000.0)
    assert basemap.missing(*LAYERS, "places") == [*LAYERS, "places"]
    assert basemap.credit_line(*LAYERS, "places") == ""
    assert not any(basemap.layers.values())
    assert basemap.places == ()


def test_a_folder_that_is_given_comes_first(tmp_path, monkeypatch):
    folder = natural_earth(tmp_path / "own", "ne_110m_coastline")
    monkeypatch.setenv("CARTOPY_DATA_DIR", str(tmp_path))
    found = find_map_data(folder)
    assert found.folders[:2] == (folder, tmp_path)
    alone = MapData(folders=(folder,))
    # The only scale there is serves for every map.
    assert alone.geometries("coastlines", scale="10m", box=(-10, 40, 10, 60))
    assert alone.credit("coastlines") == "Natural Earth"
    assert alone.credit("lakes") is None


def test_an_incomplete_shapefile_is_not_there(tmp_path):
    folder = natural_earth(tmp_path, "ne_110m_coastline")
    next(folder.rglob("*.shx")).unlink()
    assert MapData(folders=(folder,)).credit("coastlines") is None


def test_a_damaged_shapefile_is_named(tmp_path):
    folder = natural_earth(tmp_path, "ne_110m_coastline")
    path = next(folder.rglob("*.shp"))
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(FormatError, match=r"ne_110m_coastline\.shp: not a readable shapefile"):
        MapData(folders=(folder,)).geometries("coastlines", scale="110m", box=(-180, -90, 180, 90))


def test_rivers_and_places_of_natural_earth(shared_data):
    folder = shared_data / "maps/naturalearth_cartopy"
    alone = MapData(folders=(folder,))
    basemap = basemap_of(KNMI, data=alone, pixel=1000.0)
    assert basemap.credit_line(*LAYERS, "places") == "Map: Natural Earth"
    assert basemap.layers["rivers"]
    assert {"Amsterdam", "Brussels"} <= {place.name for place, _, _ in basemap.places}


@pytest.mark.usefixtures("no_network")
def test_no_connection_is_opened():
    grid = grid_of("mch", height=61, width=47)
    with pytest.raises(AssertionError, match="a connection was opened"):
        urllib.request.urlopen("http://localhost")
    everything = draw_map(
        forecast(grid=grid), lead=0, style=MapStyle(longest_side=201, motion_arrows=True)
    )
    nothing = draw_map(
        forecast(grid=grid), lead=0, style=MapStyle(longest_side=201, map_data=MapData())
    )
    assert np.asarray(everything).shape == np.asarray(nothing).shape
