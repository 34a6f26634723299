"""Weather on a grid: analyses and forecasts as GRIB or NetCDF, and MeteoNet's rain and wind."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import pyproj
import xarray as xr

from nowcast.field.errors import FormatError, SchemaError, UnsafeFileError
from nowcast.field.grid import WGS84, Grid
from nowcast.field.schema import grid_coordinates
from nowcast.ingest import gridded_meteonet
from nowcast.ingest.readers.compressed import head
from nowcast.ingest.readers.hdf5 import SIGNATURE, open_hdf5
from nowcast.ingest.readers.projection import projection

if TYPE_CHECKING:
    from collections.abc import Hashable
    from pathlib import Path

    from numpy.typing import NDArray

_EXPECTED = "weather as GRIB, as NetCDF with coordinates, or as a MeteoNet folder of rain, U and V"
_LIMIT = 4 << 30
_MRMS = 209
_CLASSIC = (b"CDF\x01", b"CDF\x02", b"CDF\x05")
_NAMES = {"number": "realization", "isobaricInhPa": "pressure", "pressure_level": "pressure"}
_AXES = (
    ({"projection_y_coordinate", "latitude"}, {"degrees_north"}, {"y", "lat", "latitude"}),
    ({"projection_x_coordinate", "longitude"}, {"degrees_east"}, {"x", "lon", "longitude"}),
)
_ORDER = ("forecast_reference_time", "lead_time", "time", "realization", "pressure", ..., "y", "x")
_FOREIGN = (
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
)


def matches(path: Path) -> bool:
    """Whether this may be gridded weather: GRIB but MRMS's, any NetCDF, MeteoNet rain and wind."""
    if gridded_meteonet.matches(path):
        return True
    first = b"" if path.is_dir() else head(path, 8)
    if first.startswith(b"GRIB"):
        return first[6:8] != bytes([_MRMS, 2])
    return first.startswith((*_CLASSIC, SIGNATURE))


def open_weather(path: Path) -> xr.Dataset:
    """The fields of a file, or of a MeteoNet folder, in memory: (time, realization, ..., y, x).

    y descends and x ascends, in metres, or in degrees from -180 to 180; ``crs`` holds the
    projection and is missing only in MeteoNet's cut-outs, which do not say where they lie. Units
    and names are the file's; NaN is missing. Raises FormatError and UnsafeFileError.
    """
    if path.is_dir() or gridded_meteonet.matches(path):
        return gridded_meteonet.open_meteonet(path)
    first = head(path, 8)
    if first.startswith(b"GRIB"):
        return _grib(path)
    if first.startswith(SIGNATURE):
        with open_hdf5(path):  # refuses what leads to other files or eats all memory
            return _netcdf(path)
    if first.startswith(_CLASSIC):
        return _netcdf(path)
    found = f"begins with {first!r}" if first else "empty or unreadable"
    raise FormatError(f"{path}: {found}, expected {_EXPECTED}")


def _grib(path: Path) -> xr.Dataset:
    # eccodes 2.43 and later lay a PROJ of their own over everybody's, which breaks pyproj where it
    # comes second; field.grid has imported it by now.
    import cfgrib  # noqa: PLC0415
    import eccodes  # noqa: PLC0415

    try:
        # No index: it would be written beside the file. No part of a damaged file either.
        with warnings.catch_warnings(
            action="ignore", category=FutureWarning
        ):  # of xarray to cfgrib
            parts = cfgrib.open_datasets(
                str(path),
                backend_kwargs={"indexpath": "", "errors": "raise"},
                decode_timedelta=False,
            )
        fields = xr.merge(
            _told_apart([_grib_times(part) for part in parts]), compat="override", join="exact"
        )
        return _conformed(fields, y="latitude", x="longitude", crs=WGS84, path=path)
    except (eccodes.CodesInternalError, *_FOREIGN) as error:
        raise FormatError(f"{path}: cannot be read ({error}), expected {_EXPECTED}") from error


def _grib_times(part: xr.Dataset) -> xr.Dataset:
    """With valid times along ``time``; forecasts of several runs along run and lead instead."""
    if {"time", "step"} <= set(part.dims):
        lead = (part["step"] * 3600e9).astype("timedelta64[ns]")
        part = part.assign_coords(step=lead)
        return part.rename(time="forecast_reference_time", step="lead_time")
    valid = part["valid_time"]
    if "step" in part.dims:
        part = part.rename(time="forecast_reference_time").swap_dims(step="valid_time")
        return part.rename(valid_time="time")
    part = part.drop_vars("time").assign_coords(time=valid.variable)
    return part if "time" in part.dims else part.expand_dims("time")


def _told_apart(parts: list[xr.Dataset]) -> list[xr.Dataset]:
    """Without coordinates of levels and steps; fields of one name get their level behind it."""
    names = [str(name) for part in parts for name in part.data_vars]
    apart = []
    for part in parts:
        new = {}
        for name, field in part.data_vars.items():
            kind = field.attrs.get("GRIB_typeOfLevel", "level")
            height = part.coords.get(kind)
            level = kind if height is None or height.ndim else f"{kind} {float(height):g}"
            field.attrs["level"] = level
            if names.count(str(name)) > 1:
                new[name] = f"{name}_{level.replace(' ', '_')}"
        kept = {*part.dims, "forecast_reference_time"}
        part = part.drop_vars([name for name in part.coords if name not in kept])  # noqa: PLW2901
        apart.append(part.rename(new))
    return apart


