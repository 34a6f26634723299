"""A field as the pixels of a map: colours where it rains, hatching where nothing was seen."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nowcast.products.colours import ColourScale

HATCH_GROUND = (125, 125, 125, 48)
HATCH_STRIPE = (105, 105, 105, 105)
COVERAGE_EDGE = (70, 70, 70, 255)
_STRIPE_EVERY, _STRIPE_WIDTH = 9, 2


def paint(
    values: NDArray[np.float32],
    *,
    scale: ColourScale,
    shape: tuple[int, int],
    edge: NDArray[np.bool_] | None = None,
) -> NDArray[np.uint8]:
    """The field ``values`` (y, x) as red, green, blue, alpha of ``shape`` (rows, columns) pixels.

    Where several cells share a pixel the largest value shows, so that no core is lost. NaN (unseen)
    is hatched. ``edge``, of that shape, is where the line around the observed area runs.
    """
    shown = to_pixels(values, shape)
    picture = scale.rgba(shown)
    unseen = np.isnan(shown)
    if unseen.any():
        picture[unseen] = _hatching(shape)[unseen]
    if edge is not None:
        picture[edge] = COVERAGE_EDGE
    return picture


def to_pixels(values: NDArray[np.float32], shape: tuple[int, int]) -> NDArray[np.float32]:
    """``values`` (y, x) on ``shape`` pixels over the same area.

    A pixel holds the largest of the cells that begin in it, or else the cell it lies in. NaN counts
    only where all of them are NaN.
    """
    rows, columns = shape
    height, width = values.shape
    if rows >= height:
        values = values[_nearest(height, rows)]
    else:
        # A loop over rows is many times as fast as reduceat along the first axis.
        starts = [*(np.arange(rows) * height // rows), height]
        values = np.stack([np.fmax.reduce(values[a:b]) for a, b in pairwise(starts)])
    if columns >= width:
        return values[:, _nearest(width, columns)]
    starts = np.arange(columns) * width // columns
    return np.asarray(np.fmax.reduceat(values, starts, axis=1), dtype=np.float32)


def coverage_edge(observed: NDArray[np.bool_], shape: tuple[int, int]) -> NDArray[np.bool_]:
    """The pixels of ``shape`` just inside the edge of what was ``observed`` (y, x).

    The picture's own frame is no edge.
    """
    seen = to_pixels(observed.astype(np.float32), shape) > 0
    edge = np.zeros_like(seen)
    edge[:-1] |= seen[:-1] & ~seen[1:]
    edge[1:] |= seen[1:] & ~seen[:-1]
    edge[:, :-1] |= seen[:, :-1] & ~seen[:, 1:]
    edge[:, 1:] |= seen[:, 1:] & ~seen[:, :-1]
    return edge


def _nearest(cells: int, pixels: int) -> NDArray[np.intp]:
    """The cell in which the centre of each pixel lies."""
    return ((np.arange(pixels) + 0.5) * cells / pixels).astype(np.intp)


def _hatching(shape: tuple[int, int]) -> NDArray[np.uint8]:
    rows, columns = np.indices(shape, sparse=True)
    striped = (rows + columns) % _STRIPE_EVERY < _STRIPE_WIDTH
    return np.where(striped[..., None], HATCH_STRIPE, HATCH_GROUND).astype(np.uint8)
