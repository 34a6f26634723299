"""A forecast unpacked, so that a click on a place is answered at once.

In a forecast file every field is packed by itself; the timeline of a place would unpack all of
them. So that is done once, into a nameless file, which the system keeps in memory or not, as there
is room.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from nowcast.field import schema
from nowcast.field.grid import Grid

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

_STEPS, _UNSEEN = 200, 255  # a probability is kept to half a per cent
_UNPACKED = ("rainfall_rate", "rainfall_rate_member", "probability_of_exceedance")


@dataclass(frozen=True, eq=False)
class Series:
    """The fields of a forecast that have a lead time, unpacked.

    Attributes:
        packed: the forecast, for all that is no field.
        fields: rates (mm h-1) as float32, probabilities in steps of half a per cent, each with the
            dimensions that it has in the forecast, (..., y, x).

    """

    packed: xr.Dataset
    fields: Mapping[str, NDArray[Any]]

    @classmethod
    def of(cls, forecast: xr.Dataset) -> Series:
        """All of a forecast; takes seconds for 24 leads of 765x700 with probabilities."""
        return cls(
            forecast.drop_vars([name for name in forecast.data_vars if name in _fields(forecast)]),
            {name: _unpacked(forecast[name]) for name in _UNPACKED if name in forecast},
        )

    def around(self, row: int, column: int, *, grid: Grid) -> schema.Forecast:
        """The forecast of two by two cells, the wanted one among them."""
        window = _window(row, grid.height), _window(column, grid.width)
        small = self.packed.isel(y=window[0], x=window[1])
        for name, field in self.fields.items():
            values = np.array(field[..., window[0], window[1]])
            if values.dtype == np.uint8:
                unseen = values == _UNSEEN
                values = values.astype(np.float32) / _STEPS
                values[unseen] = np.nan
            small[name] = (_dims(name), values, {"units": "mm h-1"})
        return schema.Forecast(small)


def frames_around(
    rate: NDArray[np.float32], moment: np.datetime64, *, cell: tuple[int, int], grid: Grid
) -> schema.Frames:
    """The same two by two cells of a frame ``rate`` (y, x)."""
    rows, columns = _window(cell[0], grid.height), _window(cell[1], grid.width)
    small = Grid.from_centres(grid.crs, y=grid.y[rows], x=grid.x[columns])
    return schema.frames_dataset(rate[rows, columns][np.newaxis], times=[moment], grid=small)


def _window(index: int, size: int) -> slice:
    """Two neighbours, one of which is ``index``."""
    first = min(index, size - 2)
    return slice(first, first + 2)


def _fields(forecast: xr.Dataset) -> list[str]:
    """The variables that have cells; of the others a click wants nothing."""
    return [str(name) for name, field in forecast.data_vars.items() if "y" in field.dims]


def _dims(name: str) -> tuple[str, ...]:
    before = {"rainfall_rate_member": "realization", "probability_of_exceedance": "threshold"}
    more = (before[name],) if name in before else ()
    return (*more, "lead_time", "y", "x")


def _unpacked(field: xr.DataArray) -> NDArray[Any]:
    is_chance = field.name == "probability_of_exceedance"
    dims = _dims(str(field.name))
    ordered = field.transpose(*dims)
    room = _room(ordered.shape, np.uint8 if is_chance else np.float32)
    for index in product(*map(range, ordered.shape[:-2])):
        values = np.asarray(ordered[index].values, dtype=np.float32)
        if is_chance:
            values = np.rint(np.nan_to_num(values * np.float32(_STEPS), nan=_UNSEEN))
        room[index] = values
    return room


def _room(shape: tuple[int, ...], dtype: type[np.generic]) -> NDArray[Any]:
    """An array in a nameless file, which goes with it."""
    with tempfile.TemporaryFile(prefix="nowcast-view-") as file:
        return np.memmap(file, dtype=dtype, mode="w+", shape=shape)
