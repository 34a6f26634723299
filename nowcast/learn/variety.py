"""What another radar would have shown of the same rain.

A network that has seen few radars knows them by their ways: the weakest rain that they show, the
noise of their cells, how fine these are, where nothing is seen. It is used on radars that it has
never seen, so samples are varied in just these. What another radar does to a sample it does to the
past and to the future alike: the network is asked for what that radar will show.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional

from nowcast.learn.objective import SEEN

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Fields = NDArray[np.float32]

WEAKEST_MM_H = 0.01  # the weakest rain that radars of the archives show


@dataclass(frozen=True)
class Variety:
    """How far samples are varied; by default they stay as they were measured.

    Attributes:
        intensity: rain of every sample is scaled by up to this factor either way.
        share: of the samples, which another radar sees; what follows is of it.
        zoom: its cells are larger or smaller by up to this factor.
        slower: it looks every n-th time only, n up to this.
        faintest_mm_h: it shows no rain weaker than a rate of up to this.
        noise_decibel: of its cells and frames, each for itself; a standard deviation of up to this.
        lost: the chance of every frame before the newest to be missing.
        blind: the chance that it sees nothing beyond some line.

    """

    intensity: float = 1.0
    share: float = 0.0
    zoom: float = 1.0
    slower: int = 1
    faintest_mm_h: float = WEAKEST_MM_H
    noise_decibel: float = 0.0
    lost: float = 0.0
    blind: float = 0.0

    def factor(self, generator: np.random.Generator) -> float:
        """What the rain of the next sample is multiplied by."""
        return math.exp(generator.uniform(-1, 1) * math.log(self.intensity))

    def radar(self, generator: np.random.Generator, *, history: int, slowest: int) -> OtherRadar:
        """The radar that sees the next sample, of ``history`` frames up to issue time.

        It looks every ``slowest``-th time at the least: of more there are not enough frames.
        """
        if self.share == 0 or generator.random() >= self.share:
            return AS_MEASURED
        lost = np.flatnonzero(generator.random(history - 1) < self.lost)
        beyond = generator.uniform(0.1, 0.5) if generator.random() < self.blind else math.inf
        weakest, strongest = math.log(WEAKEST_MM_H), math.log(self.faintest_mm_h)
        return OtherRadar(
            zoom=math.exp(generator.uniform(-1, 1) * math.log(self.zoom)),
            every=int(generator.integers(1, max(min(self.slower, slowest), 1) + 1)),
            faintest_mm_h=math.exp(generator.uniform(weakest, strongest)),
            noise_decibel=generator.uniform(0, self.noise_decibel),
            lost=tuple(map(int, lost)),
            blind=(generator.uniform(0, 2 * math.pi), beyond),
            seed=int(generator.integers(2**32)),
        )


@dataclass(frozen=True)
class OtherRadar:
    """One radar that sees a sample.

    Attributes:
        zoom: how many cells of the archive are one of its own, along a side.
        every: it looks every so many frames of the archive.
        faintest_mm_h: what is weaker it shows as dry.
        noise_decibel: standard deviation.
        lost: the numbers of the frames that are missing.
        blind: the direction (in radians) in which nothing is seen from some way off, and how far
            that is from the middle of the sample, in sides of it.
        seed: of the noise.

    """

    zoom: float = 1.0
    every: int = 1
    faintest_mm_h: float = 0.0
    noise_decibel: float = 0.0
    lost: tuple[int, ...] = ()
    blind: tuple[float, float] = (0.0, math.inf)
    seed: int = 0

    def sees(self, rate_mm_h: Fields, *, side: int) -> Fields:
        """What of the rates (T, any, any) it shows on a square of (T, side, side); NaN: unseen."""
        seen = resized(rate_mm_h, side=side)
        if self.noise_decibel > 0:
            noise = np.random.default_rng(self.seed).standard_normal(seen.shape, dtype=np.float32)
            seen = seen * np.exp(noise * np.float32(self.noise_decibel * math.log(10) / 10))
        seen = np.where(seen < self.faintest_mm_h, np.float32(0.0), seen)
        direction, beyond = self.blind
        if math.isfinite(beyond):
            along = (np.arange(side) - (side - 1) / 2) / side
            way = along * math.cos(direction) + along[:, None] * math.sin(direction)
            seen[:, way > beyond] = np.nan
        seen[list(self.lost)] = np.nan
        return seen


AS_MEASURED = OtherRadar()


def resized(fields: Fields, *, side: int) -> Fields:
    """Fields (N, any, any) on a square of (N, side, side) cells over the same region.

    Means of what each cell covers, or between the cells where the new ones are smaller. NaN where
    part of that is NaN.
    """
    if fields.shape[-2:] == (side, side):
        return fields
    given = torch.from_numpy(fields)[:, None]
    layers = torch.cat([given.nan_to_num(), given.isfinite().to(given.dtype)], dim=1)
    made = functional.interpolate(layers, size=(side, side), mode="bilinear", antialias=True)
    values, seen = made.unbind(dim=1)
    result: Fields = torch.where(seen >= SEEN, values, torch.nan).numpy()
    return result
