"""Structure, amplitude and location of the rain areas, by pysteps."""

from __future__ import annotations

import contextlib
import io
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nowcast.field.errors import UsageError
from nowcast.verify.sums import Sums, ratio

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True, eq=False)
class SalSums(Sums):
    """Sums over pairs of fields of S, A and L (Wernli et al. 2008, doi:10.1175/2008MWR2415.1).

    Each has its own number of pairs, for each can be undefined alone. S and A err both ways, so
    their means hide what their mean sizes show.
    """

    structure_n: NDArray[np.float64]
    structure: NDArray[np.float64]
    structure_absolute: NDArray[np.float64]
    amplitude_n: NDArray[np.float64]
    amplitude: NDArray[np.float64]
    amplitude_absolute: NDArray[np.float64]
    location_n: NDArray[np.float64]
    location: NDArray[np.float64]

    @property
    def mean_structure(self) -> NDArray[np.float64]:
        """Mean S, -2 to 2: below 0 the rain areas are too small or too peaked."""
        return ratio(self.structure, self.structure_n)

    @property
    def mean_absolute_structure(self) -> NDArray[np.float64]:
        """Mean size of S, 0 is best."""
        return ratio(self.structure_absolute, self.structure_n)

    @property
    def mean_amplitude(self) -> NDArray[np.float64]:
        """Mean A, -2 to 2: above 0 too much rain."""
        return ratio(self.amplitude, self.amplitude_n)

    @property
    def mean_absolute_amplitude(self) -> NDArray[np.float64]:
        """Mean size of A, 0 is best."""
        return ratio(self.amplitude_absolute, self.amplitude_n)

    @property
    def mean_location(self) -> NDArray[np.float64]:
        """Mean L, 0 to 2, 0 is best."""
        return ratio(self.location, self.location_n)


def sal_sums(forecast: ArrayLike, observed: ArrayLike) -> SalSums:
    """SAL of one pair of fields (y, x) of rain rates (mm h-1); an undefined part is not counted.

    ``pysteps.verification.salscores.sal`` finds the objects (by its thunderstorm detection: at
    least 50 cells above 1/15 of the wet cells' 95th percentile) and reads S, A and L off them. What
    it is given differs from its own defaults in two ways. A cell that is NaN on either side is
    emptied on both, for pysteps takes A over each field's own cells, and leaves an object out of L
    where NaN lies within its box. And where both are dry, all three are undefined without asking
    it. Where one alone is dry S and A are -2 or 2 and L is undefined; without objects on either
    side so are S and L.

    Takes seconds for a national composite. Raises UsageError where scikit-image, which pysteps
    needs here, is missing.
    """
    rates = np.array(forecast, dtype=np.float64)
    truth = np.array(observed, dtype=np.float64)
    missing = ~(np.isfinite(rates) & np.isfinite(truth))
    rates[missing] = truth[missing] = 0.0
    if rates.any() or truth.any():
        structure, amplitude, location = _pysteps_sal(rates, truth)
    else:
        structure = amplitude = location = np.nan
    sums: dict[str, float] = {}
    for name, value in (("structure", structure), ("amplitude", amplitude), ("location", location)):
        defined = bool(np.isfinite(value))
        sums[f"{name}_n"] = float(defined)
        sums[name] = value if defined else 0.0
        sums[f"{name}_absolute"] = abs(value) if defined else 0.0
    del sums["location_absolute"]  # L is never negative
    return SalSums.of(sums)


def _pysteps_sal(
    forecast: NDArray[np.float64], observed: NDArray[np.float64]
) -> tuple[float, float, float]:
    with contextlib.redirect_stdout(io.StringIO()):  # importing pysteps prints
        from pysteps.exceptions import MissingOptionalDependency  # noqa: PLC0415
        from pysteps.verification.salscores import sal  # noqa: PLC0415
    with np.errstate(all="ignore"), warnings.catch_warnings():
        # Means of nothing: the NaN that comes out says it.
        warnings.simplefilter("ignore", RuntimeWarning)
        try:
            structure, amplitude, location = sal(forecast, observed)
        except MissingOptionalDependency as error:
            raise UsageError(
                f"SAL needs scikit-image: pip install scikit-image ({error})"
            ) from None
    return float(structure), float(amplitude), float(location)
