"""How good and how honest an ensemble is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nowcast.field.errors import SchemaError
from nowcast.field.event import reached
from nowcast.verify.sums import Sums, ratio

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

_AT_ONCE = 8192  # pixels whose members fit the processor's cache


@dataclass(frozen=True, eq=False)
class CrpsSums(Sums):
    """Sums of the continuous ranked probability score (mm h-1).

    Attributes:
        n: pixels with at least one member.
        crps: sum of E|X - o| - E|X - X'|/2 (Gneiting and Raftery 2007,
            doi:10.1198/016214506000001437, eq. 21).
        fair_n: pixels with at least two members.
        fair_crps: the same with pairs of different members only (Ferro 2014, doi:10.1002/qj.2270):
            it does not punish an ensemble for being small.

    """

    n: NDArray[np.float64]
    crps: NDArray[np.float64]
    fair_n: NDArray[np.float64]
    fair_crps: NDArray[np.float64]

    @property
    def mean_crps(self) -> NDArray[np.float64]:
        """CRPS of the members as issued, mm h-1; of one member its mean absolute error."""
        return ratio(self.crps, self.n)

    @property
    def mean_fair_crps(self) -> NDArray[np.float64]:
        """CRPS as if there were no end of members, mm h-1; NaN for a single member."""
        return ratio(self.fair_crps, self.fair_n)


def crps_sums(members: ArrayLike, observed: ArrayLike) -> CrpsSums:
    """CRPS of ``members`` (member, ...) against ``observed`` (...), rain rates in mm h-1.

    The kernel form, equal to the integral of Hersbach (2000), is exact whatever ties. ``pysteps``'
    CRPS uses strict inequalities and loses what lies between the observation and a member that
    equals it: observed 0 against 0, 0, 0, 1 gives 0 there, 1/16 here and on paper; without ties the
    two agree. A pixel counts where the observation is seen, with the members that say something
    there (pysteps drops it for one NaN among them).
    """
    truth, rates = _seen(members, observed)
    said = how_many(np.isfinite(rates))
    n, fair_n = np.count_nonzero(said), np.count_nonzero(said > 1)
    # Where neither the observation nor a member is wet nothing is added, and most of a radar
    # picture is so.
    wet = np.flatnonzero((said > 0) & ((truth > 0) | (np.fmax.reduce(rates, axis=0) > 0)))
    crps = fair_crps = 0.0
    for start in range(0, wet.size, _AT_ONCE):
        some = wet[start : start + _AT_ONCE]
        plain, fair = _crps(np.take(rates, some, axis=1), truth[some], said[some])
        crps += plain
        fair_crps += fair
    return CrpsSums.of({"n": n, "crps": crps, "fair_n": fair_n, "fair_crps": fair_crps})


def _crps(
    rates: NDArray[np.floating], truth: NDArray[np.floating], said: NDArray[np.int16]
) -> tuple[float, float]:
    """The sums of the CRPS and of the fair CRPS over pixels with ``said`` members, at least one."""
    ordered = np.sort(rates, axis=0).astype(np.float64)  # (member, pixel), NaN last
    count = said.astype(np.float64)
    silent = np.isnan(ordered)
    distance = np.abs(ordered - truth)
    ordered[silent] = distance[silent] = 0.0
    error = distance.sum(axis=0) / count
    # The sum of |x - x'| over all pairs: of m in order, the k-th is the larger one k - 1 times and
    # the smaller one m - k times.
    rank = np.arange(1, ordered.shape[0] + 1, dtype=np.float64)
    pairs = np.einsum("k,kp->p", 2 * rank, ordered) - (count + 1) * ordered.sum(axis=0)
    several = count > 1
    fair = error[several] - pairs[several] / (count * (count - 1))[several]
    return float((error - pairs / count**2).sum()), float(fair.sum())


@dataclass(frozen=True, eq=False)
class RankHistogram(Sums):
    """How many members lie below the observation: counts (..., rank), 0 to all members.

    Flat for an honest ensemble (Hamill 2001, doi:10.1175/1520-0493(2001)129<0550:IORHFV>2.0.CO;2),
    a U where it is too narrow.
    """

    counts: NDArray[np.float64]

    @property
    def n(self) -> NDArray[np.float64]:
        """The number of pixels counted."""
        return np.asarray(self.counts.sum(axis=-1))

    @property
    def frequencies(self) -> NDArray[np.float64]:
        """The counts as parts of their sum; NaN where nothing was counted."""
        return ratio(self.counts, self.n[..., np.newaxis])

    @property
    def outliers(self) -> NDArray[np.float64]:
        """The part of observations in the two edge ranks; 2 / (members + 1) is best."""
        return ratio(self.counts[..., 0] + self.counts[..., -1], self.n)


def rank_histogram(
    members: ArrayLike, observed: ArrayLike, *, wet_from_mm_h: float | None = None
) -> RankHistogram:
    """The ranks of ``observed`` (...) among ``members`` (member, ...), rain rates in mm h-1.

    A tie of k members with the observation is shared evenly by the k + 1 ranks it can take: what
    drawing lots, as ``pysteps.verification.ensscores`` does, gives in the mean, and the same at
    every call. With ``wet_from_mm_h`` all rates below it are alike, and pixels where nothing
    reaches it do not count (pysteps' ``X_min``). Only pixels where all members say something count,
    for a rank among fewer is another rank.
    """
    truth, rates = _seen(members, observed)
    size = rates.shape[0] + 1
    full = np.isfinite(rates).all(axis=0)
    truth, rates = truth[full], pick(rates, full)
    if wet_from_mm_h is not None:
        wet = reached(np.maximum(truth, rates.max(axis=0)), wet_from_mm_h)
        truth, rates = truth[wet], pick(rates, wet)
        truth = np.where(reached(truth, wet_from_mm_h), truth, 0)
        rates = np.where(reached(rates, wet_from_mm_h), rates, 0)
    below, tied = how_many(rates < truth), how_many(rates == truth)
    share = 1.0 / (tied + 1)
    # A pixel adds its share from rank `below` up to rank `below + tied`: a step up, and a step down
    # behind it.
    steps = np.bincount(below, share, size + 1)
    steps -= np.bincount(below + tied + 1, share, size + 1)
    return RankHistogram.of({"counts": np.maximum(np.cumsum(steps)[:size], 0.0)})


def how_many(members: NDArray[np.bool_]) -> NDArray[np.int16]:
    """The number of members (member, ...) that are True."""
    # Several times as fast as in the 64 bits that numpy counts in.
    return np.asarray(members.sum(axis=0, dtype=np.int16))


def pick(members: NDArray[np.floating], where: NDArray[np.bool_]) -> NDArray[np.floating]:
    """The members (member, ...) at the places (...) that are True, (member, pixel)."""
    # members[:, where] is the same, but pixel by pixel in memory: all that follows is slower.
    flat = members.reshape(members.shape[0], -1)
    return flat if where.all() else np.take(flat, np.flatnonzero(where), axis=1)


def _seen(
    members: ArrayLike, observed: ArrayLike
) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """The seen pixels: observed (pixel,) and members (member, pixel)."""
    rates, truth = np.asarray(members), np.asarray(observed)
    if rates.shape[1:] != truth.shape or rates.shape[0] < 1:
        raise SchemaError(
            f"members of shape {rates.shape}, expected (member, {', '.join(map(str, truth.shape))})"
        )
    seen = np.isfinite(truth)
    return truth[seen], pick(rates, seen)
