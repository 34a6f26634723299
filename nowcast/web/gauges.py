"""What rain gauges measured around a forecast: near a place, and all of them."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, field
from time import monotonic
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from nowcast.field.gauges import Gauges, amounts_between
from nowcast.ingest.gauge_files import GaugeFiles
from nowcast.web.layers import PAST
from nowcast.web.remembered import Remembered
from stations.registry import EARTH_RADIUS_M, Registry, distance_m
from stations.station import Station

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from nowcast.web.opened import Opened

WITHIN_KM = 10.0
_NEAREST = 2  # gauges beside a place
_LOOK_SECONDS = 10
_DIGITS = 4  # of degrees: places that agree in them are one


class _Set(NamedTuple):
    """The gauges of a file, and where they stand; a station's id is its number in the file."""

    gauges: Gauges
    places: Registry


@dataclass(frozen=True, eq=False)
class GaugeReadings:
    """Readings as the page shows them, in mm/h; without files, none.

    Attributes:
        files: where they come from; looked at again every ten seconds at most.
        within_km: gauges farther from a place say nothing of it.

    """

    files: GaugeFiles = field(default_factory=GaugeFiles)
    within_km: float = WITHIN_KM
    _sets: Remembered[list[_Set]] = field(default_factory=lambda: Remembered(1))

    @property
    def known(self) -> bool:
        """Whether there are any gauges to ask for."""
        return bool(self.files.paths)

    def near(self, opened: Opened, *, lon: float, lat: float) -> dict[str, Any]:
        """The gauges nearest to a place that have readings, ready for JSON, the nearest first."""
        found: list[dict[str, Any]] = []
        for one in self._look():
            close = _within(one.places, lon=lon, lat=lat, metres=1000 * self.within_km)
            said = (
                _said(one.gauges, int(station.id), opened) | {"km": round(metres / 1000, 1)}
                for metres, station in close
            )
            found += itertools.islice((gauge for gauge in said if gauge["readings"]), _NEAREST)
        nearest = sorted(_joined(found), key=lambda gauge: gauge["km"])
        return {"within_km": self.within_km, "gauges": nearest[:_NEAREST]}

    def around(self, opened: Opened) -> dict[str, Any]:
        """All gauges on a forecast's grid that have readings, ready for JSON."""
        found = [
            _said(one.gauges, int(station.id), opened)
            for one in self._look()
            for station in one.places
            if opened.grid.cell(lon=station.lon, lat=station.lat) is not None
        ]
        gauges = _joined(gauge for gauge in found if gauge["readings"])
        return {"within_km": self.within_km, "gauges": gauges}

    def _look(self) -> list[_Set]:
        return self._sets.get(
            int(monotonic() / _LOOK_SECONDS),
            lambda: [_Set(gauges, _places(gauges)) for gauges in self.files.sets()],
        )


def _places(gauges: Gauges) -> Registry:
    places = zip(gauges["lon"].values.tolist(), gauges["lat"].values.tolist(), strict=True)
    return Registry(Station(str(number), lon=x, lat=y) for number, (x, y) in enumerate(places))


def _within(
    places: Registry, *, lon: float, lat: float, metres: float
) -> list[tuple[float, Station]]:
    """Distances (m) and stations, the nearest first."""
    up = math.degrees(metres / EARTH_RADIUS_M)
    across = min(180.0, up / max(1e-6, math.cos(math.radians(min(90.0, abs(lat) + up)))))
    box = places.within(west=lon - across, south=lat - up, east=lon + across, north=lat + up)
    found = ((distance_m((lon, lat), (one.lon, one.lat)), one) for one in box)
    return sorted((one for one in found if one[0] <= metres), key=lambda pair: pair[0])


def _said(gauges: Gauges, number: int, opened: Opened) -> dict[str, Any]:
    """A gauge and its readings from two hours before issue to the last lead."""
    one = Gauges(gauges.isel(station=[number]))
    ends, minutes, amounts = _amounts(one, opened)
    rates = amounts * 60 / minutes
    known = np.isfinite(rates)
    return {
        "id": str(one["station_id"].values[0]),
        "name": str(one["station_name"].values[0]),
        "lon": round(float(one["lon"].values[0]), _DIGITS),
        "lat": round(float(one["lat"].values[0]), _DIGITS),
        "readings": [
            {"time": f"{time}Z", "minutes": minutes, "rate": round(rate, 2)}
            for time, rate in zip(
                np.datetime_as_string(ends[known], unit="s"), rates[known].tolist(), strict=True
            )
        ],
    }


def _amounts(
    gauge: Gauges, opened: Opened
) -> tuple[NDArray[np.datetime64], float, NDArray[np.float64]]:
    """Ends of intervals, their length in minutes, and what fell in each (mm).

    What is read more often than the radar is gathered over its time step: of a minute a tipping
    bucket knows only whether it tipped.
    """
    start, stop = opened.issued - PAST, opened.issued + opened.leads[-1]
    interval = float(gauge.attrs["interval_minutes"])
    step = float(opened.step / np.timedelta64(1, "m"))
    if interval < step and step % interval == 0:
        edges = np.arange(start, stop + opened.step, opened.step)
        return edges[1:], step, amounts_between(gauge, edges)[:, 0]
    times = gauge["time"].values
    inside = (times > start) & (times <= stop)
    return times[inside], interval, gauge["rainfall_amount"].values[0, inside]


def _joined(gauges: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Gauges of several files: what stands at one place is one, its readings in order of time."""
    found: dict[tuple[float, float], dict[str, Any]] = {}
    for gauge in gauges:
        place = gauge["lon"], gauge["lat"]
        before = found.get(place, {"readings": []})["readings"]
        readings = {one["time"]: one for one in (*before, *gauge["readings"])}
        found[place] = gauge | {"readings": [readings[time] for time in sorted(readings)]}
    return list(found.values())
