"""Which single field stands for a distribution, and how its total is made right.

A network's field that was trained for small errors lies between the median and the mean. Where it
is averaged, in dB, with the expectation that the probabilities give, its error in dB falls by a
twentieth and its error in mm h-1 stays (both on validation events). What is then missing is rain.
It is given where it costs least: of all fields with one total, that which is exceeded everywhere
with the same probability has the smallest absolute error (each cell then gains as much by more rain
as the next). So all cells of a region take the rate that they exceed with a probability below a
half, as far below as gives the total expected there.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import torch

from nowcast.forecast.motion import DRY_DB, DRY_MM_H
from nowcast.forecast.parts import parts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from nowcast.field.scaling import RainScaling
    from nowcast.forecast.regions import Regions

LEAST_DB = 10.0 * math.log10(DRY_MM_H)
TAIL_DB = 2.0  # by how much rates exceed the highest threshold in the mean, where they do
TAIL_MM_H = 15.0  # the same in mm h-1: 9 to 11 in Germany and France, 21 in the USA (June 2019)
# With which probability a rate may be exceeded that is said; what then still lacks is stretched.
EXCEEDED = (0.5, 0.45, 0.4, 0.35, 0.3, 0.25, 0.2)
STRONG_MM_H = 1.0  # of this rate the half is stretched, of stronger ones more
STRETCHES = (-0.5, 3.0)  # no strong rain becomes less than half, or more than four times as strong


def in_decibel(rate_mm_h: Tensor) -> Tensor:
    """The rate (mm h-1) in dB, as ``motion.decibel`` has it; below 0.1 mm/h the floor of -15 dB."""
    raining = 10.0 * rate_mm_h.clamp(min=DRY_MM_H).log10()
    return torch.where(rate_mm_h >= DRY_MM_H, raining, DRY_DB)


def expected_decibel(chances: Tensor, *, thresholds_mm_h: Sequence[float]) -> Tensor:
    """The mean of the rate in dB (..., H, W), of probabilities of exceedance (..., K, H, W).

    The area below the curve of the probabilities, linear between the thresholds.
    """
    levels = [10.0 * math.log10(threshold) for threshold in thresholds_mm_h]
    curve = chances.unbind(dim=-3)
    mean = DRY_DB + (levels[0] - DRY_DB) * curve[0] + TAIL_DB * curve[-1]
    for (low, high), (likely, rarer) in zip(pairwise(levels), pairwise(curve), strict=True):
        mean = mean + 0.5 * (high - low) * (likely + rarer)
    return mean


def averaged_in_decibel(rate_mm_h: Tensor, expected_db: Tensor, *, share: float) -> Tensor:
    """The rate (mm h-1) with a ``share`` of the expectation, both (..., H, W), averaged in dB.

    What is nearer to dry than to the least rate is 0.
    """
    mean = (1.0 - share) * in_decibel(rate_mm_h) + share * expected_db
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


def scaled_quantile(logits: Tensor, *, exceeded: Tensor, levels: Tensor, slope: float) -> Tensor:
    """The scaled rate (...) that is exceeded with a probability whose logit is ``exceeded``.

    ``logits`` (K, ...) of exceeding the ascending scaled ``levels`` (K) do not rise. Between the
    levels they are linear; above the highest they fall with ``slope``; below the lowest it is dry.
    """
    highest = levels[-1] + (logits[-1] - exceeded).clamp(min=0.0) / slope
    found = torch.where(logits[0] >= exceeded, highest, 0.0)
    for k in range(len(levels) - 1):
        upper, lower = logits[k], logits[k + 1]
        part = (upper - exceeded) / (upper - lower).clamp(min=1e-6)
        here = (upper >= exceeded) & (lower < exceeded)
        found = torch.where(here, levels[k] + part * (levels[k + 1] - levels[k]), found)
    return found


@dataclass(frozen=True)
class Amounts:
    """What makes one field of a rate and of logits of exceedance.

    Attributes:
        thresholds_mm_h: that the logits are of, ascending.
        scaling: in which logits are linear.
        slope: of the logits above the highest threshold, falling a unit of the scaled rate.
        share: of the expectation, in dB.

    """

    thresholds_mm_h: Sequence[float]
    scaling: RainScaling
    slope: float
    share: float

    def field(self, rate_mm_h: Tensor, logits: Tensor, regions: Regions) -> Tensor:
        """The rate (H, W) in mm h-1, of one that is said and ``logits`` of exceedance (K, H, W).

        It has the total around every place that the probabilities expect there. Worked on in bands
        of rows: on a continent the probabilities of all thresholds would not fit beside the logits.
        """
        height, width = rate_mm_h.shape
        bands = parts(height, values_each=width, like=rate_mm_h)
        summary = rate_mm_h.new_empty((3, *rate_mm_h.shape))
        for rows in bands:
            likely = torch.sigmoid(logits[:, rows])
            decibel = expected_decibel(likely, thresholds_mm_h=self.thresholds_mm_h)
            summary[0, rows] = averaged_in_decibel(rate_mm_h[rows], decibel, share=self.share)
            summary[1, rows] = decibel
            summary[2, rows] = expected_rate(likely, thresholds_mm_h=self.thresholds_mm_h)
        least, decibel, expected = summary
        exceeded = self._exceeded(summary, logits, regions)
        for rows in bands:
            least[rows] = self._raised(
                least[rows], logits[:, rows], decibel[rows], exceeded=exceeded[rows]
            )
        return _stretched(least, expected, regions)

    def _exceeded(self, summary: Tensor, logits: Tensor, regions: Regions) -> Tensor:
        """With which probability the rate that is said may be exceeded, (H, W), as a logit."""
        (least, decibel, expected), likely = regions.sampled(summary), regions.sampled(logits)
        steps = [math.log(chance / (1.0 - chance)) for chance in EXCEEDED]
        fields = [
            self._raised(least, likely, decibel, exceeded=logits.new_tensor(step)) for step in steps
        ]
        *totals, wanted = regions.sums(torch.stack([*fields, expected]))
        return regions.between(_crossing(steps, totals, wanted))

    def _raised(
        self, least: Tensor, logits: Tensor, decibel: Tensor, *, exceeded: Tensor
    ) -> Tensor:
        """The rate (...) that is exceeded so often, averaged with the expectation; or the least."""
        levels = self.scaling.scaled(logits.new_tensor(self.thresholds_mm_h))
        scaled = scaled_quantile(logits, exceeded=exceeded, levels=levels, slope=self.slope)
        quantile = self.scaling.rate_mm_h(scaled)
        return torch.maximum(least, averaged_in_decibel(quantile, decibel, share=self.share))


def _crossing(steps: Sequence[float], totals: Sequence[Tensor], wanted: Tensor) -> Tensor:
    """Where between the descending ``steps`` the rising ``totals`` (...) come to what is wanted."""
    crossing = torch.full_like(wanted, steps[0])
    for (here, there), (less, more) in zip(pairwise(steps), pairwise(totals), strict=True):
        part = ((wanted - less) / (more - less).clamp(min=1e-9)).clamp(0.0, 1.0)
        crossing = torch.where(wanted > less, here + part * (there - here), crossing)
    return crossing


def _stretched(rate_mm_h: Tensor, expected_mm_h: Tensor, regions: Regions) -> Tensor:
    """The rate (H, W) with its strong rain stretched to the total expected around every place."""
    strong = rate_mm_h * rate_mm_h / (rate_mm_h + STRONG_MM_H)
    said, stronger, expected = regions.totals((rate_mm_h, strong, expected_mm_h))
    lacking = (expected - said) / stronger.clamp(min=1e-6)
    return strong.mul_(regions.between(lacking.clamp(*STRETCHES))).add_(rate_mm_h)
