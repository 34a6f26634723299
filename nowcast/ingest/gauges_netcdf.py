"""Gauges in NetCDF, stations by times: OpenMRG's, and CF time series.

OpenMRG (doi:10.5281/zenodo.6673750) says nothing of its times in the files. They are those of the
intervals' ends: read so, the amounts of ten gauges correlate best with the radar over them 3 to 5
min after it saw the rain aloft, and the 15 min sums of SMHI likewise.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from nowcast.field.errors import FormatError, SourceError
from nowcast.ingest.gauges_table import Readings
from nowcast.ingest.readers.cf_open import is_cf, open_cf
from stations.errors import StationsError
from stations.station import Station

if TYPE_CHECKING:
    from pathlib import Path

# Standard names and names; a variable of the first two may leave out its unit (kg m-2 is mm).
_AMOUNTS = ("rainfall_amount", "precipitation_amount", "thickness_of_rainfall_amount")
_UNITS = {"": 1.0, "mm": 1.0, "kg m-2": 1.0, "cm": 10.0, "m": 1000.0}
_LON, _LAT = ("lon", "longitude"), ("lat", "latitude")
_NAMES = ("station_name", "location", "name", "platform_name")
_IDS = ("station_id", "station", "id")
_EXPECTED = "rainfall_amount of stations and times, with lon and lat of the stations"


def matches(path: Path) -> bool:
    """Whether this is NetCDF with amounts at stations. Raises nothing."""
    try:
        if path.is_dir() or not is_cf(path):
            return False
        with open_cf(path) as dataset:
            return _amount(dataset) is not None
    except SourceError:
        return False


def readings(path: Path) -> Readings:
    """The readings of a file; raises FormatError where it holds none, or is damaged."""
    with open_cf(path) as raw:
        name = _amount(raw)
        if name is None:
            held = ", ".join(map(str, raw.data_vars)) or "nothing"
            raise FormatError(f"{path}: holds {held}, expected {_EXPECTED}")
        dataset = xr.decode_cf(raw, decode_timedelta=False)
        amount = dataset[name]
        (along,) = (str(dim) for dim in amount.dims if dim != "time")
        unit = str(amount.attrs.get("units", ""))
        if unit not in _UNITS:
            raise FormatError(f"{path}: {name} in {unit!r}, expected mm")
        values = amount.transpose(along, "time").values.astype(np.float64) * _UNITS[unit]
        times = dataset["time"].values
        if times.dtype.kind != "M":
            raise FormatError(f"{path}: time of type {times.dtype}, expected times with a unit")
        return Readings(values, times, _stations(path, dataset, along))


def _amount(dataset: xr.Dataset) -> str | None:
    """The variable of amounts with the dimension time and another one, along which places lie."""
    for name, variable in dataset.data_vars.items():
        if {str(name), variable.attrs.get("standard_name")} & set(_AMOUNTS):
            others = [dim for dim in variable.dims if dim != "time"]
            if variable.ndim == 2 and len(others) == 1:
                around = [n for n, v in dataset.variables.items() if v.dims == (others[0],)]
                if set(_LON) & set(around) and set(_LAT) & set(around):
                    return str(name)
    return None


def _stations(path: Path, dataset: xr.Dataset, along: str) -> tuple[Station, ...]:
    def column(names: tuple[str, ...]) -> list[str] | None:
        known = (name for name in names if name in dataset.variables)
        found = next((name for name in known if dataset[name].dims == (along,)), None)
        return None if found is None else [str(value) for value in dataset[found].values]

    lon, lat = column(_LON) or [], column(_LAT) or []
    ids = column((along, *_IDS)) or [str(number) for number in range(1, len(lon) + 1)]
    names = column(_NAMES) or ids
    try:
        return tuple(
            Station(one, lon=float(x), lat=float(y), name=name)
            for one, x, y, name in zip(ids, lon, lat, names, strict=True)
        )
    except StationsError as error:
        raise FormatError(f"{path}: {error}") from error
