"""Ensemble members from a distribution at every pixel, arranged by correlated noise.

At every pixel and lead the M members are the M quantiles (m + 1/2) / M of the forecast
distribution, so that they say what the probabilities say. Which member gets which quantile is
decided by the order of M noise fields there: neighbouring pixels and following leads agree as rain
does (the Schaake shuffle: Clark et al., J. Hydrometeor. 5, 243, 2004, with noise for history).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import torch

from nowcast.forecast.advect import sources
from nowcast.forecast.parts import parts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from nowcast.forecast.noise import NoiseSource

# By which part of the highest threshold the rate beyond it grows with a unit of the logit: on
# validation (MRMS, 4 to 24 min) from 0.35 to 0.5 alike, members of an exponential tail are worse.
_TAIL = 0.4
_CERTAIN = 1e-6
_POSITIVE = 8.0  # added to noise of variance 1 leaves none of it negative


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
    size = math.prod(probabilities.shape[-2:])
    fields = noise.fields(members=members, leads=probabilities.shape[1], seed=seed)
    for lead, field in enumerate(fields):
        likely = probabilities[:, lead].flatten(1).contiguous()
        wet = _may_be_wet(likely[0], members=members)
        cells = _Cells(
            likely=likely,
            noise=field.view(members, -1),
            wet=wet,
            whence=sources(displacement[lead]).flatten()[wet],
            drawn=made.view(-1)[lead * size :],
            apart=probabilities.shape[1] * size,
        )
        for part in parts(len(wet), values_each=members, like=made):
            cells.draw(part, thresholds_mm_h=thresholds_mm_h)
    return made


class _Cells(NamedTuple):
    """One lead, cell by cell."""

    likely: Tensor  # probabilities (K, cells)
    noise: Tensor  # (members, cells), not yet moved
    wet: Tensor  # the numbers of those that may be wet
    whence: Tensor  # of those the cells where their air comes from
    drawn: Tensor  # where members of this lead begin, dry, the wet ones to be written
    apart: int  # so far from each other

    def draw(self, part: slice, *, thresholds_mm_h: Sequence[float]) -> None:
        """Write the wet members of a part of the wet cells.

        The noise is that of the nearest cell, not a mean of neighbours: it keeps its variance.
        """
        here, members = self.wet[part], len(self.noise)
        # index_select and scatter by themselves: a fifth of the time of indexing by two axes.
        likely = self.likely.index_select(1, here)
        raining = int(_wet_members(likely[0, -1:], members=members))  # the last has the most
        ascending = quantiles(
            likely, thresholds_mm_h=thresholds_mm_h, members=members, wettest=raining
        )
        wettest = _wettest(self.noise.index_select(1, self.whence[part]), count=raining)
        place = wettest.mul_(self.apart).add_(here)
        self.drawn.scatter_(0, place.flatten(), ascending.flatten())


def _may_be_wet(likely: Tensor, *, members: int) -> Tensor:
    """The numbers of the cells with a wet member, those with few first.

    So cells that are drawn together have about as many, and dry members are not drawn at all.
    """
    wet = _wet_members(likely, members=members)
    ascending = wet.sort(stable=True)  # neighbours stay neighbours, which memory likes
    return ascending.indices[int((wet == 0).sum()) :]


def _wet_members(likely: Tensor, *, members: int) -> Tensor:
    """How many of the members are wet, by the probability of the lowest threshold; NaN is none."""
    exceedances = _exceedances(members, like=likely).flip(0)
    return torch.bucketize(likely.nan_to_num(0.0), exceedances, out_int32=True, right=True)


def _exceedances(members: int, *, like: Tensor) -> Tensor:
    """With which probability each member is exceeded, descending."""
    return 1.0 - (torch.arange(members, device=like.device) + 0.5) / members


def quantiles(
    probabilities: Tensor,
    *,
    thresholds_mm_h: Sequence[float],
    members: int,
    wettest: int | None = None,
) -> Tensor:
    """Rain rates (members, ...) in mm h-1, ascending: the quantiles (m + 1/2) / members.

    ``probabilities`` (K, ...) of reaching each of the ascending thresholds, not rising with the
    threshold. Between thresholds the logarithm of the rate is linear in the logit of the
    probability, as the network says it, above the highest the rate itself is; below the lowest it
    is dry. NaN stays NaN. Of the ``wettest`` members alone, as many as that says, it is
    (wettest, ...).
    """
    drier = 0 if wettest is None else members - wettest
    exceeded = _exceedances(members, like=probabilities)[drier:]
    exceeded = exceeded.view(-1, *(1 for _ in probabilities.shape[1:]))
    return rate_exceeded(probabilities, exceeded, thresholds_mm_h=thresholds_mm_h)


def rate_exceeded(
    probabilities: Tensor, exceeded: Tensor, *, thresholds_mm_h: Sequence[float]
) -> Tensor:
    """The rates (M, ...) in mm h-1 that are ``exceeded`` (M, ... or 1s) so often, descending in M.

    Of ``probabilities`` (K, ...) as in ``quantiles``.
    """
    levels = [math.log(threshold) for threshold in thresholds_mm_h]
    shape = (len(exceeded), *probabilities.shape[1:])
    logarithm = torch.full(shape, levels[0], device=exceeded.device)
    wanted, lower = (torch.logit(sure, eps=_CERTAIN) for sure in (exceeded, probabilities[0]))
    for k in range(len(levels) - 1):
        if not bool((probabilities[k] > exceeded[-1]).any()):
            break  # in most places strong rain is out of reach
        upper, lower = lower, torch.logit(probabilities[k + 1], eps=_CERTAIN)
        part = (upper - wanted).div_((upper - lower).clamp(min=_CERTAIN)).clamp_(0.0, 1.0)
        logarithm.add_(part, alpha=levels[k + 1] - levels[k])
    rate, top = torch.exp(logarithm), probabilities[-1]
    if bool((top > exceeded[-1]).any()):
        beyond = (torch.logit(top, eps=_CERTAIN) - wanted).clamp_(min=0.0)
        rate = rate * (1.0 + _TAIL * beyond)
    # Dry where the lowest threshold is not reached; the comparison is false for NaN, kept by where.
    return torch.where(probabilities[0] < exceeded, 0.0, rate) + 0.0 * probabilities[0]


def _wettest(noise: Tensor, *, count: int) -> Tensor:
    """Which members of (M, cells) have the most noise, (count, cells), ascending.

    As the last rows of ``argsort(dim=0)`` but for differences below 1e-4: positive floats ascend as
    their bits do, the last of these give way to the member's number, and the values are sorted
    themselves, in a tenth of the time.
    """
    low = (1 << (len(noise) - 1).bit_length()) - 1
    numbers = torch.arange(len(noise), dtype=torch.int32, device=noise.device)
    keys = (noise + _POSITIVE).view(torch.int32).bitwise_and_(~low).bitwise_or_(numbers[:, None])
    if keys.is_cuda:
        keys = keys.sort(dim=0).values
    else:
        keys.numpy().sort(axis=0)
    return keys[len(noise) - count :].bitwise_and_(low).long()
