"""From which probability on rain is said, and how much: fixed on events that nothing is judged by.

The cut of a threshold and lead is the one with the highest CSI over forecasts of all events, each
event with the same weight. A CSI-optimal cut lies at CSI / (1 + CSI) of calibrated probabilities
(Hogan et al., Wea. Forecasting 25, 1612, 2010), well below one half: so no fixed cut serves. It
says rain in too many places; as CSI is flat at its top, a cut that says it in nearly as many as
had it costs next to nothing, and is taken.

A network that is trained for small errors says too little where it is unsure. Its strong rates are
stretched by one number a lead, so that over all events as much rain is said as extrapolation says:
rain grows in one event and decays in another, and in the mean of many it does neither.
"""

from __future__ import annotations

import math
from dataclasses import replace
from functools import reduce
from operator import add
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mim_core import checkpoint
from nowcast.field.errors import MissingFramesError
from nowcast.field.schema import Radar
from nowcast.forecast.amounts import strong_part
from nowcast.forecast.extrapolation import Extrapolation
from nowcast.forecast.head import RainHead
from nowcast.forecast.mim import Mim
from nowcast.learn.trial import judged, tried
from nowcast.verify.probability import CUTS
from nowcast.verify.sums import ratio
from nowcast.verify.tally import total

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from nowcast.field.schema import Forecast
    from nowcast.learn.episodes import Episode
    from nowcast.verify.probability import ProbabilityBins
    from nowcast.verify.tally import Tally

# With a smaller part of all pixels reaching a threshold, its curve of CSI is noise.
ENOUGH = 2e-6
# The part of the highest CSI that may be given up for an area that is right.
SLACK = 0.005
# No event is to make strong rain more than three times as strong, or less than half.
STRETCHES = (-0.5, 2.0)


class Amounts(NamedTuple):
    """Sums of the rain by lead, over cells that both say something of, and how many there were.

    ``strong`` is the sum of ``strong_part`` of what was said, ``moved`` that of extrapolation.
    """

    cells: NDArray[np.float64]
    said: NDArray[np.float64]
    strong: NDArray[np.float64]
    moved: NDArray[np.float64]

    @classmethod
    def of(cls, forecast: Forecast, extrapolation: Forecast) -> Amounts:
        """Those of two forecasts of the same leads."""
        said, moved = (one["rainfall_rate"].values for one in (forecast, extrapolation))
        both = np.isfinite(said) & np.isfinite(moved)
        fields = (both, said, strong_part(said), moved)
        return cls(*(np.where(both, one, 0).sum((1, 2), dtype=np.float64) for one in fields))

    def even(self) -> Amounts:
        """The same with a weight of one, so that every event counts alike."""
        return Amounts(*(sums / max(float(self.cells.sum()), 1.0) for sums in self))


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
    network, metadata = checkpoint.load(weights)
    head = replace(RainHead.from_dict(metadata["head"]), stretches=())  # type: ignore[arg-type]
    tallies: dict[str, list[Tally]] = {}
    amounts: dict[str, list[Amounts]] = {}
    with TemporaryDirectory() as folder:
        # Sums are taken of what the network says by itself.
        bare = Path(folder) / weights.name
        checkpoint.save(bare, network, metadata={**metadata, "head": head.to_dict()})
        nowcaster = Mim(bare)
        for episode in episodes:
            for issue in episode.issues[::every]:
                forecast, radar = tried(nowcaster, episode, issue)
                past = Radar(radar.isel(time=slice(0, episode.history)))
                moved = Extrapolation()(past, steps=episode.leads)
                tally = judged(nowcaster, forecast, radar)
                tallies.setdefault(episode.name, []).append(tally)
                amounts.setdefault(episode.name, []).append(Amounts.of(forecast, moved))
                heard(f"{episode.name}, {tally.issued[0]}")
    if not tallies:
        raise MissingFramesError("nothing to decide on: no unbroken sequence is long enough")
    pooled = reduce(add, (_even(total(of_event)) for of_event in tallies.values()))
    head = replace(
        head,
        decisions=best_cuts(pooled.probabilities),
        stretches=balanced([_summed(of_event).even() for of_event in amounts.values()]),
    )
    about = {"events": sorted(tallies), "forecasts": sum(map(len, tallies.values()))}
    checkpoint.save(
        weights, network, metadata={**metadata, "head": head.to_dict(), "decided_on": about}
    )
    return head


def best_cuts(bins: ProbabilityBins, *, slack: float = SLACK) -> tuple[tuple[float, ...], ...]:
    """The cut for each (threshold, lead), of bins (lead, threshold, bin).

    Of the cuts whose CSI is within a part ``slack`` of the highest, the one that says rain in as
    many places as had it, or comes nearest to that. Neighbouring leads are judged together. A
    threshold that was hardly ever reached takes the cut of the next lower one: it is as unsure.
    """
    csi = _smooth(bins.csi_by_cut)
    said = _smooth(ratio(bins.hits + bins.false_alarms, bins.hits[..., :1]))
    reached = bins.hits[..., 0] / np.maximum(bins.total, 1e-30)
    cuts = np.full(csi.shape[:2], np.nan)
    for threshold in range(csi.shape[1]):
        for lead in range(csi.shape[0]):
            curve = csi[lead, threshold, 1:-1]
            if reached[lead, threshold] >= ENOUGH and np.isfinite(curve).any():
                best, around = _peak(curve, slack=slack)
                # Places said never rise with the cut: turned round, they ascend.
                right = np.interp(1.0, said[lead, threshold, ::-1], CUTS[::-1])
                cuts[lead, threshold] = np.clip(right, best - around, best + around)
        lower = cuts[:, threshold - 1] if threshold else np.full(csi.shape[0], 0.5)
        cuts[:, threshold] = np.where(np.isnan(cuts[:, threshold]), lower, cuts[:, threshold])
    return tuple(tuple(round(float(cut), 3) for cut in column) for column in cuts.T)


def balanced(events: Sequence[Amounts]) -> tuple[float, ...]:
    """The stretches (lead,) that would have made the rain of all ``events`` that moved on."""
    of_all = _summed(events)
    lacking = of_all.moved - of_all.said
    stretches = np.where(of_all.strong > 0, lacking / np.maximum(of_all.strong, 1e-30), 0.0)
    return tuple(round(float(stretch), 3) for stretch in _smooth(stretches).clip(*STRETCHES))


def _summed(parts: Sequence[Amounts]) -> Amounts:
    return Amounts(*(np.sum(sums, axis=0) for sums in zip(*parts, strict=True)))


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


def _peak(csi: NDArray[np.float64], *, slack: float) -> tuple[float, float]:
    """Where a curve over the inner ``CUTS`` is highest, and how far it is nearly as high.

    That is the vertex of the parabola through its best points, and where this has fallen by a part
    ``slack``.
    """
    curve = np.where(np.isfinite(csi), csi, -np.inf)
    best = int(curve.argmax())
    if not 0 < best < curve.size - 1 or not np.isfinite(curve[best - 1 : best + 2]).all():
        return CUTS[best + 1], 0.0
    left, middle, right = curve[best - 1 : best + 2]
    bend, step = left - 2 * middle + right, CUTS[1] - CUTS[0]
    if bend >= 0:
        return CUTS[best + 1], 0.0
    vertex = CUTS[best + 1] + 0.5 * (left - right) / bend * step
    return vertex, step * math.sqrt(2 * slack * middle / -bend)
