"""Which single field stands for a distribution, and how its total is made right.

A network's field that was trained for small errors lies between the median and the mean. Where it
is averaged, in dB, with the expectation that the probabilities give, its error in dB falls by a
twentieth and its error in mm h-1 stays (both on validation events). What is then missing of the
total is strong rain: this is stretched, and weak rain, on which errors in dB hang, hardly.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

Rates = TypeVar("Rates")  # a numpy array or a torch tensor

DRY_DB = -15.0  # stands for every rate below the least, as in verification
LEAST_MM_H, LEAST_DB = 0.1, -10.0
TAIL_DB = 2.0  # by how much rates exceed the highest threshold in the mean, where they do
# Of this rate the half is stretched, of stronger ones more. With 1 mm/h errors in dB are smaller,
# but what makes the totals of weak rain right then makes those of strong rain too large.
STRONG_MM_H = 0.3


def expected_decibel(chances: Tensor, *, thresholds_mm_h: Sequence[float]) -> Tensor:
    """The mean of the rate in dB (..., H, W), of probabilities of exceedance (..., K, H, W).

    The area below the curve of the probabilities, linear between the thresholds.
    """
    levels = [10.0 * float(np.log10(threshold)) for threshold in thresholds_mm_h]
    curve = chances.unbind(dim=-3)
    mean = DRY_DB + (levels[0] - DRY_DB) * curve[0] + TAIL_DB * curve[-1]
    for (low, high), (likely, rarer) in zip(pairwise(levels), pairwise(curve), strict=True):
        mean = mean + 0.5 * (high - low) * (likely + rarer)
    return mean


def averaged_in_decibel(rate_mm_h: Tensor, expected_db: Tensor, *, share: float) -> Tensor:
    """The rate (mm h-1) with a ``share`` of the expectation, both (..., H, W), averaged in dB.

    What is nearer to dry than to the least rate is 0.
    """
    raining = 10.0 * rate_mm_h.clamp(min=LEAST_MM_H).log10()
    decibel = torch.where(rate_mm_h >= LEAST_MM_H, raining, DRY_DB)
    mean = (1.0 - share) * decibel + share * expected_db
    rain = 10.0 ** (mean.clamp(min=LEAST_DB) / 10.0)
    return torch.where(mean >= 0.5 * (DRY_DB + LEAST_DB), rain, 0.0)


def strong_part(rate_mm_h: Rates) -> Rates:
    """What of a rate a stretch of one adds to it (mm h-1): half of STRONG_MM_H, all of a flood."""
    rates: Rates = rate_mm_h * rate_mm_h / (rate_mm_h + STRONG_MM_H)  # type: ignore[operator]
    return rates
