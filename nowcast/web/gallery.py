"""What is on show: the forecasts of a library, the radar beside them, and pictures of both."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any

from nowcast.field.errors import MissingFramesError
from nowcast.products.description import utc_now
from nowcast.web import layers, mercator, shading
from nowcast.web.gauges import GaugeReadings
from nowcast.web.library import Library, Listed
from nowcast.web.observations import Observations
from nowcast.web.opened import Opened, open_forecast
from nowcast.web.remembered import Remembered
from nowcast.web.skill import NoSkill, SkillSource
from nowcast.web.storms import storms
from stations.registry import Registry

if TYPE_CHECKING:
    from nowcast.web.layers import Layer

_PICTURES_BYTES = 256 * 2**20
_OPEN_FORECASTS = 6
_NEAR = 3


@dataclass(frozen=True, eq=False)
class Gallery:
    """Forecasts and frames as they are looked at.

    Attributes:
        library: where forecasts come from.
        seen: the radar frames before and after them.
        skill: scores of what was forecast.
        stations: named beside a place that is clicked.
        gauges: whose readings are shown beside a place that is clicked.
        clock: the time (UTC), against which age is told.

    """

    library: Library
    seen: Observations
    skill: SkillSource = field(default_factory=NoSkill)
    stations: Registry = field(default_factory=Registry)
    gauges: GaugeReadings = field(default_factory=GaugeReadings)
    clock: Callable[[], datetime] = utc_now
    _listings: Remembered[list[Listed]] = field(default_factory=lambda: Remembered(1))
    _open: Remembered[Opened] = field(default_factory=lambda: Remembered(_OPEN_FORECASTS))
    _storms: Remembered[dict[str, Any]] = field(default_factory=lambda: Remembered(_OPEN_FORECASTS))
    _pictures: Remembered[bytes] = field(
        default_factory=lambda: Remembered(_PICTURES_BYTES, size=len)
    )

    def listed(self) -> list[Listed]:
        """All forecasts, the newest first; looked for once a second at most."""
        return self._listings.get(int(monotonic()), self.library.listed)

    def find(self, name: str) -> Listed:
        """The forecast of that id; raises MissingFramesError where there is none (any more)."""
        for one in self.listed():
            if one.id == name:
                return one
        found = self.library.find(name)
        if found is None:
            raise MissingFramesError(f"no forecast {name}")
        return found

    def open(self, name: str) -> Opened:
        """The forecast of that id, open; raises MissingFramesError and FormatError."""
        listed = self.find(name)
        written = listed.path.stat()
        key = name, written.st_mtime_ns, written.st_ino
        return self._open.get(key, partial(open_forecast, listed))

    def layers(self, opened: Opened) -> dict[str, Layer]:
        """What of a forecast can be laid over the map."""
        return layers.layers_of(opened, self.seen)

    def layer(self, opened: Opened, name: str, time: str) -> Layer:
        """A layer that can be shown at a time; raises MissingFramesError."""
        found = self.layers(opened).get(name)
        if found is None or time not in found.times:
            raise MissingFramesError(f"{opened.listed.id}: no layer {name} at {time}")
        return found

    def near(self, *, lon: float, lat: float) -> list[dict[str, Any]]:
        """The stations nearest to a place, ready for JSON."""
        found = self.stations.nearest(lon=lon, lat=lat, count=_NEAR)
        return [
            {"id": one.id, "name": one.name, "km": round(metres / 1000, 1)} for metres, one in found
        ]

    def cells(self, name: str) -> dict[str, Any]:
        """The storm cells of a forecast, ready for JSON; raises MissingFramesError, FormatError."""
        opened = self.open(name)
        return self._storms.get(opened, lambda: {"cells": storms(opened, self.seen)})

    def picture(self, name: str, layer: str, time: str) -> bytes:
        """A PNG of the whole grid; raises MissingFramesError and FormatError."""
        opened = self.open(name)
        return self._painted(opened, layer, time, partial(mercator.picture_raster, opened.grid))

    def tile(self, name: str, layer: str, time: str, *, address: Tile) -> bytes:
        """A PNG of an XYZ tile; raises MissingFramesError and FormatError."""
        opened = self.open(name)
        raster = partial(
            mercator.tile_raster,
            opened.grid,
            zoom=address.zoom,
            column=address.column,
            row=address.row,
            size=address.size,
        )
        return self._painted(opened, layer, time, raster, address)

    def _painted(
        self,
        opened: Opened,
        layer: str,
        time: str,
        raster: Callable[[], mercator.Raster],
        address: Tile | None = None,
    ) -> bytes:
        def paint() -> bytes:
            shown = self.layer(opened, layer, time)
            return shading.png(shown.values(time), shading=shown.shading, raster=raster())

        return self._pictures.get((opened, layer, time, address), paint)


@dataclass(frozen=True)
class Tile:
    """The address of an XYZ tile, and its side in pixels."""

    zoom: int
    column: int
    row: int
    size: int = 256
