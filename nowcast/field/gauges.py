"""What rain gauges measured: the conventions of a Gauges dataset, the only place that makes one.

``rainfall_amount (station, time)`` in mm: what fell in the ``interval_minutes`` (an attribute) up
to ``time`` (UTC). NaN is missing and 0 is dry. Beside each station stand ``station_id``,
``station_name``, ``lon`` and ``lat``.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, NewType

import numpy as np
import xarray as xr

from nowcast.field.errors import SchemaError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import ArrayLike, NDArray

    from stations.station import Station

Gauges = NewType("Gauges", xr.Dataset)

# A little more than the most ever measured in a minute (38 mm), an hour (305 mm) and a day.
_MINUTES, _MOST_MM = (1.0, 60.0, 1440.0), (40.0, 310.0, 1900.0)


def gauges_dataset(
    amount_mm: ArrayLike,
    *,
    times: Sequence[np.datetime64] | NDArray[np.datetime64],
    stations: Sequence[Station],
    interval_minutes: float,
    attrs: Mapping[str, Any] | None = None,
) -> Gauges:
    """Gauges of ``amount_mm`` (station, time) that fell in the interval up to each UTC time.

    Sorted by time. Raises SchemaError where shapes do not fit, an amount is negative or more than
    ever fell on earth, times come twice, or intervals overlap.
    """
    amount = np.asarray(amount_mm, dtype=np.float64)
    stamps = np.asarray(times, dtype="datetime64[ns]")
    if amount.shape != (len(stations), stamps.size):
        raise SchemaError(
            f"amounts of shape {amount.shape}, expected {(len(stations), stamps.size)}"
        )
    order = np.argsort(stamps, kind="stable")
    described = {
        "standard_name": "thickness_of_rainfall_amount",
        "long_name": "rain in the interval up to time",
        "units": "mm",
        "cell_methods": "time: sum",
    }
    dataset = xr.Dataset(
        {"rainfall_amount": (("station", "time"), amount[:, order], described)},
        coords={
            "time": ("time", stamps[order], {"standard_name": "time"}),
            "station_id": ("station", np.array([s.id for s in stations], dtype=object)),
            "station_name": ("station", np.array([s.name for s in stations], dtype=object)),
            "lon": ("station", np.array([s.lon for s in stations], dtype=np.float64)),
            "lat": ("station", np.array([s.lat for s in stations], dtype=np.float64)),
        },
        attrs={**(attrs or {}), "interval_minutes": float(interval_minutes)},
    )
    return as_gauges(dataset)


def as_gauges(dataset: xr.Dataset) -> Gauges:
    """The dataset as Gauges, or a SchemaError that says what is wrong."""
    amount = dataset["rainfall_amount"]
    if amount.dims != ("station", "time") or not amount.size:
        raise SchemaError(f"amounts {dict(amount.sizes)}, expected some (station, time)")
    interval = float(dataset.attrs.get("interval_minutes", np.nan))
    if not interval > 0:
        raise SchemaError(f"interval_minutes {interval:g}, expected more than 0")
    steps = np.diff(dataset["time"].values) / np.timedelta64(1, "m")
    if steps.size and steps.min() < interval - 1e-6:
        raise SchemaError(
            f"times {steps.min():g} min apart, but amounts of {interval:g} min: intervals overlap"
        )
    values = amount.values
    lowest = np.fmin.reduce(values, axis=None)
    if lowest < 0 or np.isposinf(values).any():
        raise SchemaError(f"an amount of {lowest:g} mm, expected NaN (missing) or 0 and more")
    most = np.interp(interval, _MINUTES, _MOST_MM)
    highest = np.fmax.reduce(values, axis=None)
    if highest > most:
        raise SchemaError(
            f"an amount of {highest:g} mm in {interval:g} min, expected {most:.0f} at most: "
            "look for a missing-value code, or another interval"
        )
    return Gauges(dataset)


def places_of(gauges: Gauges) -> tuple[tuple[float, float], ...]:
    """Longitude and latitude of the stations, in order."""
    lon, lat = gauges["lon"].values.tolist(), gauges["lat"].values.tolist()
    return tuple(zip(lon, lat, strict=True))


def amounts_between(gauges: Gauges, edges: NDArray[np.datetime64]) -> NDArray[np.float64]:
    """What fell (mm) from each edge to the next, (window, station).

    NaN where a reading is missing, or where readings do not begin and end with the window.
    """
    interval = float(gauges.attrs["interval_minutes"])
    ends = (gauges["time"].values - edges[0]) / np.timedelta64(1, "m")
    minutes = (edges - edges[0]) / np.timedelta64(1, "m")
    values = gauges["rainfall_amount"].values
    found = np.full((edges.size - 1, values.shape[0]), np.nan)
    for window, (start, end) in enumerate(itertools.pairwise(minutes)):
        inside = (ends - interval >= start - 1e-6) & (ends <= end + 1e-6)
        if abs(inside.sum() * interval - (end - start)) < 1e-6:
            found[window] = values[:, inside].sum(axis=1)
    return found
