"""Ensemble members from a distribution at every pixel, arranged by correlated noise.

At every pixel and lead the M members are the M quantiles (m + 1/2) / M of the forecast
distribution, so that they say what the probabilities say. Which member gets which quantile is
decided by the order of M noise fields there: neighbouring pixels and following leads agree as rain
does (the Schaake shuffle: Clark et al., J. Hydrometeor. 5, 243, 2004, with noise for history).
"""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from nowcast.forecast.advect import sources
from nowcast.forecast.parts import on_threads, parts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from nowcast.forecast.noise import NoiseSource

# Above the highest threshold rain is taken to fall off exponentially, by this factor of it.
_TAIL = 0.35
_CERTAIN = 1e-6


def ensemble(
    probabilities: Tensor,
    *,
    thresholds_mm_h: Sequence[float],
    noise: NoiseSource,
    displacement: Tensor,
    members: int,
    seed: int,
) -> Tensor:
    """Rain rates (members, lead, H, W) in mm h-1 whose frequencies are the probabilities.

    ``probabilities`` (K, lead, H, W), already where the air arrives; the noise is moved there along
    ``displacement`` (lead, 2, H, W). NaN where nothing is said. One seed gives one ensemble.
    """
    # Everywhere dry, or NaN where nothing is said; what may be wet is drawn in place.
    made = (0.0 * probabilities[0]).expand(members, *probabilities.shape[1:]).contiguous()
    fields = noise.fields(members=members, leads=probabilities.shape[1], seed=seed)
    for lead, field in enumerate(fields):
        likely = probabilities[:, lead].flatten(1)
        wet = (likely[0] >= _exceedances(members, like=likely)[-1]).nonzero()[:, 0]
        cells = _Cells(
            likely=likely,
            noise=field.reshape(members, -1),
            wet=wet,
            whence=sources(displacement[lead]).flatten()[wet],
            drawn=made[:, lead].view(members, -1),
        )
        draw = partial(cells.draw, thresholds_mm_h=thresholds_mm_h)
        on_threads(draw, parts(len(wet), values_each=members, like=made))
    return made


class _Cells(NamedTuple):
    """One lead, cell by cell."""

    likely: Tensor  # probabilities (K, cells)
    noise: Tensor  # (members, cells), not yet moved
    wet: Tensor  # the numbers of those that may be wet
    whence: Tensor  # of those the cells where their air comes from
    drawn: Tensor  # members (members, cells), to be written

    def draw(self, part: slice, *, thresholds_mm_h: Sequence[float]) -> None:
        """Write the members of a part of the wet cells.

        The noise is that of the nearest cell, not a mean of neighbours: it keeps its variance.
        """
        here, members = self.wet[part], len(self.drawn)
        ascending = quantiles(
            self.likely[:, here], thresholds_mm_h=thresholds_mm_h, members=members
        )
        self.drawn[:, here] = shuffled(ascending, self.noise[:, self.whence[part]])


def _exceedances(members: int, *, like: Tensor) -> Tensor:
    """With which probability each member is exceeded, descending."""
    return 1.0 - (torch.arange(members, device=like.device) + 0.5) / members


def quantiles(probabilities: Tensor, *, thresholds_mm_h: Sequence[float], members: int) -> Tensor:
    """Rain rates (members, ...) in mm h-1, ascending: the quantiles (m + 1/2) / members.

    ``probabilities`` (K, ...) of reaching each of the ascending thresholds, not rising with the
    threshold. Between thresholds the logarithm of the rate is linear in the probability; below the
    lowest it is dry; above the highest the tail is exponential. NaN stays NaN.
    """
    exceeded = _exceedances(members, like=probabilities)
    exceeded = exceeded.view(-1, *(1 for _ in probabilities.shape[1:]))
    levels = [math.log(threshold) for threshold in thresholds_mm_h]
    logarithm = torch.full((members, *probabilities.shape[1:]), levels[0], device=exceeded.device)
    for k in range(len(levels) - 1):
        upper, lower = probabilities[k], probabilities[k + 1]
        if not bool((upper > exceeded[-1]).any()):  # in most places strong rain is out of reach
            break
        part = (upper - exceeded).div_((upper - lower).clamp(min=_CERTAIN)).clamp_(0.0, 1.0)
        logarithm.add_(part, alpha=levels[k + 1] - levels[k])
    top = probabilities[-1]
    beyond = torch.log(top.clamp(min=_CERTAIN) / exceeded).clamp_(min=0.0) * _TAIL
    rate = torch.exp(logarithm) * (1.0 + beyond)
    # Dry where the lowest threshold is not reached; the comparison is false for NaN, kept by where.
    return torch.where(probabilities[0] < exceeded, 0.0, rate) + 0.0 * probabilities[0]


def shuffled(ascending: Tensor, noise: Tensor) -> Tensor:
    """Each cell's values (M, ...), ascending, in the order of the noise (M, ...) there."""
    members = torch.empty_like(ascending)
    return members.scatter_(0, _order(noise), ascending)


def _order(noise: Tensor) -> Tensor:
    """As ``noise.argsort(dim=0)``: numpy takes a third of the time for it."""
    if noise.is_cuda:
        return noise.argsort(dim=0)
    return torch.from_numpy(np.argsort(noise.numpy(), axis=0))
