"""Where the cells of a CF variable lie."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyproj

from nowcast.field.errors import FormatError
from nowcast.field.grid import WGS84, Grid
from nowcast.ingest.readers.cf_fit import fitted, fitted_to_coordinates
from nowcast.ingest.readers.projection import projection

if TYPE_CHECKING:
    from collections.abc import Hashable
    from pathlib import Path

    import xarray as xr
    from numpy.typing import NDArray

_AXES = {
    "y": {
        "names": {"y", "yc", "northing", "northings", "lat", "latitude", "rows", "row"},
        "standard": {"projection_y_coordinate", "latitude", "grid_latitude"},
        "units": {"degrees_north", "degree_north", "degrees_N", "degree_N", "degreesN", "degreeN"},
    },
    "x": {
        "names": {"x", "xc", "easting", "eastings", "lon", "longitude", "columns", "column", "col"},
        "standard": {"projection_x_coordinate", "longitude", "grid_longitude"},
        "units": {"degrees_east", "degree_east", "degrees_E", "degree_E", "degreesE", "degreeE"},
    },
}
_METRES = {
    **dict.fromkeys(("m", "metre", "metres", "meter", "meters"), 1.0),
    **dict.fromkeys(("km", "kilometre", "kilometres", "kilometer", "kilometers"), 1000.0),
}
_PROJECTION_ATTRS = ("crs_wkt", "spatial_ref", "proj4", "proj4_params", "proj4_string")
_GLOBAL_ATTRS = (*_PROJECTION_ATTRS, "proj_string", "projection", "projdef", "crs")
# How far stated coordinates may lie from 2-D latitudes and longitudes beside them.
_TOLERANCE_CELLS = 0.5


@dataclass(frozen=True)
class Layout:
    """How a variable's rows and columns map to a grid that is north first and west first."""

    grid: Grid
    y: Hashable
    x: Hashable
    south_first: bool
    east_first: bool


def horizontal_dims(
    dataset: xr.Dataset, variable: xr.DataArray
) -> tuple[Hashable, Hashable] | None:
    """The names of the dimensions of rows and columns, or None where there are none."""
    found = {
        axis: [dim for dim in variable.dims if _is_axis(dataset, dim, axis)] for axis in ("y", "x")
    }
    if len(found["y"]) == 1 and len(found["x"]) == 1:
        return found["y"][0], found["x"][0]
    places = _places(dataset, variable)
    if places is not None and set(places[0].dims) <= set(variable.dims):
        rows, columns = places[0].dims
        return rows, columns
    return None


def layout_of(dataset: xr.Dataset, variable: xr.DataArray, *, path: Path) -> Layout:
    """The grid of a variable that has rows and columns.

    The projection comes from the grid mapping, from other attributes that state one, from 1-D
    latitude and longitude, or else from 2-D ones, where a projection can be found in which they are
    evenly spaced. Raises FormatError where there is none, or where statements
    contradict, and SchemaError where the cells are not evenly spaced.
    """
    dims = horizontal_dims(dataset, variable)
    if dims is None:
        raise FormatError(f"{path}: {variable.name} has no rows and columns, expected y and x")
    rows, columns = dims
    if min(variable.sizes[rows], variable.sizes[columns]) < 2:
        raise FormatError(
            f"{path}: {variable.name} of {variable.sizes[rows]} x {variable.sizes[columns]} cells, "
            "expected at least 2 x 2"
        )
    places = _places(dataset, variable)
    if places is not None:
        places = places[0].transpose(rows, columns), places[1].transpose(rows, columns)
    crs, y, x = _coordinates(dataset, variable, dims=dims, places=places, path=path)
    south_first, east_first = bool(y[-1] > y[0]), bool(x[-1] < x[0])
    y, x = (y[::-1] if south_first else y), (x[::-1] if east_first else x)
    if crs.is_geographic and x[0] >= 180:
        x = x - 360.0
    grid = Grid.from_centres(crs, y=y, x=x)
    layout = Layout(grid, rows, columns, south_first, east_first)
    if places is not None:
        _check_places(layout, places, path=path)
    return layout


def _coordinates(
    dataset: xr.Dataset,
    variable: xr.DataArray,
    *,
    dims: tuple[Hashable, Hashable],
    places: tuple[xr.DataArray, xr.DataArray] | None,
    path: Path,
) -> tuple[pyproj.CRS, NDArray[np.float64], NDArray[np.float64]]:
    """Projection, y and x in metres or degrees, in the order of the file."""
    degrees = None if places is None else tuple(np.asarray(place, float) for place in places)
    stated = _stated_projection(dataset, variable)
    if any(dim not in dataset.variables for dim in dims):
        if degrees is None:
            raise FormatError(
                f"{path}: no coordinates {dims[0]} and {dims[1]}, nor 2-D latitude and longitude: "
                "where the cells lie is unknown"
            )
        crs = None if stated is None else projection(stated, path=path)[0]
        return fitted(degrees[0], degrees[1], crs=crs, path=path)
    y, x = (np.asarray(dataset[dim].values, dtype=float) for dim in dims)
    units = {str(dataset[dim].attrs.get("units", "")) for dim in dims}
    if _is_latlon(dataset, dims):
        crs = WGS84 if stated is None else projection(stated, path=path)[0]
        return (crs if crs.is_geographic else WGS84), y, x
    if stated is None:
        if degrees is None:
            raise FormatError(
                f"{path}: no projection of {dims[0]} and {dims[1]}, "
                "expected a grid mapping, or latitude and longitude"
            )
        return fitted_to_coordinates(degrees[0], degrees[1], y=y, x=x, path=path)
    crs, factor = projection(stated, path=path)
    if len(units) != 1 or not units <= {*_METRES, ""}:
        raise FormatError(
            f"{path}: coordinates in {' and '.join(sorted(units))}, expected m, km or degrees"
        )
    factor = _METRES.get(units.pop(), factor)
    return crs, y * factor, x * factor


