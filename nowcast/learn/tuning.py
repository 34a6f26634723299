"""Weights tuned to a radar of one's own: what is held out, and whether it helped there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nowcast.field import schema
from nowcast.field.errors import MissingFramesError
from nowcast.forecast.mim import Mim
from nowcast.learn.episodes import Episode
from nowcast.learn.trial import judged
from nowcast.verify.bootstrap import difference_interval
from nowcast.verify.tally import total

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from nowcast.verify.tally import Tally

# Both are better when lower, so a difference below zero is a gain.
_SCORES: Mapping[str, Callable[[Tally], NDArray[np.float64]]] = {
    "mae": lambda tally: tally.errors.mae.mean(axis=-1),
    "brier": lambda tally: tally.brier.brier.mean(axis=(-2, -1)),
}


@dataclass(frozen=True)
class Gain:
    """A score of tuned weights less that of those they began as: below 0 is better.

    Attributes:
        score: its name.
        before, after: the score over all held-out forecasts.
        low, high: where the difference would lie with other cycles of the same kind; NaN where
            there are too few to tell.

    """

    score: str
    before: float
    after: float
    low: float
    high: float

    @property
    def verdict(self) -> str:
        """``helped``, ``harmed``, or ``not resolved``."""
        if self.high < 0:
            return "helped"
        return "harmed" if self.low > 0 else "not resolved"

    def __str__(self) -> str:
        """As a line of a report."""
        change = 100 * (self.after / self.before - 1) if self.before else 0.0
        return (
            f"{self.score}: {self.before:.4g} before, {self.after:.4g} after ({change:+.1f} %): "
            f"{self.verdict}"
        )


def held_out(episodes: Sequence[Episode], *, share: float) -> tuple[list[Episode], list[Episode]]:
    """Episodes to learn from, and later ones that learning never sees.

    Whole days are held out where there are several, else the end of the only one; no sample reaches
    across. Raises MissingFramesError where either is empty.
    """
    days = sorted({day for episode in episodes for day in _days(episode)})
    if len(days) > 1:
        first_held = days[-max(1, round(share * len(days)))]
    else:
        times = np.concatenate([episode.radar["time"].values for episode in episodes])
        first_held = np.quantile(times.astype(np.int64), 1 - share).astype("datetime64[ns]")
    learnt = [part for episode in episodes for part in _part(episode, before=first_held)]
    held = [part for episode in episodes for part in _part(episode, since=first_held)]
    if not learnt or not held:
        raise MissingFramesError(
            f"{len(learnt)} sequences to learn from and {len(held)} from {first_held} on to judge "
            "by: expected at least one of each; give more frames or another --hold-out"
        )
    return learnt, held


def gains(
    before: Path,
    after: Path,
    episodes: Sequence[Episode],
    *,
    every: int = 3,
    heard: Callable[[str], None] = lambda _: None,
) -> list[Gain]:
    """How much better ``after`` is than ``before`` on forecasts of ``episodes``, score by score."""
    tallies: dict[Path, list[Tally]] = {before: [], after: []}
    for weights, found in tallies.items():
        nowcaster = Mim(weights)
        for episode in episodes:
            for issue in episode.issues[::every]:
                found.append(judged(nowcaster, episode, issue).named("mim"))
                heard(f"{weights.name}, {found[-1].issued[0]}")
    return [_gain(name, score, tallies[before], tallies[after]) for name, score in _SCORES.items()]


def _gain(
    name: str,
    score: Callable[[Tally], NDArray[np.float64]],
    before: Sequence[Tally],
    after: Sequence[Tally],
) -> Gain:
    interval = difference_interval(after, before, score)
    return Gain(
        score=name,
        before=float(score(total(before))),
        after=float(score(total(after))),
        low=float(interval.low),
        high=float(interval.high),
    )


def _days(episode: Episode) -> set[np.datetime64]:
    return set(np.unique(episode.radar["time"].values.astype("datetime64[D]")))


def _part(
    episode: Episode,
    *,
    since: np.datetime64 | None = None,
    before: np.datetime64 | None = None,
) -> list[Episode]:
    """The frames of an episode on one side of a time, if they are enough for a sample."""
    times = episode.radar["time"].values
    chosen = np.ones(times.size, dtype=bool)
    if since is not None:
        chosen &= times >= since
    if before is not None:
        chosen &= times < before
    if np.count_nonzero(chosen) < episode.history + max(episode.leads // 2, 1):
        return []
    radar = schema.Radar(episode.radar.isel(time=np.flatnonzero(chosen)))
    return [Episode(episode.name, radar, history=episode.history, leads=episode.leads)]
