"""The product: what a forecast says of places, beside its NetCDF."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from nowcast.field import schema
from nowcast.field.errors import SourceError
from nowcast.field.places import OUTSIDE, cells_of
from nowcast.products import description, point_netcdf, point_tables
from nowcast.products.timelines import PointSettings, timelines
from stations.station import Station

if TYPE_CHECKING:
    import xarray as xr

Form = Literal["nc", "csv", "json"]
FORMS: tuple[Form, ...] = ("nc", "csv", "json")


@dataclass(frozen=True)
class Points:
    """Timelines of places as ``YYYYmmddTHHMMZ.points.nc``, ``.csv`` or ``.json``.

    Attributes:
        stations: the places.
        form: what is written.
        settings: how a place is read off a field.
        newest: gives the frames up to a time, the last of which begins the timelines; without it,
            and where it raises SourceError, they begin with the first lead.
        inside_only: leaves places outside the grid out; they are unknown otherwise.
        attrs: global attributes of NetCDF that go before those of the forecast.
        clock: the time of writing (UTC).

    """

    stations: tuple[Station, ...]
    form: Form = "nc"
    settings: PointSettings = field(default_factory=PointSettings)
    newest: Callable[[np.datetime64], schema.Radar] | None = None
    inside_only: bool = False
    attrs: Mapping[str, Any] = field(default_factory=dict)
    clock: Callable[[], datetime] = description.utc_now

    def write(self, forecast: schema.Forecast, *, into: Path) -> Path:
        """Write the timelines into a folder that exists; return the file. Raises ProductError."""
        path = Path(into) / f"{description.issue_name(forecast)}.points.{self.form}"
        found = self.timelines(forecast)
        if self.form == "csv":
            return point_tables.write_csv(found, path)
        if self.form == "json":
            return point_tables.write_json(found, path)
        attrs = point_netcdf.attributes(found, written=self.clock(), more=self.attrs)
        return point_netcdf.write_netcdf(found, path, attrs=attrs)

    def timelines(self, forecast: schema.Forecast) -> xr.Dataset:
        """The timelines of the places, (station, time)."""
        places = self.stations
        if self.inside_only:
            lonlat = tuple((station.lon, station.lat) for station in places)
            rows = cells_of(schema.grid_of(forecast), lonlat)[:, 0]
            places = tuple(place for place, row in zip(places, rows, strict=True) if row != OUTSIDE)
        return timelines(forecast, places, newest=self._newest(forecast), settings=self.settings)

    def _newest(self, forecast: schema.Forecast) -> schema.Radar | None:
        if self.newest is None:
            return None
        issued: np.datetime64 = forecast["forecast_reference_time"].values.reshape(-1)[0]
        try:
            return self.newest(issued)
        except SourceError:
            return None  # the forecast is there, and what it says of places does not wait
