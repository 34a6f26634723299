"""Small forecasts and frames of every kind, on every projection that the feeds use."""

from __future__ import annotations

import resource
from contextlib import contextmanager
from datetime import UTC, datetime

import numpy as np
import pyproj

from nowcast.field import schema
from nowcast.field.grid import Grid

# name: (CRS, west, north, cell size), with the corner near the service's own.
PROJECTIONS = {
    "knmi": (
        "+proj=stere +lat_0=90 +lon_0=0 +lat_ts=60 +a=6378137 +b=6356752",
        300e3,
        -3_900e3,
        1000.0,
    ),
    "fmi": ("+proj=stere +a=6371288 +lon_0=25E +lat_0=90N +lat_ts=60", 10e3, -3_200e3, 1000.0),
    "fmi-geotiff": ("EPSG:3067", 380e3, 6_700e3, 250.0),
    "mch": ("EPSG:21781", 600e3, 200e3, 1000.0),
    "bom": (
        "+proj=aea +lon_0=153.240 +lat_0=-27.718 +lat_1=-26.200 +lat_2=-29.300 "
        "+a=6378137 +rf=298.257222101",
        -20e3,
        30e3,
        500.0,
    ),
    "opera": (
        "+proj=laea +lat_0=55.0 +lon_0=10.0 +x_0=1950000.0 +y_0=-2100000.0 +ellps=WGS84",
        1_900e3,
        -2_600e3,
        2000.0,
    ),
    "dwd-radolan": (
        "+proj=stere +lat_0=90 +lat_ts=60 +lon_0=10 +a=6370040 +b=6370040",
        20e3,
        -4_100e3,
        1000.0,
    ),
    "dwd-rv": (
        "+proj=stere +lat_0=90 +lat_ts=60 +lon_0=10 +a=6378137 +b=6356752.3142451802 "
        "+x_0=543196.83521776402 +y_0=3622588.8619310018",
        400e3,
        -500e3,
        1000.0,
    ),
    "mrms": ("+proj=longlat +ellps=IAU76", -98.0, 36.0, 0.01),
    "meteonet": ("EPSG:4326", 2.0, 48.0, 0.01),
    "sphere": ("+proj=longlat +R=6371229", 10.0, 47.0, 0.02),
    "openmrg": ("+proj=aeqd +lat_0=57.7 +lon_0=11.97 +ellps=WGS84", -20e3, 20e3, 2000.0),
    "nimrod": ("EPSG:27700", 400e3, 300e3, 1000.0),
    "lambert": ("EPSG:2154", 650e3, 6_860e3, 1000.0),
    "south pole": ("+proj=stere +lat_0=-90 +lon_0=0 +lat_ts=-71 +ellps=WGS84", 0, 1_500e3, 1000.0),
}
NOON = np.datetime64("2015-05-15T12:00", "ns")


def clock() -> datetime:
    """A time of writing that never changes."""
    return datetime(2024, 2, 29, 23, 59, 58, tzinfo=UTC)


@contextmanager
def file_size_limit(size: int):
    """No file may grow beyond ``size`` bytes: a disk that is full, without being root."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def grid_of(name: str, *, height: int = 8, width: int = 9) -> Grid:
    """A small grid on one of PROJECTIONS."""
    crs, west, north, size = PROJECTIONS[name]
    return Grid(pyproj.CRS(crs), west, north, size, size, height, width)


def past(grid: Grid, *, frames: int = 2, minutes: float = 5) -> schema.Radar:
    """Frames that end at noon, with a corner that was not seen."""
    step = np.timedelta64(round(minutes * 60), "s")
    times = NOON - step * np.arange(frames)[::-1]
    rate = np.random.default_rng(7).gamma(0.5, 2.0, (frames, *grid.shape))
    rate[:, 0, :2] = np.nan
    made = schema.frames_dataset(
        rate,
        times=times,
        grid=grid,
        attrs={"institution": "Test service", "licence": "CC0-1.0", "feed": "test"},
    )
    return schema.as_radar(made)


def forecast(
    name: str = "knmi", *, kind: str = "plain", leads: int = 3, grid: Grid | None = None
) -> schema.Forecast:
    """A forecast issued at noon: ``plain``, ``full`` (all optional variables), ``ensemble`` or
    ``probability``.
    """
    grid = grid or grid_of(name)
    random = np.random.default_rng(11)

    def rain(*shape: int) -> np.ndarray:
        field = np.round(random.gamma(0.4, 3.0, (*shape, *grid.shape)), 2)
        field[..., -1, :] = np.nan
        field[..., 1, :] = 0
        return field

    members = ("realization", "lead_time", "y", "x")
    chances = ("threshold", "lead_time", "y", "x")
    extra = {
        "rainfall_rate_member": (members, rain(2, leads)),
        "probability_of_exceedance": (chances, random.random((3, leads, *grid.shape))),
        "decision_probability": (chances[:2], random.random((3, leads))),
        "motion_x": (("y", "x"), random.normal(0, 9, grid.shape)),
        "motion_y": (("y", "x"), random.normal(0, 9, grid.shape)),
        "growth": (("lead_time", "y", "x"), random.normal(0, 1, (leads, *grid.shape))),
        "quality_flag": (("y", "x"), random.integers(0, 3, grid.shape)),
    }
    coords = {"realization": [0, 1], "threshold": [0.1, 1.0, 10.0]}
    wanted = {
        "plain": (),
        "full": tuple(extra),
        "ensemble": ("rainfall_rate_member", "quality_flag"),
        "probability": ("probability_of_exceedance", "decision_probability"),
    }[kind]
    dims = {dim for variable in wanted for dim in extra[variable][0]}
    return schema.forecast_dataset(
        rain(leads),
        past=past(grid),
        source="persistence",
        extra={variable: extra[variable] for variable in wanted},
        coords={dim: values for dim, values in coords.items() if dim in dims},
        attrs={"input_sha256": "ab" * 32},
    )
