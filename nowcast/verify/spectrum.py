"""How much of the rain's variance lies at which scale: radially averaged power spectra.

A forecast that has smoothed what it could not foresee has less power than the observation at small
wavelengths. Both are looked at where both, and all forecasts compared, have a value. What is
unseen cannot be transformed, and is not taken for dry either: the field less its mean fades out
towards the edge of what was seen, so that the edge, which is no rain, adds no fine structure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import pandas as pd

from nowcast.field.errors import UsageError
from nowcast.field.schema import grid_of
from nowcast.verify.continuous import decibel
from nowcast.verify.scoring import common_pixels, observed_at

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import xarray as xr
    from numpy.typing import NDArray

    from nowcast.field.schema import Forecast

OBSERVED = "observed"
FADE_CELLS = 20.0
_MINUTE = np.timedelta64(1, "m")


def power_spectrum(
    field: NDArray[np.floating],
    *,
    cell_km: tuple[float, float],
    weights: NDArray[np.floating] | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Wavelengths (km, descending) and the mean power of ``field`` (y, x) at each.

    ``cell_km`` is the size (y, x) of a cell. ``weights`` (y, x), 0 where the field is NaN, fade it;
    power is per unit of their mean square, so that fading takes none away. Rings of wave numbers
    are as wide as the longer side allows; on a square grid without weights the power is that of
    pysteps' ``rapsd`` (Ruzanski and Chandrasekar 2011), which on others mixes wavelengths.
    """
    weights = np.ones(field.shape) if weights is None else np.asarray(weights, dtype=np.float64)
    total = weights.sum()
    filled = np.where(weights > 0, field, 0.0).astype(np.float64)
    faded = (filled - (filled * weights).sum() / total) * weights if total else weights
    power = np.abs(np.fft.fft2(faded)) ** 2 / max(np.square(weights).sum(), 1.0)
    height, width = field.shape
    ky = np.fft.fftfreq(height, d=cell_km[0])[:, np.newaxis]
    kx = np.fft.fftfreq(width, d=cell_km[1])[np.newaxis]
    longest = max(height * cell_km[0], width * cell_km[1])
    ring = np.rint(np.hypot(ky, kx) * longest).astype(np.intp)
    # Beyond the shorter Nyquist wave number a ring is no longer whole.
    count = int(longest / (2 * max(cell_km)) + 0.5)
    inside = ring < count
    sums = np.bincount(ring[inside], power[inside], count)
    cells = np.bincount(ring[inside], minlength=count)
    mean = sums / np.maximum(cells, 1)
    numbers = np.arange(1, count)
    return longest / numbers, np.asarray(mean[1:])


def fading(seen: NDArray[np.bool_], *, cells: float = FADE_CELLS) -> NDArray[np.float32]:
    """Weights (y, x): 0 where unseen, rising as a cosine to 1 ``cells`` inside what was ``seen``.

    The border of the grid is an edge too, for the transform joins opposite borders.
    """
    framed = np.pad(seen, 1).astype(np.uint8)
    inwards = cv2.distanceTransform(framed, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)[1:-1, 1:-1]
    way = np.clip((inwards - 0.5) / cells, 0.0, 1.0)
    return np.asarray((1 - np.cos(np.pi * way)) / 2 * seen, dtype=np.float32)


def spectra_table(
    forecasts: Mapping[str, Forecast], observed: xr.DataArray, *, leads_minutes: Sequence[float]
) -> pd.DataFrame:
    """Spectra of rain rates in dB of one issue time: of the observation and of every method.

    Columns: method (``observed`` among them), lead_minutes, wavelength_km, power (dB2), pixels (the
    cells that all have a value for). Leads without a frame have no rows. Raises UsageError for a
    lead that the forecasts do not hold, and as ``common_pixels`` does.
    """
    common = common_pixels(forecasts, observed).values
    first = next(iter(forecasts.values()))
    truth = observed_at(first, observed)
    held = (first["lead_time"].values / _MINUTE).tolist()
    height, width = grid_of(first).cell_metres
    parts = []
    for lead in leads_minutes:
        if lead not in held:
            raise UsageError(f"no lead of {lead:g} min: the forecasts hold {held}")
        place = held.index(lead)
        if not common[place].any():
            continue
        fields = {OBSERVED: truth[place]} | {
            method: forecast["rainfall_rate"].values[place]
            for method, forecast in forecasts.items()
        }
        weights = fading(common[place])
        for method, field in fields.items():
            wavelength, power = power_spectrum(
                decibel(field), cell_km=(height / 1000, width / 1000), weights=weights
            )
            parts.append(
                pd.DataFrame(
                    {
                        "method": method,
                        "lead_minutes": lead,
                        "wavelength_km": wavelength,
                        "power": power,
                        "pixels": int(np.count_nonzero(common[place])),
                    }
                )
            )
    columns = ["method", "lead_minutes", "wavelength_km", "power", "pixels"]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)


def mean_spectra(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """The mean power over issue times on one grid, with a column ``cycles``: how many they were."""
    joined = pd.concat([table for table in tables if not table.empty] or tables[:1])
    grouped = joined.groupby(["method", "lead_minutes", "wavelength_km"], sort=False)
    mean = grouped.agg(power=("power", "mean"), pixels=("pixels", "mean"), cycles=("power", "size"))
    return mean.reset_index()
