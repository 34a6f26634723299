"""The projection of a grid of which only latitudes and longitudes are known."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyproj

from nowcast.field.errors import FormatError
from nowcast.field.grid import WGS84

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

# What weather services map their radars in.
_KNOWN = (
    "+proj=stere +lat_0=90 +lat_ts=60 +lon_0=10 +a=6370040 +b=6370040 +units=m",  # DWD RADOLAN
    "+proj=stere +lat_0=90 +lat_ts=60 +lon_0=10 +ellps=WGS84 +units=m",  # DWD DE1200
    "+proj=stere +lat_0=90 +lat_ts=60 +lon_0=0 +a=6378137 +b=6356752 +units=m",  # KNMI
    "+proj=stere +lat_0=90 +lat_ts=60 +lon_0=14 +ellps=bessel +units=m",  # SMHI
    "+proj=stere +lat_0=45 +lon_0=0 +ellps=WGS84 +units=m",  # Meteo-France
    "+proj=laea +lat_0=55 +lon_0=10 +ellps=WGS84 +units=m",  # OPERA
    "+proj=lcc +lat_0=63 +lat_1=63 +lat_2=63 +lon_0=15 +R=6371000 +units=m",  # MET Norway
    "EPSG:3035",
    "EPSG:3067",
    "EPSG:21781",
    "EPSG:2056",
    "EPSG:27700",
    "EPSG:2154",
    "EPSG:31370",
)
# Latitudes and longitudes are often float32, good to half a metre.
_TOLERANCE_CELLS = 0.02
_SAMPLES = 33

Coordinates = tuple[pyproj.CRS, "NDArray[np.float64]", "NDArray[np.float64]"]


def fitted(
    latitude: NDArray[np.float64],
    longitude: NDArray[np.float64],
    *,
    crs: pyproj.CRS | None,
    path: Path,
) -> Coordinates:
    """Projection, y and x (m or degrees) of cells at 2-D latitudes and longitudes.

    ``crs`` is the projection where it is known. Otherwise longitude and latitude themselves are
    tried, then the projections of weather services, then some centred on the grid. Raises
    FormatError where the cells are evenly spaced, to a fiftieth of a cell, in none.
    """
    best = np.inf
    for candidate in [crs] if crs is not None else _candidates(latitude, longitude):
        y, x, off = _fit(latitude, longitude, candidate)
        if off <= _TOLERANCE_CELLS:
            return candidate, y, x
        best = min(best, off)
    raise FormatError(
        f"{path}: 2-D latitudes and longitudes that are evenly spaced in no projection tried "
        f"({best:.2g} cells off at best), expected at most {_TOLERANCE_CELLS:g}: "
        "the file should state a grid mapping"
    )


def fitted_to_coordinates(
    latitude: NDArray[np.float64],
    longitude: NDArray[np.float64],
    *,
    y: NDArray[np.float64],
    x: NDArray[np.float64],
    path: Path,
) -> Coordinates:
    """Projection, y and x in metres, of coordinates whose projection and unit are not stated.

    The latitudes and longitudes tell which projection of a weather service, and whether metres or
    kilometres, puts the cells there; where none does, ``y`` and ``x`` are forgotten.
    """
    rows, columns = _some(latitude.shape)
    for candidate in (pyproj.CRS.from_user_input(text) for text in _KNOWN):
        east, north = _projected(latitude, longitude, candidate, rows, columns)
        for factor in (1.0, 1000.0):
            off_x = np.abs(east - x[columns] * factor).max() / abs((x[1] - x[0]) * factor)
            off_y = np.abs(north - y[rows, np.newaxis] * factor).max()
            off_y /= abs((y[1] - y[0]) * factor)
            if max(off_x, off_y) <= _TOLERANCE_CELLS:
                return candidate, y * factor, x * factor
    return fitted(latitude, longitude, crs=None, path=path)


def _candidates(
    latitude: NDArray[np.float64], longitude: NDArray[np.float64]
) -> Iterator[pyproj.CRS]:
    yield WGS84
    for text in _KNOWN:
        yield pyproj.CRS.from_user_input(text)
    row, column = latitude.shape[0] // 2, latitude.shape[1] // 2
    lat, lon = float(latitude[row, column]), float(longitude[row, column])
    # Columns of a polar stereographic grid point to the pole where the meridian is lon_0 only.
    reach = max(1, row // 2)
    south, north = min(row + reach, latitude.shape[0] - 1), row - reach
    ends = pyproj.Geod(ellps="WGS84").inv(
        longitude[south, column],
        latitude[south, column],
        longitude[north, column],
        latitude[north, column],
    )
    # The bearing in the middle is the mean of those at the ends.
    bearing = float(np.mean([(azimuth + 90) % 180 - 90 for azimuth in ends[:2]]))
    pole = 1 if lat >= 0 else -1
    meridian = round(lon - pole * bearing, 1)
    yield pyproj.CRS.from_user_input(
        f"+proj=stere +lat_0={90 * pole} +lat_ts={60 * pole} +lon_0={meridian} +ellps=WGS84"
    )
    for name in ("tmerc", "laea", "aeqd", "stere"):
        yield pyproj.CRS.from_user_input(
            f"+proj={name} +lat_0={lat:.4f} +lon_0={lon:.4f} +ellps=WGS84 +units=m"
        )
    yield pyproj.CRS.from_user_input(
        f"+proj=lcc +lat_0={lat:.4f} +lat_1={lat:.4f} +lon_0={lon:.4f} +ellps=WGS84 +units=m"
    )


def _fit(
    latitude: NDArray[np.float64], longitude: NDArray[np.float64], crs: pyproj.CRS
) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    """Y and x of the even grid nearest to the cells, and how many cells they lie off it at most."""
    rows, columns = _some(latitude.shape)
    east, north = _projected(latitude, longitude, crs, rows, columns)
    height, width = latitude.shape
    if not (np.isfinite(east).all() and np.isfinite(north).all()):
        return np.empty(height), np.empty(width), np.inf
    dx, west = np.polyfit(columns, east.mean(axis=0), 1)
    dy, top = np.polyfit(rows, north.mean(axis=1), 1)
    if dx == 0 or dy == 0:
        return np.empty(height), np.empty(width), np.inf
    off_x = np.abs(east - (west + dx * columns)).max() / abs(dx)
    off_y = np.abs(north - (top + dy * rows[:, np.newaxis])).max() / abs(dy)
    y, x = top + dy * np.arange(height), west + dx * np.arange(width)
    return y, x, float(max(off_x, off_y))


def _some(shape: tuple[int, ...]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Rows and columns that stand for all, corners among them."""
    rows, columns = (np.unique(np.linspace(0, n - 1, _SAMPLES).astype(np.intp)) for n in shape)
    return rows, columns


def _projected(
    latitude: NDArray[np.float64],
    longitude: NDArray[np.float64],
    crs: pyproj.CRS,
    rows: NDArray[np.intp],
    columns: NDArray[np.intp],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    to_crs = pyproj.Transformer.from_crs(WGS84, crs, always_xy=True)
    some = np.ix_(rows, columns)
    east, north = to_crs.transform(longitude[some], latitude[some])
    return np.asarray(east), np.asarray(north)
