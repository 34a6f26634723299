"""Arrows of the motion: where they begin and end, and that they leave room for each other."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pyproj
import pytest

from nowcast.field.grid import Grid
from nowcast.web.drift import motion_facts


def opened(speed_m_s: tuple[float, float], *, size: int = 36, cell: float = 1000.0) -> object:
    """A forecast that moves evenly, all of it seen."""
    grid = Grid(pyproj.CRS.from_epsg(3035), 4_000_000, 3_300_000, cell, cell, size, size)
    u, v = (np.full(grid.shape, value, np.float32) for value in speed_m_s)
    return SimpleNamespace(
        data={"motion_x": 0},
        grid=grid,
        motion=lambda: (u, v),
        rate=lambda _: np.zeros(grid.shape, np.float32),
    )


def in_cells(one, arrow: list[float]) -> tuple[float, float, float, float]:  # type: ignore[no-untyped-def]
    """Column and row of both ends."""
    to_grid = pyproj.Transformer.from_crs("EPSG:4326", one.grid.crs, always_xy=True)
    ends = [to_grid.transform(*arrow[:2]), to_grid.transform(*arrow[2:])]
    cell = one.grid.dx
    (x, y), (to_x, to_y) = (
        ((x - one.grid.west) / cell - 0.5, (one.grid.north - y) / cell - 0.5) for x, y in ends
    )
    return x, y, to_x, to_y


def test_an_arrow_by_hand() -> None:
    """10 m/s eastwards and 5 northwards, cells of 1 km: in 10 min 6 columns on and 3 rows up."""
    one = opened((10.0, 5.0), size=180, cell=1000.0)
    told = motion_facts(one)  # type: ignore[arg-type]
    assert told["minutes"] == 10  # 0.67 cells a minute, 10 cells apart
    assert len(told["arrows"]) == 18 * 18
    x, y, to_x, to_y = in_cells(one, told["arrows"][0])
    assert (x, y) == pytest.approx((5, 5), abs=0.05)
    assert (to_x, to_y) == pytest.approx((5 + 6, 5 - 3), abs=0.05)


@pytest.mark.parametrize("cell", [250.0, 1000.0, 2000.0, 5000.0])
@pytest.mark.parametrize("size", [100, 700, 2200])
def test_no_arrow_reaches_beyond_the_next(cell: float, size: int) -> None:
    one = opened((12.0, -9.0), size=size, cell=cell)
    told = motion_facts(one)  # type: ignore[arg-type]
    x, y, to_x, to_y = in_cells(one, told["arrows"][0])
    if told["minutes"] > 5:
        assert np.hypot(to_x - x, to_y - y) <= size // 18 + 0.1
    assert (to_x - x) / (to_y - y) == pytest.approx(12 / 9, rel=0.02)


def test_what_stands_still_or_was_not_seen_has_none() -> None:
    assert motion_facts(opened((0.1, 0.2)))["arrows"] == []  # type: ignore[arg-type]
    hidden = opened((9.0, 9.0))
    hidden.rate = lambda _: np.full((36, 36), np.nan, np.float32)  # type: ignore[attr-defined]
    assert motion_facts(hidden)["arrows"] == []  # type: ignore[arg-type]
