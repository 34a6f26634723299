"""How far off: errors of the rain rate, in mm h-1 and in decibels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nowcast.verify.sums import Sums, ratio

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

# A rate below 0.1 mm/h stands at -15 dB, so that dry and drizzle cost alike and log 0 never arises.
DRY_BELOW_MM_H, DRY_DB = 0.1, -15.0


def decibel(rate_mm_h: ArrayLike) -> NDArray[np.floating]:
    """Rain rate as 10 log10(R), -15 dB for every rate below 0.1 mm h-1."""
    rate = np.asarray(rate_mm_h)
    wet = rate >= DRY_BELOW_MM_H
    out = np.full(rate.shape, DRY_DB, dtype=rate.dtype if rate.dtype.kind == "f" else np.float64)
    np.log10(rate, out=out, where=wet)
    np.multiply(out, 10.0, out=out, where=wet)
    return out


@dataclass(frozen=True, eq=False)
class ErrorSums(Sums):
    """Sums of rates (mm h-1), of their errors and of squares; scores are NaN where nothing counts.

    The scores are those of ``pysteps.verification.detcontscores`` on the counted pixels.
    """

    n: NDArray[np.float64]
    absolute: NDArray[np.float64]
    squared: NDArray[np.float64]
    squared_db: NDArray[np.float64]
    forecast: NDArray[np.float64]
    observed: NDArray[np.float64]
    forecast_squared: NDArray[np.float64]
    observed_squared: NDArray[np.float64]

    @property
    def mae(self) -> NDArray[np.float64]:
        """Mean absolute error, mm h-1."""
        return ratio(self.absolute, self.n)

    @property
    def rmse(self) -> NDArray[np.float64]:
        """Root mean square error, mm h-1."""
        return np.sqrt(ratio(self.squared, self.n))

    @property
    def rmse_db(self) -> NDArray[np.float64]:
        """Root mean square error in dB, with -15 dB for all below 0.1 mm h-1."""
        return np.sqrt(ratio(self.squared_db, self.n))

    @property
    def mean_error(self) -> NDArray[np.float64]:
        """Forecast less observed in the mean, mm h-1; 0 is best."""
        return ratio(self.forecast - self.observed, self.n)

    @property
    def multiplicative_bias(self) -> NDArray[np.float64]:
        """All rain forecast by all rain observed; 1 is best."""
        return ratio(self.forecast, self.observed)

    @property
    def nmse(self) -> NDArray[np.float64]:
        """E[(f - o)**2] / E[(f + o)**2], 0 is best: does not reward smoothness as MSE does."""
        both = 2 * (self.forecast_squared + self.observed_squared) - self.squared
        return ratio(self.squared, both)

    @property
    def correlation(self) -> NDArray[np.float64]:
        """Pearson's correlation of forecast and observed rates."""
        product = (self.forecast_squared + self.observed_squared - self.squared) / 2
        covariance = self.n * product - self.forecast * self.observed
        spread_f = _spread(self.n * self.forecast_squared, self.forecast**2)
        spread_o = _spread(self.n * self.observed_squared, self.observed**2)
        return ratio(covariance, np.sqrt(spread_f * spread_o))


def _spread(squares: NDArray[np.float64], square: NDArray[np.float64]) -> NDArray[np.float64]:
    """The difference, 0 where it is but rounding: a constant field has no correlation."""
    return np.where(squares - square > 1e-12 * squares, squares - square, 0.0)


def error_sums(forecast: ArrayLike, observed: ArrayLike) -> ErrorSums:
    """The sums of two fields of rain rates (mm h-1); what is NaN on either is not counted."""
    rates, truth = np.asarray(forecast), np.asarray(observed)
    counted = np.isfinite(rates) & np.isfinite(truth)
    if not counted.all():
        rates, truth = rates[counted], truth[counted]
    decibels = (decibel(rates) - decibel(truth)).astype(np.float64)
    f, o = rates.astype(np.float64).ravel(), truth.astype(np.float64).ravel()
    error = f - o
    return ErrorSums.of(
        {
            "n": f.size,
            "absolute": np.abs(error).sum(),
            "squared": np.square(error).sum(),
            "squared_db": np.square(decibels).sum(),
            "forecast": f.sum(),
            "observed": o.sum(),
            "forecast_squared": np.square(f).sum(),
            "observed_squared": np.square(o).sum(),
        }
    )
