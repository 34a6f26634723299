"""Training samples: crops of episodes, moved to issue time along the motion.

Past and future alike are moved to issue time (the future by the motion turned round), so that the
network learns what advection does not know; in the head's Eulerian form they stay. Every batch is a
pure function of seed and step.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import torch

from nowcast.field.errors import MissingFramesError
from nowcast.forecast.advect import displacements, warp
from nowcast.forecast.head import SEEN_CHANNEL, Sampling
from nowcast.learn.variety import AS_MEASURED, OtherRadar, Variety, resized

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from nowcast.forecast.head import RainHead
    from nowcast.learn.episodes import Episode

WET_MM_H = 0.5


@dataclass(frozen=True)
class CropSettings:
    """How samples are cut.

    Attributes:
        size: cells on a side, a multiple of the patch.
        margin: cells around a crop that air may come from.
        wet_share: of the samples that are centred where it rains.
        issue_every: frames between the issue times that are used.
        variety: how samples are varied.

    """

    size: int = 128
    margin: int = 48
    wet_share: float = 0.85
    issue_every: int = 2
    variety: Variety = field(default_factory=Variety)


@dataclass(frozen=True)
class LagrangianCrops:
    """Batches of crops from several episodes, each episode in proportion to its issue times."""

    episodes: Sequence[Episode]
    head: RainHead
    settings: CropSettings
    batch_size: int
    seed: int = 0

    def __post_init__(self) -> None:
        if not any(episode.from_step == 0 for episode in self.episodes):
            raise MissingFramesError("nothing to learn from: no unbroken sequence is long enough")

    def batch_at(self, step: int) -> dict[str, Tensor]:
        """``frames`` (B, T, C, S, S) as the network takes them, ``mask`` (B, T, 1, S, S)."""
        generator = np.random.default_rng([self.seed, step])
        drawn = [episode for episode in self.episodes if episode.from_step <= step]
        frames = torch.stack([self._sample(drawn, generator) for _ in range(self.batch_size)])
        return {"frames": frames, "mask": frames[:, :, SEEN_CHANNEL : SEEN_CHANNEL + 1]}

    def _sample(self, episodes: Sequence[Episode], generator: np.random.Generator) -> Tensor:
        """One crop at issue time's place, (T, C, S, S), as the network takes it."""
        counts = np.array([len(self._issues(episode)) for episode in episodes], dtype=float)
        # The square root keeps a long event from drowning the short ones.
        weights = np.sqrt(counts) / np.sqrt(counts).sum()
        episode = episodes[int(generator.choice(len(episodes), p=weights))]
        issue = int(generator.choice(self._issues(episode)))
        row, column = self._centre(episode, issue, generator)
        variety = self.settings.variety
        slowest = _slowest(episode, issue)
        radar = variety.radar(generator, history=episode.history, slowest=slowest)
        rate = self._moved(episode, issue, row=row, column=column, radar=radar)
        rate *= variety.factor(generator)
        rate = torch.rot90(rate, int(generator.integers(4)), dims=(-2, -1))
        rate = rate.flip(-1) if generator.random() < 0.5 else rate
        minutes, cell_km = episode.sampling
        return self.head.inputs(rate, Sampling(minutes * radar.every, cell_km * radar.zoom))

    def _issues(self, episode: Episode) -> range:
        return episode.issues[:: self.settings.issue_every]

    def _centre(
        self, episode: Episode, issue: int, generator: np.random.Generator
    ) -> tuple[int, int]:
        """The middle of a crop: mostly where it rains at issue time, else anywhere that is seen."""
        now = episode.rate_mm_h[issue]
        wet = generator.random() < self.settings.wet_share
        cells = np.flatnonzero(now >= WET_MM_H) if wet else np.empty(0, dtype=int)
        if cells.size == 0:
            cells = np.flatnonzero(np.isfinite(now))
        if cells.size == 0:
            return now.shape[0] // 2, now.shape[1] // 2
        jitter = generator.integers(-self.settings.size // 3, self.settings.size // 3 + 1, size=2)
        row, column = np.unravel_index(int(generator.choice(cells)), now.shape)
        return int(row + jitter[0]), int(column + jitter[1])

    def _moved(
        self,
        episode: Episode,
        issue: int,
        *,
        row: int,
        column: int,
        radar: OtherRadar = AS_MEASURED,
    ) -> Tensor:
        """The frames around ``issue`` that ``radar`` sees, (T, S, S), each where the head wants it.

        ``row`` and ``column``: the middle, in cells of the episode.
        """
        size, margin = self.settings.size, self.settings.margin
        side = size + 2 * margin
        given = round(side * radar.zoom)
        top, left = row - given // 2, column - given // 2
        first = issue - (episode.history - 1) * radar.every
        stop = issue + episode.leads * radar.every + 1
        frames = episode.rate_mm_h[first : stop : radar.every]
        window = cut(frames, top=top, left=left, side=given)
        window = radar.sees(window, side=side)
        past, future = window[: episode.history], window[episode.history :]
        motion = torch.zeros(2, side, side)
        if self.head.moves_along:
            found = np.nan_to_num(cut(episode.motion(issue), top=top, left=left, side=given))
            motion = torch.from_numpy(resized(found, side=side)) * (radar.every * side / given)
        back = displacements(motion, steps=max(episode.history - 1, 1)).flip(0)
        out = displacements(-motion, steps=episode.leads)
        moved = torch.full((episode.history + episode.leads, side, side), torch.nan)
        if episode.history > 1:
            moved[: episode.history - 1] = _warped(past[:-1], back)
        moved[episode.history - 1] = torch.from_numpy(past[-1])
        moved[episode.history : episode.history + len(future)] = _warped(future, out[: len(future)])
        return moved[:, margin : margin + size, margin : margin + size]


def _slowest(episode: Episode, issue: int) -> int:
    """Every how many frames a sample may take that still is to have its history and a lead."""
    after = episode.radar.sizes["time"] - 1 - issue
    return min(issue // max(episode.history - 1, 1), after)


def cut(fields: NDArray[np.float32], *, top: int, left: int, side: int) -> NDArray[np.float32]:
    """A square window of ``fields`` (N, y, x); NaN beyond the edge of the grid."""
    height, width = fields.shape[-2:]
    window = np.full((fields.shape[0], side, side), np.nan, np.float32)
    rows = slice(max(top, 0), min(top + side, height))
    columns = slice(max(left, 0), min(left + side, width))
    if rows.start < rows.stop and columns.start < columns.stop:
        window[
            :, rows.start - top : rows.stop - top, columns.start - left : columns.stop - left
        ] = fields[:, rows, columns]
    return window


def _warped(fields: NDArray[np.float32], ways: Tensor) -> Tensor:
    return warp(torch.from_numpy(fields)[:, None], ways)[:, 0]