def _stated_projection(dataset: xr.Dataset, variable: xr.DataArray) -> str | dict[str, Any] | None:
    """What the file says about the projection, as PROJ text or CF attributes."""
    mapping = variable.attrs.get("grid_mapping", variable.encoding.get("grid_mapping"))
    names = [str(mapping).split()[0].rstrip(":")] if mapping else []
    if not names:
        names = [str(n) for n in dataset.variables if "grid_mapping_name" in dataset[n].attrs]
    if len(names) == 1 and names[0] in dataset.variables:
        attrs = dataset[names[0]].attrs
        if "grid_mapping_name" in attrs or "crs_wkt" in attrs:
            return dict(attrs)
        for name in _PROJECTION_ATTRS:
            if attrs.get(name):
                return str(attrs[name])
    for attrs in (variable.attrs, dataset.attrs):
        for name in _GLOBAL_ATTRS:
            text = str(attrs.get(name, ""))
            if "+proj=" in text or "PROJ" in text or "EPSG:" in text.upper():
                return text
    return None


def _is_axis(dataset: xr.Dataset, dim: Hashable, axis: str) -> bool:
    known = _AXES[axis]
    if dim in dataset.variables:
        attrs = dataset[dim].attrs
        if attrs.get("axis") in ("X", "Y", "Z", "T"):
            return bool(attrs["axis"] == axis.upper())
        if attrs.get("standard_name") in known["standard"] or attrs.get("units") in known["units"]:
            return True
    return str(dim).lower() in known["names"] | known["standard"]


def _is_latlon(dataset: xr.Dataset, dims: tuple[Hashable, Hashable]) -> bool:
    words = ("latitude", "lat"), ("longitude", "lon")
    for dim, axis, names in zip(dims, ("y", "x"), words, strict=True):
        attrs = dataset[dim].attrs
        stated = (
            attrs.get("standard_name") == names[0] or attrs.get("units") in _AXES[axis]["units"]
        )
        if not stated and str(dim).lower() not in names:
            return False
    return True


def _places(
    dataset: xr.Dataset, variable: xr.DataArray
) -> tuple[xr.DataArray, xr.DataArray] | None:
    """2-D latitude and longitude of a variable's cells, where the file gives both."""
    found = {}
    for axis, word in (("y", "latitude"), ("x", "longitude")):
        known = _AXES[axis]
        for name in dataset.variables:
            place = dataset[name]
            attrs = place.attrs
            stated = attrs.get("standard_name") == word or attrs.get("units") in known["units"]
            called = str(name).lower() in (word, f"{word}s", word[:3], f"{word[:3]}s")
            if (stated or called) and place.ndim == 2 and set(place.dims) <= set(variable.dims):
                found[axis] = place
                break
    return (found["y"], found["x"]) if len(found) == 2 else None


def _check_places(layout: Layout, places: tuple[xr.DataArray, xr.DataArray], *, path: Path) -> None:
    """Holds some cells against the 2-D latitudes and longitudes that the file gives beside them."""
    latitudes, longitudes = (np.asarray(place, dtype=float) for place in places)
    if layout.south_first:
        latitudes, longitudes = latitudes[::-1], longitudes[::-1]
    if layout.east_first:
        latitudes, longitudes = latitudes[:, ::-1], longitudes[:, ::-1]
    grid = layout.grid
    rows, columns = (np.unique(np.linspace(0, n - 1, 9).astype(int)) for n in grid.shape)
    some = np.ix_(rows, columns)
    to_grid = pyproj.Transformer.from_crs(WGS84, grid.crs, always_xy=True)
    x, y = to_grid.transform(longitudes[some], latitudes[some])
    seen = np.isfinite(x) & np.isfinite(y)
    off_x = np.abs(x - grid.x[columns][np.newaxis]) / grid.dx
    off_y = np.abs(y - grid.y[rows][:, np.newaxis]) / grid.dy
    off = np.where(seen, np.maximum(off_x, off_y), 0.0).max()
    if off > _TOLERANCE_CELLS:
        raise FormatError(
            f"{path}: {layout.y} and {layout.x} lie up to {off:.1f} cells off the 2-D latitudes "
            f"and longitudes beside them, expected at most {_TOLERANCE_CELLS:g}: "
            "which is right is unknown"
        )
