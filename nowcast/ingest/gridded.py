"""Fields beside the radar: put onto a radar's grid.

Weather comes from ``gridded_weather``, traffic from ``gridded_traffic``; the fields of either have
dimensions (time, ..., y, x).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyproj
import scipy.sparse
import xarray as xr

from nowcast.field.errors import SchemaError
from nowcast.field.schema import CELL_DIMS, grid_coordinates, grid_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nowcast.field.grid import Grid

_FIELDS_AT_ONCE = 64
_LEAST_SEEN = 0.5
_FULL_TURN = 360.0


def regrid(dataset: xr.Dataset, grid: Grid) -> xr.Dataset:
    """The fields (..., y, x) of ``dataset`` at the cell centres of ``grid``, bilinear, float32.

    Between unseen cells (NaN) the seen ones count, where they carry at least half of the weight;
    elsewhere, and beyond the outermost cell centres of the dataset, it is NaN. Components of a
    vector keep their directions: an eastward wind stays eastward. Raises SchemaError where the
    dataset has no projection or no fields.
    """
    weights = _weights(grid_of(dataset), grid)
    fields = {
        name: _regridded(field.transpose(..., *CELL_DIMS), weights=weights, shape=grid.shape)
        for name, field in dataset.data_vars.items()
        if set(CELL_DIMS) <= set(field.dims)
    }
    if not fields:
        raise SchemaError(f"no field with dimensions y and x among {sorted(map(str, dataset))}")
    kept = {
        name: coordinate
        for name, coordinate in dataset.coords.items()
        if not set(CELL_DIMS) & set(coordinate.dims) and name != "crs"
    }
    return xr.Dataset(fields, coords={**kept, **grid_coordinates(grid)}, attrs=dataset.attrs)


def _regridded(
    field: xr.DataArray, *, weights: scipy.sparse.csr_array, shape: tuple[int, int]
) -> tuple[tuple[str, ...], NDArray[np.float32], dict[str, object]]:
    """Dimensions, values and attributes of the field on the other grid."""
    leading = field.shape[:-2]
    before = field.values.reshape(-1, weights.shape[1])
    after = np.empty((before.shape[0], weights.shape[0]), dtype=np.float32)
    within = np.asarray(weights.sum(axis=1)) > 0
    for start in range(0, before.shape[0], _FIELDS_AT_ONCE):
        part = before[start : start + _FIELDS_AT_ONCE].astype(np.float64).T
        seen = np.isfinite(part)
        values = weights @ np.where(seen, part, 0.0)
        if seen.all():
            values[~within] = np.nan
        else:
            share = weights @ seen.astype(np.float64)
            with np.errstate(invalid="ignore", divide="ignore"):
                values = np.where(share >= _LEAST_SEEN, values / share, np.nan)
        after[start : start + _FIELDS_AT_ONCE] = values.T
    dims = tuple(map(str, field.dims))
    return dims, after.reshape(*leading, *shape), dict(field.attrs) | {"grid_mapping": "crs"}


def _weights(source: Grid, target: Grid) -> scipy.sparse.csr_array:
    """What each source cell contributes to each target cell, (target cells, source cells)."""
    x, y = np.meshgrid(target.x, target.y)
    to_source = pyproj.Transformer.from_crs(target.crs, source.crs, always_xy=True)
    x, y = to_source.transform(x.ravel(), y.ravel())
    row = (source.y[0] - y) / source.dy
    column = (x - source.x[0]) / source.dx
    around = False
    if source.is_geographic:
        turn = _FULL_TURN / source.dx
        column = np.mod(column + 0.5, turn) - 0.5
        around = abs(source.width - turn) < 1e-3
    height, width = source.shape
    # A millionth of a cell forgives the rounding of projections.
    within = (row > -1e-6) & (row < height - 1 + 1e-6)
    if not around:
        within &= (column > -1e-6) & (column < width - 1 + 1e-6)
    cells = np.flatnonzero(within)
    row, column = np.clip(row[cells], 0, height - 1), column[cells]
    upper = np.minimum(np.floor(row), height - 2).astype(np.intp)
    if around:
        left = np.floor(column).astype(np.intp)
    else:
        column = np.clip(column, 0, width - 1)
        left = np.minimum(np.floor(column), width - 2).astype(np.intp)
    down, right = row - upper, column - left
    corners = [
        ((1 - down) * (1 - right), upper * width + left % width),
        ((1 - down) * right, upper * width + (left + 1) % width),
        (down * (1 - right), (upper + 1) * width + left % width),
        (down * right, (upper + 1) * width + (left + 1) % width),
    ]
    return scipy.sparse.csr_array(
        (
            np.concatenate([weight for weight, _ in corners]),
            (np.tile(cells, 4), np.concatenate([cell for _, cell in corners])),
        ),
        shape=(target.height * target.width, height * width),
    )
