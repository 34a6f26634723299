"""The rain of a place: what was seen, what is foreseen and how sure that is."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from nowcast.field import schema
from nowcast.field.errors import SourceError
from nowcast.products.point_words import sentences
from nowcast.products.timelines import timelines
from nowcast.web.layers import PAST
from nowcast.web.series import frames_around
from stations.station import Station

if TYPE_CHECKING:
    from collections.abc import Iterable

    import xarray as xr

    from nowcast.web.observations import Observations
    from nowcast.web.opened import Opened


def timeline(opened: Opened, seen: Observations, *, lon: float, lat: float) -> dict[str, Any]:
    """What the page shows of a place (degrees), ready for JSON: NaN is None, times are ISO 8601.

    ``cell`` is row and column, None outside the grid, where ``radar`` and ``forecast`` are empty.
    """
    cell = opened.grid.cell(lon=lon, lat=lat)
    about: dict[str, Any] = {"lon": lon, "lat": lat, "cell": cell, "radar": [], "forecast": []}
    if cell is None:
        return about | {"words": "Unknown: outside the grid of the radar."}
    small = opened.series().around(*cell, grid=opened.grid)
    found = timelines(small, [_station(small, cell, opened)], newest=_newest(opened, seen, cell))
    return about | {
        "words": sentences(found)[0],
        "onset_minutes": _number(found["onset"].values[0]),
        "cessation_minutes": _number(found["cessation"].values[0]),
        "radar": _radar(opened, seen, cell),
        "forecast": _forecast(found.isel(station=0)),
        "thresholds_mm_h": _numbers(found["threshold"].values) if "threshold" in found else [],
    }


def _station(small: schema.Forecast, cell: tuple[int, int], opened: Opened) -> Station:
    """The middle of the cell: the place itself may lie in a corner that the small grid rounds."""
    lon, lat = opened.grid.lonlat_of(*cell)
    return Station(id=f"{small.attrs.get('feed', 'place')}-{cell[0]}-{cell[1]}", lon=lon, lat=lat)


def _newest(opened: Opened, seen: Observations, cell: tuple[int, int]) -> schema.Radar | None:
    """The frame of the issue time around a cell; None where it is not at hand."""
    try:
        rate = seen.rate(opened.issued, grid=opened.grid)
    except SourceError:
        return None
    return schema.as_radar(frames_around(rate, opened.issued, cell=cell, grid=opened.grid))


def _radar(opened: Opened, seen: Observations, cell: tuple[int, int]) -> list[dict[str, Any]]:
    """What was seen from two hours before issue on, and after it as far as it has come."""
    found = seen.around(opened.issued, past=PAST, ahead=opened.leads[-1])
    return [
        {"time": _iso(moment), "rate": _number(seen.rate(moment, grid=opened.grid)[cell])}
        for moment in found.values()
    ]


def _forecast(found: xr.Dataset) -> list[dict[str, Any]]:
    """A row a lead: rate, quantiles and probabilities where the method gives them (mm h-1, 1)."""
    ahead = found.isel(time=found["lead_time"].values > np.timedelta64(0))
    rows: list[dict[str, Any]] = [
        {"time": _iso(moment), "rate": _number(rate)}
        for moment, rate in zip(
            ahead["time"].values, ahead["rainfall_rate"].values.tolist(), strict=True
        )
    ]
    if "rainfall_rate_quantile" in ahead:
        quantiles = ahead["rainfall_rate_quantile"].transpose("time", "quantile").values.tolist()
        for row, values in zip(rows, quantiles, strict=True):
            row["p10"], row["p50"], row["p90"] = _numbers(values)
    if "probability_of_exceedance" in ahead:
        chances = ahead["probability_of_exceedance"].transpose("time", "threshold").values.tolist()
        for row, values in zip(rows, chances, strict=True):
            row["probability"] = _numbers(values)
    return rows


def _numbers(values: Iterable[float]) -> list[float | None]:
    return [_number(value) for value in values]


def _number(value: float) -> float | None:
    """To three decimals; None where unseen."""
    return None if math.isnan(value) else round(float(value), 3)


def _iso(moment: np.datetime64) -> str:
    return f"{np.datetime_as_string(moment, unit='s')}Z"
