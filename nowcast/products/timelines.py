"""Each place's rain timeline: what a forecast says where the place lies.

A Dataset (station, time). The first time is that of the newest observed frame, where it is given:
what falls now was seen, and lead times start a step later.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from nowcast.field import event, schema
from nowcast.field.accumulation import accumulated_mm
from nowcast.field.errors import GridMismatchError, SchemaError
from nowcast.field.places import Around, at_cells, cells_of
from nowcast.field.units import RATE
from nowcast.products.chances import QUANTILES, Chances, chances_of
from nowcast.products.outlook import DRY, RAIN, STATES, UNKNOWN, Outlook, outlook

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from stations.station import Station


@dataclass(frozen=True)
class PointSettings:
    """How a place is read off a field.

    Attributes:
        around: the ``cell`` of the place, or ``mean`` or ``p90`` of it and the eight around it;
            what is unseen among these is left out, and where the own cell is unseen all is.
        rain_from_mm_h: the rate from which on it rains.

    """

    around: Around = "cell"
    rain_from_mm_h: float = 0.1


def timelines(
    forecast: schema.Forecast,
    stations: Sequence[Station],
    *,
    newest: schema.Radar | None = None,
    settings: PointSettings | None = None,
) -> xr.Dataset:
    """The timelines of places, (station, time); NaN and UNKNOWN outside what the radar sees.

    ``newest`` ends with the frame of the issue time. Where the forecast has members or
    probabilities there are quantiles and probabilities too. Raises GridMismatchError and
    SchemaError where the newest frame is not that of the forecast.
    """
    settings = settings or PointSettings()
    grid = schema.grid_of(forecast)
    cells = cells_of(grid, tuple((station.lon, station.lat) for station in stations))
    rate = at_cells(forecast["rainfall_rate"].values, cells, around=settings.around)
    chances = chances_of(forecast, cells, around=settings.around)
    said = _said(rate, chances, settings)
    leads = forecast["lead_time"].values
    if newest is not None:
        seen = at_cells(_frame(newest, forecast), cells, around=settings.around)
        rate = np.concatenate([seen[np.newaxis], rate])
        said = np.concatenate([_said(seen, None, settings)[np.newaxis], said])
        leads = np.concatenate([[np.timedelta64(0, "ns")], leads])
        chances = chances and chances.preceded_by(seen)
    return _dataset(forecast, stations, leads, (rate, said, chances), settings)


def outlooks(dataset: xr.Dataset) -> list[Outlook]:
    """The outlook of each station, in order, from what is said at each time."""
    minutes = dataset["lead_time"].values / np.timedelta64(1, "m")
    return [outlook(minutes, said) for said in dataset["rain_said"].values]


def _frame(newest: schema.Radar, forecast: schema.Forecast) -> NDArray[np.float32]:
    """The rain rate (y, x) of the issue time."""
    issued, seen = forecast["forecast_reference_time"].values, schema.issue_time(newest)
    if seen != issued:
        raise SchemaError(
            f"the newest frame is of {seen}, expected {issued}, when the forecast was issued"
        )
    grid = schema.grid_of(forecast)
    if not schema.grid_of(newest).same_as(grid):
        raise GridMismatchError(
            f"the newest frame lies on {schema.grid_of(newest)}, expected {grid}, that of the "
            "forecast: give the archive that it was made of"
        )
    rate: NDArray[np.float32] = newest["rainfall_rate"].values[-1]
    return rate


def _said(
    rate: NDArray[np.float32], chances: Chances | None, settings: PointSettings
) -> NDArray[np.int8]:
    """What is said at each time and place, (..., station): UNKNOWN, DRY or RAIN.

    As in the scores: the rate reaches the threshold, or the probability its decision where the
    forecast fixes one (of the cell alone; around it the rate decides).
    """
    wet = event.reached(rate, settings.rain_from_mm_h)
    if chances is not None and chances.decisions is not None and settings.around == "cell":
        same = np.flatnonzero(np.isclose(chances.thresholds, settings.rain_from_mm_h, rtol=1e-5))
        if same.size:
            decided = chances.decisions[same[0]][:, np.newaxis]
            wet = np.where(np.isnan(decided), wet, chances.exceedance[same[0]] >= decided)
    return np.where(np.isnan(rate), UNKNOWN, np.where(wet, RAIN, DRY)).astype(np.int8)


def _dataset(
    forecast: schema.Forecast,
    stations: Sequence[Station],
    leads: NDArray[np.timedelta64],
    values: tuple[NDArray[np.float32], NDArray[np.int8], Chances | None],
    settings: PointSettings,
) -> xr.Dataset:
    rate, said, chances = values
    minutes = leads / np.timedelta64(1, "m")
    variables: dict[str, Any] = {
        "rainfall_rate": (("station", "time"), rate.T),
        "rainfall_amount": (("station", "time"), accumulated_mm(rate.T, minutes=minutes)),
        "rain_said": (("station", "time"), said.T),
    }
    coords = _coordinates(forecast, stations, leads)
    if chances is not None:
        coords |= {"threshold": chances.thresholds, "quantile": np.array(QUANTILES)}
        dims = ("station", "time")
        exceedance = chances.exceedance.transpose(0, 2, 1)
        variables["probability_of_exceedance"] = (("threshold", *dims), exceedance)
        variables["rainfall_rate_quantile"] = (
            ("quantile", *dims),
            chances.quantiles.transpose(0, 2, 1),
        )
    dataset = xr.Dataset(
        variables,
        coords=coords,
        attrs={
            **forecast.attrs,
            "around": settings.around,
            "rain_from_mm_h": settings.rain_from_mm_h,
        },
    )
    dataset["rainfall_rate"].attrs["units"] = RATE
    return dataset.assign(_summaries(dataset))


def _coordinates(
    forecast: schema.Forecast, stations: Sequence[Station], leads: NDArray[np.timedelta64]
) -> dict[str, Any]:
    issued = forecast["forecast_reference_time"].values
    elevations = [np.nan if s.elevation_m is None else s.elevation_m for s in stations]
    return {
        "station_id": ("station", np.array([s.id for s in stations], dtype=object)),
        "station_name": ("station", np.array([s.name for s in stations], dtype=object)),
        "lon": ("station", np.array([s.lon for s in stations], dtype=np.float64)),
        "lat": ("station", np.array([s.lat for s in stations], dtype=np.float64)),
        "elevation": ("station", np.array(elevations, dtype=np.float64)),
        "time": ("time", issued + leads),
        "lead_time": ("time", leads),
        "forecast_reference_time": ((), issued),
    }


def _summaries(dataset: xr.Dataset) -> dict[str, Any]:
    """What a map of the places shows, (station,): state, onset and the like of the first spell."""
    found = outlooks(dataset)
    first = [one.spells[0] if one.spells else None for one in found]

    def minutes(values: list[float | None]) -> tuple[str, NDArray[np.float32]]:
        numbers = [np.nan if value is None else value for value in values]
        return "station", np.array(numbers, dtype=np.float32)

    states = np.array([STATES.index(one.state) for one in found], dtype=np.int8)
    summaries: dict[str, Any] = {
        "rain_state": ("station", states),
        "onset": minutes([spell and spell.onset for spell in first]),
        "cessation": minutes([spell and spell.cessation for spell in first]),
        "known_until": minutes([one.known_until for one in found]),
    }
    chance = rain_probability(dataset)
    if chance is not None:
        peaks = [
            _peak(chance[position], one, ahead=dataset["lead_time"].values > np.timedelta64(0))
            for position, one in enumerate(found)
        ]
        summaries["rain_probability"] = ("station", np.array(peaks, dtype=np.float32))
    return summaries


def rain_probability(dataset: xr.Dataset) -> NDArray[np.float32] | None:
    """The probability (station, time) that it rains; None where the forecast states none."""
    if "probability_of_exceedance" not in dataset:
        return None
    same = np.isclose(dataset["threshold"].values, dataset.attrs["rain_from_mm_h"], rtol=1e-5)
    if not same.any():
        return None
    found: NDArray[np.float32] = dataset["probability_of_exceedance"].values[int(same.argmax())]
    return found


def _peak(chance: NDArray[np.float32], one: Outlook, *, ahead: NDArray[np.bool_]) -> float:
    """The highest probability of a single time: of the first spell, or of all that is known."""
    first, last = one.spells[0][2:] if one.spells else (0, one.known - 1)
    within = chance[first : last + 1][ahead[first : last + 1]]
    return float(np.nanmax(within)) if np.isfinite(within).any() else np.nan
