from __future__ import annotations

import numpy as np
import pyproj
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nowcast.field.errors import SchemaError
from nowcast.field.grid import Grid

KNMI = Grid(
    crs=pyproj.CRS("+proj=stere +lat_0=90 +lon_0=0 +lat_ts=60 +a=6378137 +b=6356752"),
    west=0,
    north=-3_650_000,
    dx=1000,
    dy=1000,
    height=765,
    width=700,
)


def test_a_known_place_lies_in_the_right_cell() -> None:
    # KNMI's own reference point: 52.37 N, 4.85 E is column 343, row 398.
    assert KNMI.cell(lon=4.85, lat=52.37) == (398, 343)


@given(st.integers(0, 764), st.integers(0, 699))
def test_cell_and_place_are_inverses(row: int, column: int) -> None:
    lon, lat = KNMI.lonlat_of(row, column)
    assert KNMI.cell(lon=lon, lat=lat) == (row, column)


def test_outside_there_is_no_cell() -> None:
    assert KNMI.cell(lon=-60.0, lat=-10.0) is None


def test_edges_and_centres_by_hand() -> None:
    grid = Grid(pyproj.CRS.from_epsg(28992), west=10, north=100, dx=2, dy=5, height=2, width=3)
    assert grid.x.tolist() == [11, 13, 15]
    assert grid.y.tolist() == [97.5, 92.5]
    assert grid.extent == (10, 16, 90, 100)
    assert grid.geotransform == (10, 2, 0, 100, 0, -5)
    assert grid.same_as(Grid.from_centres(grid.crs, y=grid.y, x=grid.x))


def test_cells_of_a_lat_lon_grid_in_metres() -> None:
    grid = Grid(pyproj.CRS.from_epsg(4326), west=0, north=61, dx=0.01, dy=0.01, height=200, width=9)
    dy, dx = grid.cell_metres
    assert dy == pytest.approx(1112, rel=1e-3)
    assert dx == pytest.approx(dy / 2, rel=1e-3)  # at 60 degrees north


def test_a_message_names_size_and_projection() -> None:
    assert str(KNMI) == "765x700 cells of 1000x1000 m, Polar Stereographic (variant B)"


def test_what_cannot_be_a_grid_is_refused() -> None:
    crs = pyproj.CRS.from_epsg(3035)
    with pytest.raises(SchemaError, match="not evenly spaced: steps 1 to 3"):
        Grid.from_centres(crs, y=[2, 1], x=[0, 1, 4])
    with pytest.raises(SchemaError, match="at least 2 values"):
        Grid.from_centres(crs, y=[2], x=[0, 1])
    with pytest.raises(SchemaError, match="expected positive sizes"):
        Grid.from_centres(crs, y=[1, 2], x=[0, 1])
    with pytest.raises(SchemaError, match="expected metres"):
        Grid(pyproj.CRS("+proj=stere +lat_0=90 +units=km"), 0, 0, 1, 1, 2, 2)
    with pytest.raises(SchemaError, match="0 x 2 cells"):
        Grid(crs, 0, 0, 1, 1, 0, 2)


def test_same_as_sees_a_shift_and_another_projection() -> None:
    crs = pyproj.CRS.from_epsg(3035)
    grid = Grid(crs, 0, 0, 1000, 1000, 4, 5)
    assert not grid.same_as(Grid(crs, 500, 0, 1000, 1000, 4, 5))
    assert not grid.same_as(Grid(pyproj.CRS.from_epsg(3067), 0, 0, 1000, 1000, 4, 5))
    assert grid.same_as(Grid(pyproj.CRS.from_wkt(crs.to_wkt()), 1e-4, 0, 1000, 1000, 4, 5))


def test_lonlat_is_that_of_every_cell() -> None:
    grid = Grid(pyproj.CRS.from_epsg(3035), 4_000_000, 3_000_000, 1000, 1000, 3, 4)
    lon, lat = grid.lonlat()
    assert lon.shape == (3, 4)
    assert (lon[2, 3], lat[2, 3]) == pytest.approx(grid.lonlat_of(2, 3))
    assert np.isfinite(lat).all()
