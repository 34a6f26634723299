"""Timelines of places as CF NetCDF: discrete sampling geometry, featureType timeSeries."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from nowcast.field.atomic import written_beside
from nowcast.field.netcdf import NETCDF_LOCK
from nowcast.field.units import RATE
from nowcast.products import description, encoding
from nowcast.products.outlook import STATES

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from pathlib import Path

_MINUTES = {"units": "minutes", "units_metadata": "leap_seconds: none"}
_DESCRIBED: dict[str, dict[str, Any]] = {
    "station_id": {"cf_role": "timeseries_id", "long_name": "identifier of the place"},
    "station_name": {"standard_name": "platform_name", "long_name": "name of the place"},
    "lon": {"standard_name": "longitude", "long_name": "longitude", "units": "degrees_east"},
    "lat": {"standard_name": "latitude", "long_name": "latitude", "units": "degrees_north"},
    "elevation": {"standard_name": "surface_altitude", "long_name": "elevation", "units": "m"},
    "time": {"standard_name": "time", "long_name": "valid time", "axis": "T", **encoding.TIME},
    "lead_time": {
        "standard_name": "forecast_period",
        "long_name": "time from issue to validity",
        "units": "minutes",
        "dtype": "timedelta64[ns]",
    },
    "forecast_reference_time": {
        "standard_name": "forecast_reference_time",
        "long_name": "time of the newest frame used",
        **encoding.TIME,
    },
    "threshold": {"standard_name": "rainfall_rate", "long_name": "threshold", "units": RATE},
    "quantile": {"long_name": "part of the cases in which it rains less", "units": "1"},
    "rainfall_rate": {"standard_name": "rainfall_rate", "long_name": "rain rate", "units": RATE},
    "rainfall_amount": {
        "standard_name": "thickness_of_rainfall_amount",
        "long_name": "rain since the first time",
        "units": "mm",
        "comment": "the rate of each time holds until the next one",
    },
    "rain_said": {
        "long_name": "what is said of rain",
        "flag_values": np.array([-1, 0, 1], dtype=np.int8),
        "flag_meanings": "unknown dry rain",
    },
    "rainfall_rate_quantile": {
        "standard_name": "rainfall_rate",
        "long_name": "quantile of the rain rate",
        "units": RATE,
    },
    "probability_of_exceedance": {
        "long_name": "probability that the rain rate reaches the threshold",
        "units": "1",
    },
    "rain_state": {
        "long_name": "outlook on rain",
        "flag_values": np.arange(len(STATES), dtype=np.int8),
        "flag_meanings": " ".join(STATES),
    },
    "onset": {"long_name": "time from issue to the first onset of rain", **_MINUTES},
    "cessation": {"long_name": "time from issue to the end of the first rain", **_MINUTES},
    "known_until": {"long_name": "time from issue up to which something is said", **_MINUTES},
    "rain_probability": {
        "long_name": "highest probability of rain at a single time of the first rain, or at all",
        "units": "1",
    },
}
_STATION_COORDINATES = "station_id station_name lon lat elevation"


def write_netcdf(dataset: xr.Dataset, path: Path, *, attrs: Mapping[str, Any]) -> Path:
    """Write timelines as CF time series (featureType timeSeries); raises ProductError."""
    variables = {str(name): _encoded(str(name), v) for name, v in dataset.variables.items()}
    for name in [str(name) for name in dataset.data_vars]:
        along_time = "time" in dataset[name].dims
        around = " lead_time forecast_reference_time" if along_time else ""
        variables[name].attrs["coordinates"] = _STATION_COORDINATES + around
    raw = xr.Dataset(variables, attrs={**attrs, "featureType": "timeSeries"})
    stored: dict[Any, dict[str, Any]] = {}
    for name, variable in variables.items():
        is_data = variable.dtype.kind == "f" and name not in ("lon", "lat", "threshold", "quantile")
        stored[name] = {"_FillValue": np.nan if is_data else None}
        if variable.ndim and variable.dtype.kind != "O":
            stored[name] |= {"zlib": True, "complevel": 1, "shuffle": True, "fletcher32": True}
    with written_beside(path) as beside:
        try:
            with NETCDF_LOCK:
                raw.to_netcdf(beside, engine="netcdf4", encoding=stored)
        except RuntimeError as error:  # what the library makes of a full disk
            raise OSError(errno.EIO, str(error)) from error
    return path


def attributes(
    dataset: xr.Dataset, *, written: datetime, more: Mapping[str, Any]
) -> dict[str, Any]:
    """The global attributes of a file of timelines written at ``written``."""
    lon, lat = dataset["lon"].values, dataset["lat"].values
    times = dataset["time"].values.astype("datetime64[s]")
    issued = np.datetime_as_string(
        dataset["forecast_reference_time"].values.astype("datetime64[s]")
    )
    given = {**dataset.attrs, **more}
    stamp = f"{written:%Y-%m-%dT%H:%M:%SZ}"
    line = f"{stamp} points written by mim-nowcast {description.product_version()}"
    described = {
        "Conventions": description.CONVENTIONS,
        "title": f"Rain at {lon.size} places issued {issued}Z",
        "summary": f"Rain at places, foreseen by {given['source']} from radar up to {issued}Z.",
        "comment": "NaN: nothing can be said; 0: dry. Read off the grid cell of each place.",
        "institution": given.get("institution") or "not stated",
        "references": description.REFERENCES,
        "history": "\n".join(filter(None, (str(given.get("history") or ""), line))),
        "date_created": stamp,
        "cdm_data_type": "Station",
        "standard_name_vocabulary": "CF Standard Name Table v93",
        "time_coverage_start": f"{times[0]}Z",
        "time_coverage_end": f"{times[-1]}Z",
    }
    if lon.size:
        described |= {
            "geospatial_lat_min": float(lat.min()),
            "geospatial_lat_max": float(lat.max()),
            "geospatial_lon_min": float(lon.min()),
            "geospatial_lon_max": float(lon.max()),
        }
    kept = {name: value for name, value in given.items() if value not in ("", None)}
    return {**kept, **described, **more}


def _encoded(name: str, variable: xr.Variable) -> xr.Variable:
    values = variable.values
    attrs = dict(_DESCRIBED[name])
    if values.dtype.kind == "M":
        values = (values.astype("datetime64[s]") - encoding.EPOCH).astype(np.int64)
    elif values.dtype.kind == "m":
        values = values / np.timedelta64(1, "m")
    elif values.dtype == np.float64 and name not in ("lon", "lat", "elevation", "quantile"):
        values = values.astype(np.float32)
    return xr.Variable(variable.dims, values, attrs)
