"""Reads back the forecasts that we wrote."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import xarray as xr

from nowcast.field import schema
from nowcast.field.errors import FormatError, MissingFramesError, SchemaError, SourceError
from nowcast.field.netcdf import open_netcdf
from nowcast.products import encoding


def read_forecast(path: Path | str, *, lead: np.timedelta64 | None = None) -> schema.Forecast:
    """The forecast in a NetCDF file of ours, all of it in memory, without its lat and lon.

    Of one ``lead`` alone, where it is given: MissingFramesError where the file has no such lead.

    Raises SourceError where there is no such file, FormatError where it is cut short, damaged or no
    NetCDF, SchemaError where it is NetCDF but no forecast.
    """
    path = Path(path)
    if not path.is_file():
        raise SourceError(f"{path}: there is no such file")
    try:
        with open_netcdf(path, decode_timedelta=True) as raw:
            chosen = raw if lead is None else _of_lead(raw, lead, path=path)
            dataset = encoding.decoded(chosen).load()
    except (OSError, RuntimeError, ValueError) as error:
        raise FormatError(
            f"{path}: no readable NetCDF ({error}): cut short or damaged; write it again"
        ) from error
    try:
        return schema.as_forecast(dataset)
    except SchemaError as error:
        raise SchemaError(f"{path}: {error}") from error


def _of_lead(raw: xr.Dataset, lead: np.timedelta64, *, path: Path) -> xr.Dataset:
    """The forecast as if it went on for one lead alone."""
    if "lead_time" not in raw.dims:
        return raw  # no forecast, which the schema says
    places = np.flatnonzero(raw["lead_time"].values == lead)
    if not places.size:
        minutes = lead / np.timedelta64(1, "m")
        raise MissingFramesError(f"{path}: no lead of {minutes:g} min in this forecast")
    return raw.isel(lead_time=places)
