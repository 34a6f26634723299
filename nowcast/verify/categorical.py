"""Yes or no: whether it rained at least that much."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nowcast.field.event import reached
from nowcast.verify.sums import Sums, ratio

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True, eq=False)
class ContingencyTable(Sums):
    """How often it was said and how often it happened, and the scores read off it.

    Wilks (2011, chapter 8.2). The scores are those of ``pysteps.verification.detcatscores`` on the
    same events; NaN where undefined.
    """

    hits: NDArray[np.float64]
    misses: NDArray[np.float64]
    false_alarms: NDArray[np.float64]
    correct_negatives: NDArray[np.float64]

    @property
    def total(self) -> NDArray[np.float64]:
        """The number of pixels counted."""
        return self.hits + self.misses + self.false_alarms + self.correct_negatives

    @property
    def csi(self) -> NDArray[np.float64]:
        """Critical success index: hits among all that was said or happened; 1 is best."""
        return ratio(self.hits, self.hits + self.misses + self.false_alarms)

    @property
    def pod(self) -> NDArray[np.float64]:
        """Probability of detection: hits among what happened; 1 is best."""
        return ratio(self.hits, self.hits + self.misses)

    @property
    def far(self) -> NDArray[np.float64]:
        """False alarm ratio: false alarms among what was said; 0 is best."""
        return ratio(self.false_alarms, self.hits + self.false_alarms)

    @property
    def pofd(self) -> NDArray[np.float64]:
        """Probability of false detection: false alarms among what did not happen (pysteps: FA)."""
        return ratio(self.false_alarms, self.false_alarms + self.correct_negatives)

    @property
    def frequency_bias(self) -> NDArray[np.float64]:
        """How often it was said by how often it happened; 1 is best."""
        return ratio(self.hits + self.false_alarms, self.hits + self.misses)

    @property
    def accuracy(self) -> NDArray[np.float64]:
        """The part of all pixels that was right."""
        return ratio(self.hits + self.correct_negatives, self.total)

    @property
    def ets(self) -> NDArray[np.float64]:
        """Equitable threat score (Gilbert): CSI less the hits that chance gives."""
        chance = ratio((self.hits + self.misses) * (self.hits + self.false_alarms), self.total)
        return ratio(self.hits - chance, self.hits + self.misses + self.false_alarms - chance)

    @property
    def hss(self) -> NDArray[np.float64]:
        """Heidke skill score: accuracy against that of chance."""
        a, b, c, d = self.hits, self.false_alarms, self.misses, self.correct_negatives
        return ratio(2 * (a * d - b * c), (a + c) * (c + d) + (a + b) * (b + d))


def contingency(
    forecast: ArrayLike, observed: ArrayLike, *, threshold_mm_h: float
) -> ContingencyTable:
    """The table of two fields of rain rates (mm h-1); what is NaN on either is not counted."""
    return contingency_of_events(
        reached(forecast, threshold_mm_h),
        reached(observed, threshold_mm_h),
        counted=np.isfinite(forecast) & np.isfinite(observed),
    )


def contingency_of_events(
    said: NDArray[np.bool_], happened: NDArray[np.bool_], *, counted: NDArray[np.bool_]
) -> ContingencyTable:
    """The table of what was said and what happened where ``counted``, all of one shape."""
    yes, true = said & counted, happened & counted
    hits = np.count_nonzero(yes & true)
    false_alarms, misses = np.count_nonzero(yes) - hits, np.count_nonzero(true) - hits
    return ContingencyTable.of(
        {
            "hits": hits,
            "misses": misses,
            "false_alarms": false_alarms,
            "correct_negatives": np.count_nonzero(counted) - hits - misses - false_alarms,
        }
    )
