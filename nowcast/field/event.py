"""Whether it rains at least that much: one rule, wherever it is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

# Gauge steps: 0.5 mm/h that went through dB or a packed file comes back as 0.49999997.
SLACK = 1e-5


def level(threshold_mm_h: float) -> float:
    """The rate (mm h-1) from which on the threshold is reached."""
    return float(threshold_mm_h) * (1 - SLACK)


def reached(rate_mm_h: ArrayLike, threshold_mm_h: float) -> NDArray[np.bool_]:
    """Whether the rate reaches the threshold (>=, less 0.001 %); False where the rate is NaN.

    pysteps asks > in its categorical scores and >= in FSS, reliability and ROC, so with quantised
    radar data its scores are about different events. Here one rule holds for all.
    """
    return np.asarray(rate_mm_h) >= level(threshold_mm_h)
