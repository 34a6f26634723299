"""Fields at places: which cell holds each of them, and what a field has there."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nowcast.field.grid import Grid

Around = Literal["cell", "mean", "p90"]
AROUND: tuple[Around, ...] = ("cell", "mean", "p90")
# The cell of a place outside the grid.
OUTSIDE = -1


@lru_cache(maxsize=8)
def cells_of(grid: Grid, places: tuple[tuple[float, float], ...]) -> NDArray[np.intp]:
    """Row and column of the cell that holds each place (lon, lat), (place, 2); OUTSIDE for none.

    The last few are kept: a rolling service asks for the same places every five minutes.
    """
    found = [grid.cell(lon=lon, lat=lat) or (OUTSIDE, OUTSIDE) for lon, lat in places]
    cells = np.array(found, dtype=np.intp).reshape(-1, 2)
    cells.setflags(write=False)
    return cells


def at_cells(
    field: NDArray[np.floating], cells: NDArray[np.intp], *, around: Around = "cell"
) -> NDArray[np.float32]:
    """The field (..., y, x) in each cell, (..., place); NaN for places outside the grid.

    Or the ``mean`` or the 90th percentile (``p90``) of the cell and the eight around it: what is
    NaN among these is left out, and where the own cell is NaN all is.
    """
    own = _in_cells(field, cells)
    if around == "cell":
        return own
    known = ~np.isnan(own)
    values = around_cells(field, cells)[known]
    result = np.full_like(own, np.nan)
    result[known] = (
        np.nanmean(values, axis=-1) if around == "mean" else np.nanquantile(values, 0.9, axis=-1)
    )
    return result


def _in_cells(field: NDArray[np.floating], cells: NDArray[np.intp]) -> NDArray[np.float32]:
    rows, columns = cells.T
    inside = rows != OUTSIDE
    values = field[..., np.where(inside, rows, 0), np.where(inside, columns, 0)]
    return np.asarray(np.where(inside, values, np.nan), dtype=np.float32)


def around_cells(
    field: NDArray[np.floating], cells: NDArray[np.intp], *, reach: int = 1
) -> NDArray[np.float32]:
    """The field in each cell and those around it, (..., place, (2 reach + 1)**2).

    NaN beyond the edge of the grid.
    """
    height, width = field.shape[-2:]
    steps = np.arange(-reach, reach + 1)
    rows = cells[:, 0, None, None] + steps[:, None]
    columns = cells[:, 1, None, None] + steps[None, :]
    rows, columns = np.broadcast_arrays(rows, columns)
    inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    inside &= (cells[:, 0] != OUTSIDE)[:, None, None]
    values = field[..., np.where(inside, rows, 0), np.where(inside, columns, 0)]
    values = np.where(inside, values, np.nan).astype(np.float32)
    return values.reshape(*values.shape[:-2], -1)
