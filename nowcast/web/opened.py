"""A forecast file that is open: its fields are read one at a time, as they are asked for."""

from __future__ import annotations

import threading
import weakref
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from nowcast.field import schema
from nowcast.field.errors import FormatError, MissingFramesError
from nowcast.field.netcdf import open_netcdf
from nowcast.products import encoding
from nowcast.products.description import stamp
from nowcast.web.series import Series

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nowcast.field.grid import Grid
    from nowcast.web.library import Listed


@dataclass(frozen=True, eq=False)
class Opened:
    """A forecast of which only what is looked at is read.

    Attributes:
        listed: where it stands in the library.
        data: the forecast with the conventions of ``field.schema``, its fields still on disk.
        grid: where its cells lie.

    """

    listed: Listed
    data: xr.Dataset
    grid: Grid
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @property
    def issued(self) -> np.datetime64:
        """The issue time (UTC)."""
        return self.listed.issued

    @property
    def attrs(self) -> dict[str, Any]:
        """What the forecast says of itself."""
        return self.data.attrs

    @cached_property
    def leads(self) -> NDArray[np.timedelta64]:
        """The lead times, ascending."""
        return np.asarray(self.data["lead_time"].values)

    @cached_property
    def times(self) -> dict[str, int]:
        """Valid time as addresses write it -> index of the lead."""
        return {stamp(self.issued + lead): index for index, lead in enumerate(self.leads)}

    @property
    def step(self) -> np.timedelta64:
        """The time between leads."""
        first: np.timedelta64 = self.leads[0]
        return first

    @cached_property
    def thresholds(self) -> tuple[float, ...]:
        """Of the probabilities of exceedance (mm/h); none where the method says none."""
        if "probability_of_exceedance" not in self.data:
            return ()
        return tuple(float(f"{value:g}") for value in self.data["threshold"].values)

    def lead(self, time: str) -> int:
        """The index of a valid time; raises MissingFramesError."""
        if time not in self.times:
            raise MissingFramesError(f"{self.listed.id}: no forecast for {time}")
        return self.times[time]

    def rate(self, lead: int) -> NDArray[np.float32]:
        """Rain rate (mm h-1) of a lead, (y, x); NaN where nothing can be said."""
        return self._plane("rainfall_rate", lead_time=lead)

    def probability(self, threshold: float, lead: int) -> NDArray[np.float32]:
        """Probability (0 to 1) that the rate reaches a threshold at a lead, (y, x)."""
        index = self.thresholds.index(threshold)
        return self._plane("probability_of_exceedance", threshold=index, lead_time=lead)

    def growth(self, lead: int) -> NDArray[np.float32]:
        """What MIM's difference memory adds to the rate (mm h-1) at a lead, (y, x)."""
        return self._plane("rainfall_rate_from_differences", lead_time=lead)

    def motion(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Motion towards increasing x and y (m s-1), each (y, x)."""
        return self._plane("motion_x"), self._plane("motion_y")

    @cached_property
    def _series(self) -> Series:
        return Series.of(self.data)

    def series(self) -> Series:
        """The forecast unpacked, for timelines of places; made once."""
        with self._lock:
            return self._series

    def _plane(self, name: str, **index: int) -> NDArray[np.float32]:
        try:
            return np.asarray(self.data[name].isel(index).values, dtype=np.float32)
        except (OSError, RuntimeError) as error:
            raise FormatError(f"{self.listed.path}: cannot be read any more ({error})") from error


def open_forecast(listed: Listed) -> Opened:
    """Open the file of a forecast; raises FormatError where it is none."""
    try:
        raw = open_netcdf(listed.path, decode_timedelta=True, cache=False)
        with ExitStack() as failed:
            failed.callback(raw.close)
            data = encoding.decoded(raw)
            grid = schema.grid_of(data)
            if data["rainfall_rate"].dims != ("lead_time", "y", "x"):
                raise FormatError(f"{listed.path}: no forecast: rainfall_rate has no lead_time")
            failed.pop_all()
    except (OSError, RuntimeError, ValueError, KeyError) as error:
        raise FormatError(f"{listed.path}: no readable forecast ({error})") from error
    opened = Opened(listed, data, grid)
    weakref.finalize(opened, raw.close)  # whoever shows it may be the last to hold it
    return opened
