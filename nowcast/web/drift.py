"""The motion of the echoes as arrows: a few places, and where what is there will be in a while."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from nowcast.web.opened import Opened

_ACROSS = 18  # arrows along the longer side
_SLOWEST_M_S = 0.5
# Arrows reach so far ahead as fits between them: the longest of these spans.
_SPANS_MINUTES = (5, 10, 15, 30, 60, 120)


def motion_facts(opened: Opened) -> dict[str, Any]:
    """``minutes``, and ``arrows``: ``[lon, lat, lon, lat]`` (degrees) now and so much later.

    Where rain is known. The span is chosen so that the quickest arrows but a tenth end before the
    next ones begin. No arrows where the method says no motion.
    """
    if "motion_x" not in opened.data:
        return {"minutes": 0, "arrows": []}
    x, y = opened.motion()
    grid, every = opened.grid, max(1, max(opened.grid.shape) // _ACROSS)
    rows, columns = np.mgrid[every // 2 : grid.height : every, every // 2 : grid.width : every]
    u, v = x[rows, columns], y[rows, columns]
    fast = np.isfinite(opened.rate(0)[rows, columns]) & (np.hypot(u, v) >= _SLOWEST_M_S)
    # In cells a minute; only on a lat/lon grid is a cell narrower in the north than it is here.
    height, width = grid.cell_metres
    right, down = 60 * u[fast] / width, -60 * v[fast] / height
    minutes = _span(np.hypot(right, down), room=every)
    found = []
    for row, column, across, along in zip(rows[fast], columns[fast], down, right, strict=True):
        there = grid.lonlat_of(row + minutes * across, column + minutes * along)
        ends = grid.lonlat_of(row, column), there
        if np.isfinite(ends).all():
            found.append([round(float(value), 4) for end in ends for value in end])
    return {"minutes": minutes, "arrows": found}


def _span(cells_a_minute: np.ndarray, *, room: int) -> int:
    """For how many minutes arrows reach ahead that stand ``room`` cells apart."""
    if not cells_a_minute.size:
        return _SPANS_MINUTES[0]
    quick = float(np.quantile(cells_a_minute, 0.9))
    return max((span for span in _SPANS_MINUTES if span * quick <= room), default=_SPANS_MINUTES[0])
