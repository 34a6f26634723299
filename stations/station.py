"""A place that something is wanted for: a gauge, a radar site, a town."""

from __future__ import annotations

import math
from dataclasses import dataclass

from stations.errors import StationsError


@dataclass(frozen=True)
class Station:
    """A place on the earth.

    Attributes:
        id: tells it from all others of its list.
        name: as people call it; the id where the list has none.
        lon, lat: degrees (WGS 84), east and north positive; lon in [-180, 180).
        elevation_m: above sea level, None where unknown.

    Raises StationsError where the id is empty or the place is not on the earth.

    """

    id: str
    lon: float
    lat: float
    name: str = ""
    elevation_m: float | None = None

    def __post_init__(self) -> None:
        if not self.id.strip():
            raise StationsError("a station without id, expected a name for it that no other has")
        if not (math.isfinite(self.lat) and -90 <= self.lat <= 90):
            raise StationsError(f"latitude {self.lat:g}, expected -90 to 90 degrees")
        if not (math.isfinite(self.lon) and -180 <= self.lon <= 360):
            raise StationsError(f"longitude {self.lon:g}, expected -180 to 360 degrees")
        if self.elevation_m is not None and not math.isfinite(self.elevation_m):
            raise StationsError(f"elevation {self.elevation_m:g}, expected metres")
        if self.lon >= 180:
            object.__setattr__(self, "lon", self.lon - 360.0)
        object.__setattr__(self, "name", self.name.strip() or self.id)
