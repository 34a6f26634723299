"""Noise that gives members the texture of the newest frame, at every lead.

Noise with the spectrum of rain does not give members with it. What a distribution leaves open early
is mostly small, and late the steps from dry to wet have small waves of their own. So at some leads
a member is drawn, its spectrum is compared with that of the newest frame moved there, and each band
of the noise is made louder or softer until the two agree. STEPS has the same aim: its noise makes
up for what every scale of the forecast has lost (Bowler et al., Q. J. R. Meteorol. Soc. 132, 2127,
2006).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from mim_core.sampling import generator_at
from nowcast.forecast.advect import sources
from nowcast.forecast.amounts import in_decibel
from nowcast.forecast.members import rate_exceeded
from nowcast.forecast.spectrum import BANDS, Bands

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from nowcast.forecast.noise import NoiseSource

LEADS = (0, 2, 5, 11, 23)  # that are tuned, of those that there are; between them it is linear
FIRST_TRIES, TRIES = 6, 2  # at the first of them; at each further one, from where that came to
LOUDEST_DB = 20.0
SEED = 0  # of the waves that it is tuned by, whichever the members' are


def tuned(
    noise: NoiseSource,
    newest_mm_h: Tensor,
    probabilities: Tensor,
    *,
    thresholds_mm_h: Sequence[float],
    displacement: Tensor,
    members: int,
) -> NoiseSource:
    """The ``noise`` with its bands as loud at each lead as makes members like the newest frame.

    ``newest_mm_h`` (H, W), NaN where unseen; ``probabilities`` (K, lead, H, W) where the air
    arrives over a ``displacement`` (lead, 2, H, W). The fewer ``members``, the less of the
    distribution's ends they show. Without rain, now or later, the noise stays.
    """
    leads = probabilities.shape[1]
    draw = _Draw(noise, thresholds_mm_h, members=members)
    known: list[tuple[int, Tensor]] = []
    louder = torch.zeros(BANDS, device=newest_mm_h.device)
    for lead in sorted({lead for lead in LEADS if lead < leads} | {leads - 1}):
        likely = probabilities[:, lead].nan_to_num(0.0)
        arrived = newest_mm_h.flatten()[sources(displacement[lead])]
        arrived = torch.where(probabilities[0, lead].isnan(), 0.0, arrived.nan_to_num(0.0))
        wanted = draw.power(arrived)
        for _ in range(TRIES if known else FIRST_TRIES):
            found = draw.power(draw.member(likely, louder))
            if not bool((wanted > 0).all() and (found > 0).all()):
                return noise
            lacking = 10.0 * torch.log10(wanted / found)
            louder = (louder + lacking - lacking.mean()).clamp(-LOUDEST_DB, LOUDEST_DB)
            louder[0] = louder[1]  # how much rain there is far and wide is not for noise to say
        known.append((lead, louder))
    return replace(noise, louder=_between(known))


class _Draw:
    """One member, drawn from the same waves again and again."""

    def __init__(
        self, noise: NoiseSource, thresholds_mm_h: Sequence[float], *, members: int
    ) -> None:
        self._noise, self._thresholds_mm_h = noise, thresholds_mm_h
        self._rarest = 0.5 / members
        device = noise.amplitude.device
        white = torch.empty(noise.period, device=device)
        white.normal_(generator=generator_at(SEED, 0, device=device))
        self._waves = torch.fft.rfft2(white, norm="ortho")
        self._of_period, self._of_grid = (
            Bands(shape, device=device) for shape in (noise.period, noise.shape)
        )

    def power(self, rate_mm_h: Tensor) -> Tensor:
        """The power of each band of rain in dB."""
        return self._of_grid.power(in_decibel(rate_mm_h))

    def member(self, likely: Tensor, louder: Tensor) -> Tensor:
        """The rate (H, W) that ``likely`` (K, H, W) gives with bands so much ``louder``."""
        noise = self._noise
        amplitude = noise.raised(louder, self._of_period)
        field = torch.fft.irfft2(self._waves * amplitude, s=noise.period)
        field = field[: noise.shape[0], : noise.shape[1]].flatten()
        exceeded = torch.special.ndtr(-field).clamp_(self._rarest, 1.0 - self._rarest)
        raining = torch.nonzero(exceeded < likely[0].flatten()).squeeze(1)
        (rate,) = rate_exceeded(
            likely.flatten(1).index_select(1, raining),
            exceeded[None, raining],
            thresholds_mm_h=self._thresholds_mm_h,
        )
        return torch.zeros_like(field).index_copy_(0, raining, rate).view(noise.shape)


def _between(known: Sequence[tuple[int, Tensor]]) -> Tensor:
    """What is ``known`` of some leads, of every lead: (leads, BANDS), linear between them."""
    (first, louder), *others = known
    every = [louder] * (first + 1)
    for lead, after in others:
        before, step = every[-1], lead + 1 - len(every)
        every += [torch.lerp(before, after, part / step) for part in range(1, step + 1)]
    return torch.stack(every)
