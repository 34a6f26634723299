"""Which single field stands for a distribution, and how its total is made right.

A network's field that was trained for small errors lies between the median and the mean. Where it
is averaged, in dB, with the expectation that the probabilities give, its error in dB falls by a
twentieth and its error in mm h-1 stays (both on validation events). What is then missing is strong
rain: around every place it is stretched until there is as much rain as the probabilities expect.
Weak rain, on which errors in dB hang, is stretched least.
"""

from __future__ import annotations

from itertools import pairwise
from math import log10
from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from nowcast.forecast.motion import DRY_DB, DRY_MM_H

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

LEAST_DB = 10.0 * log10(DRY_MM_H)
TAIL_DB = 2.0  # by how much rates exceed the highest threshold in the mean, where they do
TAIL_MM_H = 10.0  # the same in mm h-1
STRONG_MM_H = 1.0  # of this rate the half is stretched, of stronger ones more
NEIGHBOURHOOD = 32  # cells on a side of the blocks whose totals are made right, three by three
STRETCHES = (-0.5, 3.0)  # no strong rain becomes less than half, or more than four times as strong


def expected_decibel(chances: Tensor, *, thresholds_mm_h: Sequence[float]) -> Tensor:
    """The mean of the rate in dB (..., H, W), of probabilities of exceedance (..., K, H, W).

    The area below the curve of the probabilities, linear between the thresholds.
    """
    levels = [10.0 * log10(threshold) for threshold in thresholds_mm_h]
    curve = chances.unbind(dim=-3)
    mean = DRY_DB + (levels[0] - DRY_DB) * curve[0] + TAIL_DB * curve[-1]
    for (low, high), (likely, rarer) in zip(pairwise(levels), pairwise(curve), strict=True):
        mean = mean + 0.5 * (high - low) * (likely + rarer)
    return mean


def averaged_in_decibel(rate_mm_h: Tensor, expected_db: Tensor, *, share: float) -> Tensor:
    """The rate (mm h-1) with a ``share`` of the expectation, both (..., H, W), averaged in dB.

    What is nearer to dry than to the least rate is 0.
    """
    raining = 10.0 * rate_mm_h.clamp(min=DRY_MM_H).log10()
    decibel = torch.where(rate_mm_h >= DRY_MM_H, raining, DRY_DB)
    mean = (1.0 - share) * decibel + share * expected_db
    rain = 10.0 ** (mean.clamp(min=LEAST_DB) / 10.0)
    return torch.where(mean >= 0.5 * (DRY_DB + LEAST_DB), rain, 0.0)


def expected_rate(chances: Tensor, *, thresholds_mm_h: Sequence[float]) -> Tensor:
    """The mean of the rate in mm h-1 (..., H, W), of probabilities of exceedance (..., K, H, W).

    The area below the curve of the probabilities, exponential between the thresholds.
    """
    curve = chances.clamp(min=1e-7).unbind(dim=-3)
    mean = thresholds_mm_h[0] * curve[0] + TAIL_MM_H * curve[-1]
    spans = zip(pairwise(thresholds_mm_h), pairwise(curve), strict=True)
    for (low, high), (likely, rarer) in spans:
        fall = (likely / rarer).log()
        between = torch.where(fall > 1e-4, (likely - rarer) / fall.clamp(min=1e-4), likely)
        mean = mean + (high - low) * between
    return mean


def with_total_of(expected_mm_h: Tensor, rate_mm_h: Tensor) -> Tensor:
    """The rate with its strong rain stretched to the total expected around every place.

    Both (H, W) in mm h-1; NaN where nothing is said, and it stays.
    """
    seen = torch.isfinite(rate_mm_h)
    said = torch.where(seen, rate_mm_h, 0.0)
    strong = said * said / (said + STRONG_MM_H)
    expected = torch.where(seen, expected_mm_h, 0.0)
    fields = torch.stack([said, strong, expected])[None]
    blocks = functional.avg_pool2d(fields, NEIGHBOURHOOD, ceil_mode=True)
    around = functional.pad(blocks, (1, 1, 1, 1), mode="replicate")
    said_there, strong_there, expected_there = functional.avg_pool2d(around, 3, stride=1)[0]
    lacking = (expected_there - said_there) / strong_there.clamp(min=1e-6)
    # Blocks at the end may reach beyond the grid.
    stretch = functional.interpolate(
        lacking.clamp(*STRETCHES)[None, None], scale_factor=NEIGHBOURHOOD, mode="bilinear"
    )
    rows, columns = rate_mm_h.shape
    return rate_mm_h + stretch[0, 0, :rows, :columns] * strong
