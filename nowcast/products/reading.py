"""Reads back the forecasts that we wrote."""

from __future__ import annotations

from pathlib import Path

import xarray as xr

from nowcast.field import schema
from nowcast.field.errors import FormatError, SchemaError, SourceError
from nowcast.products import encoding


def read_forecast(path: Path | str) -> schema.Forecast:
    """The forecast in a NetCDF file of ours, all of it in memory, without its lat and lon.

    Raises SourceError where there is no such file, FormatError where it is cut short, damaged or no
    NetCDF, SchemaError where it is NetCDF but no forecast.
    """
    path = Path(path)
    if not path.is_file():
        raise SourceError(f"{path}: there is no such file")
    try:
        with xr.open_dataset(path, engine="netcdf4", decode_timedelta=True) as raw:
            dataset = encoding.decoded(raw).load()
    except (OSError, RuntimeError, ValueError) as error:
        raise FormatError(
            f"{path}: no readable NetCDF ({error}): cut short or damaged; write it again"
        ) from error
    try:
        return schema.as_forecast(dataset)
    except SchemaError as error:
        raise SchemaError(f"{path}: {error}") from error
