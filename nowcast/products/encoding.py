"""A dataset as it lies on disk: what NetCDF and Zarr have in common.

Times become integers, lat and lon stand beside projected y and x, and every field names the
coordinates that describe it, as CF-1.11 and its strict checker want.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from nowcast.field import schema
from nowcast.field.errors import SchemaError

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    from numpy.typing import NDArray

    from nowcast.field.grid import Grid

EPOCH = np.datetime64("1970-01-01", "s")
# What says that a number is a time: whole seconds since the epoch, in UTC.
TIME = {
    "units": "seconds since 1970-01-01 00:00:00",
    "calendar": "standard",
    "units_metadata": "leap_seconds: utc",
}
_LONG_NAMES = {
    "time": "valid time",
    "lead_time": "time from issue to validity",
    "forecast_reference_time": "time of the newest frame used",
}
_INFILLED = {
    "long_name": "whether the frame was made up from its neighbours",
    "flag_values": np.array([0, 1], dtype=np.int8),
    "flag_meanings": "observed infilled",
}
# Attributes that exist on disk alone; reading takes them away again.
_ON_DISK_ONLY = ("ancillary_variables", "coordinates", "coverage_content_type", "units_metadata")
_AUXILIARY = ("time", "forecast_reference_time", "lat", "lon", "infilled")


def on_disk(
    dataset: schema.Forecast | schema.Frames, *, attrs: Mapping[str, Any], content: str
) -> xr.Dataset:
    """The dataset with plain numbers for values and complete attributes; fields are not copied.

    ``attrs`` become the global attributes; ``content`` says what the fields are in the words of
    ISO 19115-1 (``modelResult``, ``physicalMeasurement``). Raises SchemaError where a time is not a
    whole second or a variable is not made of numbers.
    """
    grid = schema.grid_of(dataset)
    variables: dict[Hashable, xr.Variable] = {}
    for name, variable in dataset.variables.items():
        variables[name] = _encoded(str(name), variable)
    if not grid.is_geographic:
        lon, lat = lonlat(grid)
        for name, values, long_name, unit in (
            ("lat", lat, "latitude", "degrees_north"),
            ("lon", lon, "longitude", "degrees_east"),
        ):
            described = {"standard_name": long_name, "long_name": long_name, "units": unit}
            variables[name] = xr.Variable(schema.CELL_DIMS, values, described)
    fields = [name for name in dataset.data_vars if name != "crs"]
    for name in fields:
        variables[name].attrs |= _relations(name, variables, content)
    return xr.Dataset(variables, attrs={name: _plain(value) for name, value in attrs.items()})


def decoded(raw: xr.Dataset) -> xr.Dataset:
    """The inverse of ``on_disk`` for a dataset whose times xarray has decoded.

    lat and lon are left out: ``Grid.lonlat`` gives them, and they are large.
    """
    dataset = raw.drop_vars(("lat", "lon"), errors="ignore").drop_encoding()
    dataset = dataset.set_coords([name for name in ("crs",) if name in dataset])
    for name, variable in dataset.variables.items():
        for attribute in _ON_DISK_ONLY:
            variable.attrs.pop(attribute, None)
        if variable.attrs.get("long_name") == _LONG_NAMES.get(str(name)):
            variable.attrs.pop("long_name", None)
    if "infilled" in dataset.variables:
        dataset = dataset.assign_coords(infilled=("time", dataset["infilled"].values.astype(bool)))
    return dataset


def encodings(
    raw: xr.Dataset, *, chunks: str, compression: Mapping[str, Any]
) -> dict[Hashable, dict[str, Any]]:
    """How xarray shall store each variable: a field (y, x) a chunk, under the key ``chunks``.

    Data has NaN for missing; all else has no fill value, which CF forbids on coordinates.
    """
    options: dict[Hashable, dict[str, Any]] = {}
    for name, variable in raw.variables.items():
        is_data = "coverage_content_type" in variable.attrs and variable.dtype.kind == "f"
        options[name] = {"_FillValue": np.float32(np.nan) if is_data else None}
        if variable.ndim >= 2:
            plane = 2 if "y" in variable.dims else variable.ndim
            shape = (1,) * (variable.ndim - plane) + tuple(variable.shape[-plane:])
            options[name] |= {**compression, chunks: shape}
    return options


@lru_cache(maxsize=1)
def lonlat(grid: Grid) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Longitude and latitude (degrees, float32: to a metre) of all cells; the last grid is kept.

    A rolling service writes the same grid every five minutes, and a 4400x3800 one takes seconds.
    """
    lon, lat = (np.asarray(values, dtype=np.float32) for values in grid.lonlat())
    for values in (lon, lat):
        values[~np.isfinite(values)] = np.nan  # beyond the edge of the projection
        values.setflags(write=False)
    return lon, lat


def _encoded(name: str, variable: xr.Variable) -> xr.Variable:
    values, attrs = variable.values, dict(variable.attrs)
    if name in _LONG_NAMES:
        attrs.setdefault("long_name", _LONG_NAMES[name])
    if values.dtype.kind == "M":
        values, attrs = _seconds(name, values - EPOCH), attrs | TIME
    elif values.dtype.kind == "m":
        values, unit = _minutes(name, values)
        # xarray decodes to a time span where dtype says so, and to a bare number where not.
        attrs |= {"units": unit, "dtype": "timedelta64[ns]"}
    elif values.dtype.kind == "b":
        values, attrs = values.astype(np.int8), attrs | _INFILLED
    elif values.dtype.kind not in "fiu":
        raise SchemaError(f"variable {name} of type {values.dtype}, expected numbers or times")
    return xr.Variable(variable.dims, values, {key: _plain(value) for key, value in attrs.items()})


def _relations(name: Hashable, variables: Mapping[Hashable, xr.Variable], content: str) -> Any:
    """The attributes that tie a field to the variables around it."""
    dims = set(variables[name].dims)
    around = [
        other
        for other in _AUXILIARY
        if other in variables
        and other not in dims
        and other != name
        and set(variables[other].dims) <= dims
    ]
    related = {"coordinates": " ".join(around)} if around else {}
    if set(schema.CELL_DIMS) <= dims:
        related["grid_mapping"] = "crs"
    if name == "rainfall_rate" and "quality_flag" in variables:
        related["ancillary_variables"] = "quality_flag"
    is_quality = name == "quality_flag"
    return related | {"coverage_content_type": "qualityInformation" if is_quality else content}


def _seconds(name: str, span: NDArray[np.timedelta64]) -> NDArray[np.int64]:
    whole = span.astype("timedelta64[s]")
    if (whole != span).any():
        raise SchemaError(f"{name} holds {span[whole != span][0]}, expected whole seconds")
    return np.asarray(whole.astype(np.int64))


def _minutes(name: str, span: NDArray[np.timedelta64]) -> tuple[NDArray[np.int32], str]:
    """The span in minutes, or in seconds where the step is not one of whole minutes."""
    seconds = _seconds(name, span)
    if (seconds % 60 == 0).all():
        return (seconds // 60).astype(np.int32), "minutes"
    return seconds.astype(np.int32), "seconds"


def _plain(value: Any) -> Any:
    """The value as NetCDF and Zarr can hold it: text or numbers."""
    if isinstance(value, str):
        return value
    array = np.asarray(value)
    if array.dtype.kind == "b":
        return array.astype(np.int8)
    return value if array.dtype.kind in "fiu" else str(value)
