"""What a forecast says of its own uncertainty at places: probabilities, and quantiles of rain."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from nowcast.field import event
from nowcast.field.places import Around, at_cells

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from nowcast.field.schema import Forecast

QUANTILES = (0.1, 0.5, 0.9)
# Of ensembles, which have members but no probabilities of their own.
THRESHOLDS_MM_H = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0)


class Chances(NamedTuple):
    """Probabilities and quantiles at the places.

    Attributes:
        thresholds: mm h-1, (threshold,), ascending.
        exceedance: the probability that the rate reaches them, (threshold, time, station).
        quantiles: rates (mm h-1) of QUANTILES, (quantile, time, station).
        decisions: the probability from which on rain is said, (threshold, lead); None where the
            forecast fixes none.

    """

    thresholds: NDArray[np.float64]
    exceedance: NDArray[np.float32]
    quantiles: NDArray[np.float32]
    decisions: NDArray[np.float32] | None = None

    def preceded_by(self, seen: NDArray[np.float32]) -> Chances:
        """With an observed rate (station,) before the leads, which is certain."""
        levels = self.thresholds[:, np.newaxis] * (1 - event.SLACK)
        sure = np.where(np.isnan(seen), np.nan, seen >= levels).astype(np.float32)
        quantiles = np.broadcast_to(seen, (len(QUANTILES), *seen.shape))
        return self._replace(
            exceedance=np.concatenate([sure[:, np.newaxis], self.exceedance], axis=1),
            quantiles=np.concatenate([quantiles[:, np.newaxis], self.quantiles], axis=1),
        )


def chances_of(forecast: Forecast, cells: NDArray[np.intp], *, around: Around) -> Chances | None:
    """What the forecast says at the cells; None where it gives neither members nor probabilities.

    Its own probabilities come first, and they are those of the cell itself. Members, read as
    ``around`` says, give the quantiles, and the probabilities where there are none.
    """
    members = None
    if "rainfall_rate_member" in forecast:
        field = forecast["rainfall_rate_member"].transpose("realization", "lead_time", "y", "x")
        members = at_cells(field.values, cells, around=around)
    if "probability_of_exceedance" not in forecast:
        return None if members is None else _of_members(members)
    field = forecast["probability_of_exceedance"].transpose("threshold", "lead_time", "y", "x")
    exceedance = at_cells(field.values, cells)
    stored = np.asarray(forecast["threshold"].values, dtype=np.float64)
    levels: NDArray[np.float64] = np.round(stored, 4)  # float32 on disk
    decisions = None
    if "decision_probability" in forecast:
        decisions = forecast["decision_probability"].transpose("threshold", "lead_time").values
    quantiles = (
        quantiles_of(exceedance, levels) if members is None else _of_members(members).quantiles
    )
    return Chances(levels, exceedance, quantiles, decisions)


def _of_members(members: NDArray[np.float32]) -> Chances:
    """Of members (member, lead, station); NaN where one of them is unknown."""
    unknown = np.isnan(members).any(axis=0)
    shares = [event.reached(members, level).mean(axis=0) for level in THRESHOLDS_MM_H]
    exceedance = np.where(unknown, np.nan, np.stack(shares)).astype(np.float32)
    quantiles = np.quantile(members, QUANTILES, axis=0).astype(np.float32)
    return Chances(np.array(THRESHOLDS_MM_H), exceedance, quantiles)


def quantiles_of(exceedance: ArrayLike, thresholds_mm_h: ArrayLike) -> NDArray[np.float32]:
    """The rates (mm h-1) of QUANTILES, (quantile, ...), of probabilities (threshold, ...).

    The rate that is reached with probability 1 - q: between two thresholds by a straight line over
    the logarithm of the rate; 0 where not even the lowest is reached that often, and the highest at
    most. NaN where a probability is.
    """
    chances = np.asarray(exceedance, dtype=np.float64)
    levels = np.log(np.asarray(thresholds_mm_h, dtype=np.float64))
    found = np.zeros((len(QUANTILES), *chances.shape[1:]))
    for position, quantile in enumerate(QUANTILES):
        wanted = 1.0 - quantile
        count = (chances >= wanted).sum(axis=0)  # exceedance never rises with the threshold
        low, high = np.maximum(count - 1, 0), np.minimum(count, len(levels) - 1)
        below = np.take_along_axis(chances, low[np.newaxis], axis=0)[0]
        drop = below - np.take_along_axis(chances, high[np.newaxis], axis=0)[0]
        part = np.divide(below - wanted, drop, out=np.zeros_like(drop), where=drop > 0)
        rate = np.exp(levels[low] + part * (levels[high] - levels[low]))
        found[position] = np.where(count == 0, 0.0, rate)
    unknown = np.isnan(chances).any(axis=0)
    return np.where(unknown, np.nan, found).astype(np.float32)
