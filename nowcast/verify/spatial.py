"""Near misses: fractions of neighbourhoods instead of single pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from nowcast.field.errors import UsageError
from nowcast.field.event import reached
from nowcast.verify.sums import Sums, ratio

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True, eq=False)
class FssSums(Sums):
    """Sums of the fractions skill score (Roberts and Lean 2008, doi:10.1175/2007MWR2123.1).

    Attributes:
        windows: the number of neighbourhoods counted.
        squared_difference: sum of (forecast fraction - observed fraction)**2.
        reference: sum of forecast fraction**2 + observed fraction**2.

    """

    windows: NDArray[np.float64]
    squared_difference: NDArray[np.float64]
    reference: NDArray[np.float64]

    @property
    def fss(self) -> NDArray[np.float64]:
        """Fractions skill score, 1 is best; NaN where it neither was said nor happened."""
        return 1 - ratio(self.squared_difference, self.reference)


def fss_sums(
    forecast: ArrayLike, observed: ArrayLike, *, threshold_mm_h: float, scales_cells: Sequence[int]
) -> FssSums:
    """FSS of two fields (y, x) of rain rates (mm h-1), as sums of shape (scale,); NaN is unseen."""
    counted = np.isfinite(forecast) & np.isfinite(observed)
    said, happened = reached(forecast, threshold_mm_h), reached(observed, threshold_mm_h)
    return fss_of_events(said, happened, counted, scales_cells=scales_cells)


def fss_of_events(
    said: NDArray[np.bool_],
    happened: NDArray[np.bool_],
    counted: NDArray[np.bool_],
    *,
    scales_cells: Sequence[int],
) -> FssSums:
    """FSS of yes/no fields (..., y, x) where ``counted`` (y, x), as sums of shape (..., scale).

    A fraction is taken over the counted cells of its window, whether the others are unseen or
    outside the grid, and a window counts where its centre and more than half of its cells are
    counted. So a hole in the radar picture, and the edge, cost nobody a score.
    ``pysteps.verification.spatialscores.fss`` takes both for dry: on a field without missing cells
    the two differ by the windows across the edge alone, and agree where no window with an event
    crosses it.

    Raises UsageError for a scale below 1 cell.
    """
    if any(scale < 1 for scale in scales_cells):
        raise UsageError(f"FSS scales {list(scales_cells)} cells, expected 1 or more")
    leading = said.shape[:-2]
    sums = np.zeros((3, *leading, len(scales_cells)))
    for k, scale in enumerate(scales_cells):
        cells = _window_sum(counted, scale)
        inside = counted & (cells > 0.5 * scale**2)
        share = np.divide(1.0, cells, out=np.zeros_like(cells), where=inside)
        sums[0, ..., k] = np.count_nonzero(inside)
        for index in np.ndindex(leading):
            forecast = _window_sum(said[index] & counted, scale) * share
            observed = _window_sum(happened[index] & counted, scale) * share
            sums[(1, *index, k)] = _square(forecast - observed)
            sums[(2, *index, k)] = _square(forecast) + _square(observed)
    return FssSums(*sums)


def _window_sum(field: NDArray[np.bool_], scale: int) -> NDArray[np.float64]:
    """How many cells are True in the square window round each (y, x); outside the grid none is.

    A window of even width has its odd cell in the north and west, as in scipy.
    """
    # OpenCV counts in integers, so that a sum does not depend on what lies before it in the row.
    window, border = (scale, scale), cv2.BORDER_CONSTANT
    counts = cv2.boxFilter(
        field.view(np.uint8), cv2.CV_64F, window, normalize=False, borderType=border
    )
    return np.asarray(counts, dtype=np.float64)


def _square(field: NDArray[np.float64]) -> float:
    return float(np.einsum("ij,ij->", field, field))
