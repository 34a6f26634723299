"""The scores by name: what each is, and how it is read off a tally."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nowcast.field.units import RATE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nowcast.verify.tally import Tally


@dataclass(frozen=True)
class Score:
    """A number read off a tally, and how many pixels it rests on.

    Attributes:
        name: as in tables.
        statistic: the piece of the tally that holds its sums.
        value: the property of the piece, (lead,), (lead, threshold) or (lead, threshold, scale).
        count: the property that holds the sample size: pixels, windows of FSS, pairs of SAL.
        long_name, units: as a table or a plot shows them.

    """

    name: str
    statistic: str
    value: str
    count: str
    long_name: str
    units: str = "1"

    def __call__(self, tally: Tally) -> NDArray[np.float64]:
        """The score; NaN where it is undefined, or was not asked for."""
        return self._read(tally, self.value)

    def sample_size(self, tally: Tally) -> NDArray[np.float64]:
        """How many the score rests on, of the score's shape."""
        count = np.nan_to_num(self._read(tally, self.count))
        return np.broadcast_to(count, self(tally).shape)

    def is_in(self, tally: Tally) -> bool:
        """Whether the tally holds the sums of this score."""
        return getattr(tally, self.statistic) is not None

    def _read(self, tally: Tally, name: str) -> NDArray[np.float64]:
        if not self.is_in(tally):
            return np.full(tally.coverage.cycles.shape, np.nan)
        found: NDArray[np.float64] = getattr(getattr(tally, self.statistic), name)
        return found


SCORES: dict[str, Score] = {
    score.name: score
    for score in (
        Score("mae", "errors", "mae", "n", "mean absolute error", RATE),
        Score("rmse", "errors", "rmse", "n", "root mean square error", RATE),
        Score("rmse_db", "errors", "rmse_db", "n", "root mean square error in dB"),
        Score("mean_error", "errors", "mean_error", "n", "mean of forecast less observed", RATE),
        Score("multiplicative_bias", "errors", "multiplicative_bias", "n", "forecast / observed"),
        Score("nmse", "errors", "nmse", "n", "normalised mean square error"),
        Score("correlation", "errors", "correlation", "n", "Pearson correlation"),
        Score("csi", "contingency", "csi", "total", "critical success index"),
        Score("pod", "contingency", "pod", "total", "probability of detection"),
        Score("far", "contingency", "far", "total", "false alarm ratio"),
        Score("pofd", "contingency", "pofd", "total", "probability of false detection"),
        Score("frequency_bias", "contingency", "frequency_bias", "total", "said / happened"),
        Score("accuracy", "contingency", "accuracy", "total", "part that was right"),
        Score("ets", "contingency", "ets", "total", "equitable threat score"),
        Score("hss", "contingency", "hss", "total", "Heidke skill score"),
        Score("fss", "fractions", "fss", "windows", "fractions skill score"),
        Score("crps", "crps", "mean_crps", "n", "continuous ranked probability score", RATE),
        Score("fair_crps", "crps", "mean_fair_crps", "fair_n", "CRPS of endless members", RATE),
        Score("brier", "brier", "brier", "n", "Brier score"),
        Score("fair_brier", "brier", "fair_brier", "fair_n", "Brier score of endless members"),
        Score("roc_area", "probabilities", "roc_area", "total", "area under the ROC curve"),
        Score("best_csi", "probabilities", "best_csi", "total", "CSI at the best cut"),
        Score("rank_outliers", "ranks", "outliers", "n", "part of observations in the edge ranks"),
        Score("sal_structure", "sal", "mean_structure", "structure_n", "mean S"),
        Score("sal_structure_size", "sal", "mean_absolute_structure", "structure_n", "mean |S|"),
        Score("sal_amplitude", "sal", "mean_amplitude", "amplitude_n", "mean A"),
        Score("sal_amplitude_size", "sal", "mean_absolute_amplitude", "amplitude_n", "mean |A|"),
        Score("sal_location", "sal", "mean_location", "location_n", "mean L"),
        Score("counted_fraction", "coverage", "counted_fraction", "asked", "part that counts"),
        Score("unsaid_fraction", "coverage", "unsaid_fraction", "seen", "part without a forecast"),
    )
}
