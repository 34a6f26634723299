"""From the members of an ensemble to probabilities."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nowcast.field.event import reached

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

THRESHOLDS_MM_H = (0.1, 0.3, 0.5, 1.0, 3.0, 5.0, 10.0, 30.0)


def probability_of_exceedance(
    members_mm_h: NDArray[np.float32], *, thresholds_mm_h: Sequence[float] = THRESHOLDS_MM_H
) -> NDArray[np.float32]:
    """The part of the members (M, ...) whose rate reaches each threshold: (thresholds, ...).

    NaN where any member says nothing: the part of the rest
    would be of another ensemble.
    """
    silent = np.isnan(members_mm_h).any(axis=0)
    chances = np.empty((len(thresholds_mm_h), *members_mm_h.shape[1:]), np.float32)
    for chance, threshold in zip(chances, thresholds_mm_h, strict=True):
        chance[...] = reached(members_mm_h, threshold).mean(axis=0, dtype=np.float32)
        chance[silent] = np.nan
    return chances
