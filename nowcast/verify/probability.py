"""How often it happens when it is said to be so likely."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nowcast.field.errors import SchemaError
from nowcast.verify.sums import Sums, ratio

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from nowcast.verify.categorical import ContingencyTable

# Lower edges of the bins, and the cuts of the ROC curve: a bin for every answer of a 20-member
# ensemble.
CUTS: tuple[float, ...] = tuple(round(k / 20, 2) for k in range(21))
_STEPS = len(CUTS) - 1
_TOLERANCE = 1e-6  # 3 of 20 members reach 0.15, also as float32


@dataclass(frozen=True, eq=False)
class BrierSums(Sums):
    """Sums of the Brier score: (probability - happened)**2.

    Attributes:
        n: pixels counted.
        squared: sum of the squared errors.
        fair_n: pixels with at least two members.
        fair: the same less p (1 - p) / (members - 1) (Ferro 2014, doi:10.1002/qj.2270), as if there
            were no end of them.

    """

    n: NDArray[np.float64]
    squared: NDArray[np.float64]
    fair_n: NDArray[np.float64]
    fair: NDArray[np.float64]

    @property
    def brier(self) -> NDArray[np.float64]:
        """Brier score, 0 is best; of yes or no (1 or 0) it is the part that was wrong."""
        return ratio(self.squared, self.n)

    @property
    def fair_brier(self) -> NDArray[np.float64]:
        """Brier score as if there were no end of members; NaN for what is not from members."""
        return ratio(self.fair, self.fair_n)


def brier_sums(
    probability: ArrayLike, happened: NDArray[np.bool_], *, members: ArrayLike = 0
) -> BrierSums:
    """Brier sums of probabilities (pixel,); a NaN probability does not count.

    ``members`` is how many the probability was counted from, one number or (pixel,); 0 where it is
    no such frequency.
    """
    p, yes = np.asarray(probability, dtype=np.float64), np.asarray(happened)
    counted = np.isfinite(p)
    several = counted & (np.broadcast_to(members, p.shape) > 1)
    error = (p[counted] - yes[counted]) ** 2
    some = p[several]
    others = np.broadcast_to(members, p.shape)[several] - 1
    fair = (some - yes[several]) ** 2 - some * (1 - some) / others
    return BrierSums.of(
        {"n": error.size, "squared": error.sum(), "fair_n": fair.size, "fair": fair.sum()}
    )


def brier_of_yes_or_no(table: ContingencyTable) -> BrierSums:
    """Brier sums of a forecast without probabilities: yes is 1, no is 0."""
    wrong, none = table.misses + table.false_alarms, np.zeros(table.total.shape)
    return BrierSums.of({"n": table.total, "squared": wrong, "fair_n": none, "fair": none})


@dataclass(frozen=True, eq=False)
class ProbabilityBins(Sums):
    """What happened, by the probability that was said: reliability diagram and ROC curve in one.

    All are (..., bin). Bin k holds the probabilities from ``CUTS[k]`` up to the next cut, the last
    bin certainty alone.

    Attributes:
        n: pixels with such a probability.
        happened: how many of them had the event.
        probability: the sum of their probabilities.

    """

    n: NDArray[np.float64]
    happened: NDArray[np.float64]
    probability: NDArray[np.float64]

    @property
    def total(self) -> NDArray[np.float64]:
        """The number of pixels counted."""
        return np.asarray(self.n.sum(axis=-1))

    @property
    def mean_probability(self) -> NDArray[np.float64]:
        """The abscissa of the reliability diagram (..., bin); NaN in an empty bin."""
        return ratio(self.probability, self.n)

    @property
    def observed_frequency(self) -> NDArray[np.float64]:
        """The ordinate of the reliability diagram (..., bin): on the diagonal is best."""
        return ratio(self.happened, self.n)

    @property
    def hits(self) -> NDArray[np.float64]:
        """How often it happened where the probability reached each of ``CUTS`` (..., cut)."""
        return _from_top(self.happened)

    @property
    def false_alarms(self) -> NDArray[np.float64]:
        """How often it did not happen where the probability reached each of ``CUTS`` (..., cut)."""
        return _from_top(self.n - self.happened)

    @property
    def pod(self) -> NDArray[np.float64]:
        """The ordinate of the ROC curve (..., cut)."""
        return ratio(self.hits, self.hits[..., :1])

    @property
    def pofd(self) -> NDArray[np.float64]:
        """The abscissa of the ROC curve (..., cut)."""
        return ratio(self.false_alarms, self.false_alarms[..., :1])

    @property
    def roc_area(self) -> NDArray[np.float64]:
        """The area under the ROC curve by trapezia, down to (0, 0): 1 is best, 0.5 is chance."""
        edge = np.zeros((*self.n.shape[:-1], 1))
        x = np.concatenate([self.pofd, edge], axis=-1)
        y = np.concatenate([self.pod, edge], axis=-1)
        slices = (x[..., :-1] - x[..., 1:]) * (y[..., :-1] + y[..., 1:]) / 2
        return np.asarray(slices.sum(axis=-1))

    @property
    def csi_by_cut(self) -> NDArray[np.float64]:
        """CSI of saying it where the probability reaches each of ``CUTS`` (..., cut)."""
        return ratio(self.hits, self.hits[..., :1] + self.false_alarms)

    @property
    def best_csi(self) -> NDArray[np.float64]:
        """CSI at the best cut from 0.05 to 0.95, found afterwards: an upper bound."""
        inner = self.csi_by_cut[..., 1:-1]
        best = np.where(np.isnan(inner), -np.inf, inner).max(axis=-1)
        return np.where(np.isneginf(best), np.nan, best)


def probability_bins(probability: ArrayLike, happened: NDArray[np.bool_]) -> ProbabilityBins:
    """The bins of probabilities (pixel,), 0 to 1; a NaN probability does not count.

    On probabilities that lie on no edge equal to ``reldiag`` and ``ROC_curve`` of
    ``pysteps.verification.probscores`` with as many bins (but those are closed at the top, and drop
    bins below ``min_count``). Raises SchemaError outside 0 to 1.
    """
    p, yes = np.asarray(probability, dtype=np.float64), np.asarray(happened)
    counted = np.isfinite(p)
    p, yes = p[counted], yes[counted]
    if p.size and (p.min() < -_TOLERANCE or p.max() > 1 + _TOLERANCE):
        raise SchemaError(f"probabilities from {p.min():g} to {p.max():g}, expected 0 to 1")
    bins = np.clip(((p + _TOLERANCE) * _STEPS).astype(np.intp), 0, _STEPS)
    return ProbabilityBins.of(
        {
            "n": np.bincount(bins, minlength=len(CUTS)),
            "happened": np.bincount(bins[yes], minlength=len(CUTS)),
            "probability": np.bincount(bins, p, len(CUTS)),
        }
    )


def bins_of_yes_or_no(table: ContingencyTable) -> ProbabilityBins:
    """The bins of a forecast without probabilities: yes is 1, no is 0."""
    between = np.zeros((*table.total.shape, len(CUTS) - 2))
    no, yes = table.misses + table.correct_negatives, table.hits + table.false_alarms

    def bins(first: NDArray[np.float64], last: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.concatenate([first[..., np.newaxis], between, last[..., np.newaxis]], axis=-1)

    return ProbabilityBins.of(
        {
            "n": bins(no, yes),
            "happened": bins(table.misses, table.hits),
            "probability": bins(np.zeros_like(no), yes),
        }
    )


def _from_top(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """The sum of each bin and all above it."""
    return np.flip(np.cumsum(np.flip(counts, axis=-1), axis=-1), axis=-1)
