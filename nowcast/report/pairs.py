"""Which of two methods is better, by which score, and whether the sample can tell.

Each score is averaged over the leads where both methods have one, and the difference is drawn again
with other cycles (``verify.bootstrap.difference_interval``): an order is claimed only where the
interval leaves out 0. Nothing is claimed of fewer than 8 forecasts.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from nowcast.verify.bootstrap import Resampling, difference_interval, score_interval
from nowcast.verify.interval_table import FEWEST_CYCLES
from nowcast.verify.scores import SCORES
from nowcast.verify.tally import total

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from nowcast.verify.tally import Tally

    Cycles = Mapping[str, Sequence[Tally]]

BETTER, WORSE, UNRESOLVED, UNSCORED = "better", "worse", "not resolved", "not scored"
# What methods are compared by, and whether more of it is better (1) or less (-1).
JUDGED = {
    "mae": -1,
    "rmse_db": -1,
    "crps": -1,
    "multiplicative_bias": -1,
    "csi": 1,
    "fss": 1,
    "brier": -1,
    "frequency_bias": -1,
}
# Best at 1, whichever way they miss it: judged by how far from 1, as |ln|.
BIASES = ("multiplicative_bias", "frequency_bias")


@dataclass(frozen=True)
class _Mean:
    """A score as methods are judged by it, averaged over some leads.

    Attributes:
        name: of ``SCORES``.
        leads: where it counts, of the score's shape without leading axes (lead, ...).

    """

    name: str
    leads: NDArray[np.bool_]

    def __call__(self, tally: Tally) -> NDArray[np.float64]:
        value = judged(self.name)(tally)
        axis = -self.leads.ndim
        with np.errstate(invalid="ignore"):
            summed = np.where(self.leads, value, 0.0).sum(axis=axis)
            return np.asarray(summed / self._count())

    def _count(self) -> NDArray[np.float64]:
        count = self.leads.sum(axis=0).astype(np.float64)
        return np.where(count > 0, count, np.nan)


def judged(name: str) -> Callable[[Tally], NDArray[np.float64]]:
    """A score as it is compared: biases by their distance from 1, NaN where that has no end."""

    def distance(tally: Tally) -> NDArray[np.float64]:
        with np.errstate(divide="ignore"):
            away = np.abs(np.log(SCORES[name](tally)))
        return np.where(np.isfinite(away), away, np.nan)

    return distance if name in BIASES else SCORES[name]


def lean(cycles: Cycles, statistic: str) -> dict[str, list[Tally]]:
    """The tallies with one statistic alone: all others would be drawn a thousand times for nothing.

    Methods whose cycles lack it are left out.
    """
    return {
        method: [
            tally.with_pieces(
                {name: p for name, p in tally.pieces().items() if name in ("coverage", statistic)}
            )
            for tally in tallies
        ]
        for method, tallies in cycles.items()
        if any(getattr(tally, statistic) is not None for tally in tallies)
    }


def mean_table(cycles: Cycles, *, resampling: Resampling | None = None) -> pd.DataFrame:
    """The judged scores of every method, averaged over leads, with intervals.

    Columns: score, threshold_mm_h, scale_cells (missing where a score has none), method, value, low
    and high (NaN for fewer than 8 forecasts). Only leads where all methods have a score count.
    """
    rows: list[dict[str, object]] = []
    for name in JUDGED:
        held = lean(cycles, SCORES[name].statistic)
        mean = _Mean(name, _common_leads(held, name))
        for method, tallies in held.items():
            interval = score_interval(tallies, mean, resampling=resampling or Resampling())
            told = np.nan if len(tallies) < FEWEST_CYCLES else 1.0
            low, high = interval.low * told, interval.high * told
            for place, labels in _places(tallies[0], interval.value.ndim):
                numbers = {"value": interval.value[place], "low": low[place], "high": high[place]}
                rows.append({"score": name, **labels, "method": method, **numbers})
    return pd.DataFrame(rows)


def pair_tables(
    cycles: Cycles, *, resampling: Resampling | None = None
) -> dict[tuple[str, str], pd.DataFrame]:
    """How each method does against each that follows it: (first, second) -> a row a score.

    Columns: score, threshold_mm_h, scale_cells, first, second (as judged, averaged over leads),
    difference, low, high, verdict (of the first: better, worse, not resolved, not scored), and at
    how many leads it is each: better, worse, not resolved.
    """
    return {
        (one, other): pd.concat(
            [
                _compared({one: cycles[one], other: cycles[other]}, name, resampling)
                for name in JUDGED
            ],
            ignore_index=True,
        )
        for one, other in combinations(cycles, 2)
    }


def _compared(pair: Cycles, name: str, resampling: Resampling | None) -> pd.DataFrame:
    """One score of two methods: a row a threshold and scale."""
    drawn = resampling or Resampling()
    held = lean(pair, SCORES[name].statistic)
    first, second = held.values()
    mean = _Mean(name, _common_leads(held, name))
    over_leads = difference_interval(first, second, mean, resampling=drawn)
    by_lead = difference_interval(first, second, judged(name), resampling=drawn)
    enough = len(first) >= FEWEST_CYCLES
    told = 1.0 if enough else np.nan
    verdicts = _verdicts(by_lead.value, by_lead.low * told, by_lead.high * told, JUDGED[name])
    means = [mean(total(tallies)) for tallies in (first, second)]
    rows: list[dict[str, object]] = []
    for place, labels in _places(first[0], over_leads.value.ndim):
        edges = [edge[place] * told for edge in (over_leads.low, over_leads.high)]
        value = over_leads.value[place]
        counted = np.moveaxis(verdicts, 0, -1)[place]
        rows.append(
            {"score": name, **labels}
            | {"first": means[0][place], "second": means[1][place], "difference": value}
            | {"low": edges[0], "high": edges[1]}
            | {"verdict": str(_verdicts(value, edges[0], edges[1], JUDGED[name]))}
            | {word: int((counted == word).sum()) for word in (BETTER, WORSE, UNRESOLVED)}
        )
    return pd.DataFrame(rows)


def _verdicts(
    value: NDArray[np.float64], low: NDArray[np.float64], high: NDArray[np.float64], sign: int
) -> NDArray[np.str_]:
    """What may be said of the first method; comparisons with NaN are False, and claim nothing."""
    above, below = low > 0, high < 0
    better, worse = (above, below) if sign > 0 else (below, above)
    words = np.where(better, BETTER, np.where(worse, WORSE, UNRESOLVED))
    return np.where(np.isnan(value), UNSCORED, words)


def _common_leads(cycles: Cycles, name: str) -> NDArray[np.bool_]:
    """Where all methods have the score (lead, ...)."""
    values = [judged(name)(total(tallies)) for tallies in cycles.values()]
    return np.asarray(np.logical_and.reduce([np.isfinite(value) for value in values]))


def _places(tally: Tally, axes: int) -> Iterator[tuple[tuple[int, ...], dict[str, float | None]]]:
    """The elements of a score averaged over leads, and their threshold and scale."""
    sizes = (tally.thresholds_mm_h, tally.scales_cells)[:axes]
    for place in np.ndindex(*(len(size) for size in sizes)):
        labels = [size[index] for size, index in zip(sizes, place, strict=True)]
        threshold, scale = [*labels, None, None][:2]
        yield place, {"threshold_mm_h": threshold, "scale_cells": scale}