def _netcdf(path: Path) -> xr.Dataset:
    backend: Any = xr.backends.NetCDF4BackendEntrypoint
    try:
        with xr.open_dataset(path, engine=backend, decode_timedelta=False) as file:
            y, x = (_axis(file, *kind, path=path) for kind in _AXES)
            crs, factor = _netcdf_crs(file, x=x, path=path)
            fields = file.assign_coords({y: file[y] * factor, x: file[x] * factor})
            if "valid_time" in fields.dims and "time" not in fields.dims:
                fields = fields.rename(valid_time="time")
            return _conformed(fields, y=y, x=x, crs=crs, path=path)
    except _FOREIGN as error:
        raise FormatError(f"{path}: cannot be read ({error}), expected {_EXPECTED}") from error


def _axis(
    file: xr.Dataset, standard_names: set[str], units: set[str], names: set[str], *, path: Path
) -> Hashable:
    """The dimension whose coordinate is of that kind."""
    for name in file.dims:
        if name in file.coords:
            said = file[name].attrs
            if said.get("standard_name") in standard_names or said.get("units") in units:
                return name
    for name in file.dims:
        if name in file.coords and str(name) in names:
            return name
    raise FormatError(
        f"{path}: dimensions {', '.join(map(str, file.dims))} without coordinate "
        f"{' or '.join(sorted(standard_names))}: curvilinear and unstructured grids are not read"
    )


def _netcdf_crs(file: xr.Dataset, *, x: Hashable, path: Path) -> tuple[pyproj.CRS, float]:
    """The projection, and how many metres (or degrees) one unit of the coordinates is."""
    mappings = {
        str(mapping)
        for field in file.variables.values()
        if (mapping := field.attrs.get("grid_mapping", field.encoding.get("grid_mapping")))
    }
    unit = str(file[x].attrs.get("units", ""))
    if not mappings and unit.startswith("degree"):
        return WGS84, 1.0
    if len(mappings) != 1 or (name := mappings.pop()) not in file.variables:
        raise FormatError(f"{path}: {len(mappings)} grid mappings, expected one that is there")
    crs, factor = projection(dict(file[name].attrs), path=path)
    return crs, 1000.0 if unit in {"km", "kilometer", "kilometre"} else factor


def _conformed(
    fields: xr.Dataset, *, y: Hashable, x: Hashable, crs: pyproj.CRS, path: Path
) -> xr.Dataset:
    """The numeric fields on the grid, in our order and names, loaded."""
    fields = fields.rename({y: "y", x: "x"})
    fields = fields[
        [
            n
            for n, v in fields.data_vars.items()
            if {"y", "x"} <= set(v.dims) and v.dtype.kind in "fiu"
        ]
    ]
    if not fields.data_vars:
        raise FormatError(f"{path}: no field on its grid, expected {_EXPECTED}")
    if fields.nbytes > _LIMIT:
        raise UnsafeFileError(
            f"{path}: declares {fields.nbytes} bytes, expected at most {_LIMIT}: not read"
        )
    if crs.is_geographic:
        fields = fields.assign_coords(x=_longitudes(fields["x"].values))
    fields = fields.sortby("x").sortby("y", ascending=False)
    fields = fields.rename({old: new for old, new in _NAMES.items() if old in fields.dims})
    kept = {*fields.dims, "forecast_reference_time", "time"}
    fields = fields.drop_vars([name for name in fields.coords if name not in kept])
    if "time" in fields.coords and not fields["time"].ndim:
        fields = fields.expand_dims("time")
    fields = fields.transpose(*_ORDER, missing_dims="ignore").load()
    try:
        grid = Grid.from_centres(crs, y=fields["y"].values, x=fields["x"].values)
    except SchemaError as error:
        raise FormatError(f"{path}: {error}") from error
    for field in fields.data_vars.values():
        field.attrs, field.encoding = _described(field.attrs), {}
    fields.attrs = {k: v for k, v in fields.attrs.items() if not str(k).startswith("GRIB_")}
    return fields.assign_coords(grid_coordinates(grid))


def _longitudes(degrees: NDArray[np.float64]) -> NDArray[np.float64]:
    """From -180 to 180, unless that would tear a grid apart that lies across the date line."""
    turned = (np.asarray(degrees, dtype=float) + 180.0) % 360.0 - 180.0
    steps = np.diff(np.sort(turned))
    return turned if np.ptp(steps) <= 0.01 * steps.mean() else np.asarray(degrees, dtype=float)


def _described(said: dict[str, Any]) -> dict[str, Any]:
    """Names and units, without GRIB's keys and its spelling of powers (m**2 s**-2)."""
    kept = {
        key: said[key] for key in ("standard_name", "long_name", "units", "level") if key in said
    }
    if kept.get("standard_name") == "unknown":
        del kept["standard_name"]
    kept["units"] = str(kept.get("units", "1")).replace("**", "")
    return kept | {"grid_mapping": "crs"}
