"""The motion of the echoes as arrows: a few places, and where what is there will be in an hour."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from nowcast.web.opened import Opened

_ACROSS = 18  # arrows along the longer side
_HOUR = 3600.0
_SLOWEST_M_S = 0.5


def arrows(opened: Opened) -> list[list[float]]:
    """``[lon, lat, lon in an hour, lat in an hour]`` (degrees) of each arrow, where rain is known.

    Empty where the method says no motion.
    """
    if "motion_x" not in opened.data:
        return []
    x, y = opened.motion()
    grid, every = opened.grid, max(1, max(opened.grid.shape) // _ACROSS)
    known = np.isfinite(opened.rate(0))
    metres = np.array(grid.cell_metres) / (grid.dy, grid.dx)  # a unit of the grid, y and x
    found = []
    for row in range(every // 2, grid.height, every):
        for column in range(every // 2, grid.width, every):
            u, v = float(x[row, column]), float(y[row, column])
            if not known[row, column] or not np.hypot(u, v) >= _SLOWEST_M_S:
                continue
            right, down = u * _HOUR / metres[1] / grid.dx, -v * _HOUR / metres[0] / grid.dy
            ends = grid.lonlat_of(row, column), grid.lonlat_of(row + down, column + right)
            if np.isfinite(ends).all():
                found.append([round(value, 4) for end in ends for value in end])
    return found
