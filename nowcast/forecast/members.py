"""Ensemble members from a distribution at every pixel, arranged by correlated noise.

At every pixel and lead the M members are the M quantiles (m + 1/2) / M of the forecast
distribution, so that they say what the probabilities say. Which member gets which quantile is
decided by the order of M noise fields there: neighbouring pixels and following leads agree as rain
does (the Schaake shuffle: Clark et al., J. Hydrometeor. 5, 243, 2004, with noise for history).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

from nowcast.forecast.advect import warp

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
    leads = probabilities.shape[1]
    made = probabilities.new_empty((members, *probabilities.shape[1:]))
    fields = noise.fields(members=members, leads=leads, seed=seed)
    for lead, field in enumerate(fields):
        # The nearest value, not a mean of neighbours: noise keeps its variance.
        moved = warp(field.unsqueeze(0), displacement[lead : lead + 1], mode="nearest")[0]
        moved = torch.where(torch.isnan(moved), field, moved)
        ascending = quantiles(
            probabilities[:, lead], thresholds_mm_h=thresholds_mm_h, members=members
        )
        made[:, lead] = shuffled(ascending, moved)
    return made


def quantiles(probabilities: Tensor, *, thresholds_mm_h: Sequence[float], members: int) -> Tensor:
    """Rain rates (members, H, W) in mm h-1, ascending: the quantiles (m + 1/2) / members.

    ``probabilities`` (K, H, W) of reaching each of the ascending thresholds, not rising with the
    threshold. Between thresholds the logarithm of the rate is linear in the probability; below the
    lowest it is dry; above the highest the tail is exponential. NaN stays NaN.
    """
    exceeded = 1.0 - (torch.arange(members, device=probabilities.device) + 0.5) / members
    exceeded = exceeded.view(-1, 1, 1)
    lowest = math.log(thresholds_mm_h[0])
    logarithm = torch.full((members, *probabilities.shape[1:]), lowest, device=probabilities.device)
    levels = [math.log(threshold) for threshold in thresholds_mm_h]
    for k in range(len(levels) - 1):
        upper, lower = probabilities[k], probabilities[k + 1]
        part = (upper - exceeded) / (upper - lower).clamp(min=_CERTAIN)
        logarithm += part.clamp_(0.0, 1.0) * (levels[k + 1] - levels[k])
    top = probabilities[-1]
    beyond = torch.log(top.clamp(min=_CERTAIN) / exceeded).clamp_(min=0.0) * _TAIL
    rate = torch.exp(logarithm) * (1.0 + beyond)
    # Dry where the lowest threshold is not reached; the comparison is false for NaN, kept by where.
    return torch.where(probabilities[0] < exceeded, 0.0, rate) + 0.0 * probabilities[0]


def shuffled(ascending: Tensor, noise: Tensor) -> Tensor:
    """Each pixel's values (M, H, W), ascending, in the order of the noise (M, H, W) there."""
    order = noise.argsort(dim=0)
    members = torch.empty_like(ascending)
    return members.scatter_(0, order, ascending)
