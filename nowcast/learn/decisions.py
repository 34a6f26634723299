"""From which probability on rain is said: fixed on events that nothing is judged by.

The cut of a threshold and lead time is the one with the highest CSI over forecasts of all events,
each event with the same weight. A CSI-optimal cut lies at CSI / (1 + CSI) of calibrated
probabilities (Hogan et al., Wea. Forecasting 25, 1612, 2010), well below one half: so no fixed cut
serves. What counts is how far ahead it is, not how many steps of the network that takes: radars of
all cadences decide together.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from functools import reduce
from operator import add
from typing import TYPE_CHECKING

import numpy as np

from mim_core import checkpoint
from nowcast.field.errors import MissingFramesError
from nowcast.forecast.head import DECIDED_EVERY_MINUTES, RainHead
from nowcast.forecast.mim import Mim
from nowcast.learn.trial import judged
from nowcast.verify.probability import CUTS, ProbabilityBins
from nowcast.verify.tally import total

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from nowcast.learn.episodes import Episode
    from nowcast.verify.tally import Tally

# With a smaller part of all pixels reaching a threshold, its curve of CSI is noise.
ENOUGH = 2e-6


def decide(
    weights: Path,
    episodes: Sequence[Episode],
    *,
    every: int = 6,
    heard: Callable[[str], None] = lambda _: None,
) -> RainHead:
    """Fix the decisions of ``weights`` on forecasts of ``episodes`` and write them into its header.

    A forecast is issued at every ``every``-th time of each episode. Returns the head as written.
    Raises MissingFramesError where no episode is long enough, WeightsError and MethodError.
    """
    nowcaster = Mim(weights)
    tallies: dict[str, list[Tally]] = defaultdict(list)
    for episode in episodes:
        for issue in episode.issues[::every]:
            tally = judged(nowcaster, episode, issue)
            tallies[episode.name].append(tally)
            heard(f"{episode.name}, {tally.issued[0]}")
    if not tallies:
        raise MissingFramesError("nothing to decide on: no unbroken sequence is long enough")
    events = [total(of_event) for of_event in tallies.values()]
    cuts = best_cuts(pooled([(event.lead_minutes, event.probabilities) for event in events]))
    network, metadata = checkpoint.load(weights)
    head = RainHead.from_dict(metadata["head"])  # type: ignore[arg-type]  # it checks
    head = replace(head, decisions=cuts)
    about = {"events": sorted(tallies), "forecasts": sum(map(len, tallies.values()))}
    checkpoint.save(
        weights, network, metadata={**metadata, "head": head.to_dict(), "decided_on": about}
    )
    return head


def pooled(events: Sequence[tuple[Sequence[float], ProbabilityBins]]) -> ProbabilityBins:
    """The bins (time, threshold, bin) of all events, every ``DECIDED_EVERY_MINUTES`` ahead.

    Of each event the minutes ahead of its leads and their bins (lead, threshold, bin). It counts
    like every other wherever it has pixels; between its leads it is linear, and a step before the
    first and after the last it fades out.
    """
    longest = max(lead_minutes[-1] for lead_minutes, _ in events)
    times = max(round(longest / DECIDED_EVERY_MINUTES), 1)
    minutes = DECIDED_EVERY_MINUTES * np.arange(1, times + 1, dtype=np.float64)
    return reduce(add, (_even(bins, np.asarray(ahead), at=minutes) for ahead, bins in events))


def _even(
    bins: ProbabilityBins, ahead: NDArray[np.float64], *, at: NDArray[np.float64]
) -> ProbabilityBins:
    """The bins of one event, as parts of its pixels, so many minutes ahead."""
    near = (1.0 - np.abs(at[:, np.newaxis] - ahead) / ahead[0]).clip(min=0.0)
    pixels = np.maximum(bins.total, 1.0)[..., np.newaxis]
    return ProbabilityBins.of(
        {name: np.tensordot(near, sums / pixels, axes=1) for name, sums in bins.arrays().items()}
    )


def best_cuts(bins: ProbabilityBins) -> tuple[tuple[float, ...], ...]:
    """The probability with the highest CSI, (threshold, time), of bins (time, threshold, bin).

    Neighbouring times are judged together. A threshold that was hardly ever reached takes the cut
    of the next lower one: it is as unsure.
    """
    csi = _smooth(bins.csi_by_cut[..., 1:-1])
    reached = bins.hits[..., 0] / np.maximum(bins.total, 1e-30)
    cuts = np.full(csi.shape[:2], np.nan)
    for threshold in range(csi.shape[1]):
        for lead in range(csi.shape[0]):
            if reached[lead, threshold] >= ENOUGH and np.isfinite(csi[lead, threshold]).any():
                cuts[lead, threshold] = _peak(csi[lead, threshold])
        lower = cuts[:, threshold - 1] if threshold else np.full(csi.shape[0], 0.5)
        cuts[:, threshold] = np.where(np.isnan(cuts[:, threshold]), lower, cuts[:, threshold])
    return tuple(tuple(round(float(cut), 3) for cut in column) for column in cuts.T)


def _smooth(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Means over three times: what is fixed is to change slowly with the lead time."""
    padded = np.concatenate([values[:1], values, values[-1:]])
    return np.asarray((padded[:-2] + padded[1:-1] + padded[2:]) / 3)


def _peak(csi: NDArray[np.float64]) -> float:
    """Where a curve over the inner ``CUTS`` is highest: the vertex through its best points."""
    curve = np.where(np.isfinite(csi), csi, -np.inf)
    best = int(curve.argmax())
    if not 0 < best < curve.size - 1 or not np.isfinite(curve[best - 1 : best + 2]).all():
        return CUTS[best + 1]
    left, middle, right = curve[best - 1 : best + 2]
    bend = left - 2 * middle + right
    shift = 0.5 * (left - right) / bend if bend < 0 else 0.0
    return CUTS[best + 1] + shift * (CUTS[1] - CUTS[0])
