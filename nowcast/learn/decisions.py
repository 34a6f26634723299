"""From which probability on rain is said: fixed on events that nothing is judged by.

The cut of a threshold and lead is the one with the highest CSI over forecasts of all events, each
event with the same weight. A CSI-optimal cut lies at CSI / (1 + CSI) of calibrated probabilities
(Hogan et al., Wea. Forecasting 25, 1612, 2010), well below one half: so no fixed cut serves.
"""

from __future__ import annotations

from dataclasses import replace
from functools import reduce
from operator import add
from typing import TYPE_CHECKING

import numpy as np

from mim_core import checkpoint
from nowcast.field.errors import MissingFramesError
from nowcast.forecast.head import RainHead
from nowcast.forecast.mim import Mim
from nowcast.learn.trial import judged
from nowcast.verify.probability import CUTS
from nowcast.verify.tally import total

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from nowcast.learn.episodes import Episode
    from nowcast.verify.probability import ProbabilityBins
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
    events: dict[str, list[Tally]] = {}
    for episode in episodes:
        for issue in episode.issues[::every]:
            tally = judged(nowcaster, episode, issue)
            events.setdefault(episode.name, []).append(tally)
            heard(f"{episode.name}, {tally.issued[0]}")
    if not events:
        raise MissingFramesError("nothing to decide on: no unbroken sequence is long enough")
    pooled = reduce(add, (_even(total(tallies)) for tallies in events.values()))
    network, metadata = checkpoint.load(weights)
    head = RainHead.from_dict(metadata["head"])  # type: ignore[arg-type]  # it checks
    head = replace(head, decisions=best_cuts(pooled.probabilities))
    about = {"events": sorted(events), "forecasts": sum(map(len, events.values()))}
    checkpoint.save(
        weights, network, metadata={**metadata, "head": head.to_dict(), "decided_on": about}
    )
    return head


def best_cuts(bins: ProbabilityBins) -> tuple[tuple[float, ...], ...]:
    """The probability with the highest CSI, (threshold, lead), of bins (lead, threshold, bin).

    Neighbouring leads are judged together. A threshold that was hardly ever reached takes the cut
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


def _even(tally: Tally) -> Tally:
    """The same sums with a weight of one, so that every event counts alike.

    Leads are told by their number: what is fixed is for the network's steps, at any cadence.
    """
    even = tally.named("mim") * (1.0 / max(float(tally.coverage.counted.sum()), 1.0))
    return replace(even, lead_minutes=tuple(map(float, range(1, len(tally.lead_minutes) + 1))))


def _smooth(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Means over three leads: what is fixed is to change slowly from lead to lead."""
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
