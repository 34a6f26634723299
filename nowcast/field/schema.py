"""The conventions of our datasets, and the only place where Frames, Radar and Forecast are made.

================  ==================================================================================
``Frames``        what a reader gives: rainfall_rate (time, y, x), times ascending, any spacing
``Radar``         Frames evenly spaced in time: a sequence that a nowcaster takes
``Forecast``      rainfall_rate (lead_time, y, x) and what stands beside it
================  ==================================================================================

In all of them rain is in mm h-1 as float32, NaN is unseen and 0 is dry, times are UTC, y descends
and x ascends in metres (degrees on a lat/lon grid), and ``crs`` is a scalar variable that holds the
projection as CF attributes. A coordinate ``infilled (time)`` says which frames were made up from
their neighbours.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, NewType

import numpy as np
import pyproj
import xarray as xr
from pyproj.exceptions import CRSError

from nowcast.field.errors import SchemaError
from nowcast.field.grid import Grid
from nowcast.field.units import RATE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import ArrayLike, NDArray

Frames = NewType("Frames", xr.Dataset)
Radar = NewType("Radar", xr.Dataset)
Forecast = NewType("Forecast", xr.Dataset)

QUALITY_OBSERVED, QUALITY_INFILLED, QUALITY_OUTSIDE = 0, 1, 2
CELL_DIMS = ("y", "x")

_RATE_ATTRS = {
    "standard_name": "rainfall_rate",
    "long_name": "rain rate",
    "units": RATE,
    "grid_mapping": "crs",
    "cell_methods": "time: point",
}
_EXTRA_ATTRS: dict[str, dict[str, Any]] = {
    "rainfall_rate_member": {"long_name": "rain rate of an ensemble member"},
    "probability_of_exceedance": {
        "long_name": "probability that the rain rate reaches the threshold",
        "units": "1",
    },
    "decision_probability": {
        "long_name": "probability from which on rain at the threshold is said",
        "units": "1",
    },
    "motion_x": {"long_name": "motion of the echoes towards increasing x", "units": "m s-1"},
    "motion_y": {"long_name": "motion of the echoes towards increasing y", "units": "m s-1"},
    "rainfall_rate_from_differences": {
        "long_name": "rain rate that the difference memory adds: growth above 0, decay below",
        "units": RATE,
    },
    "growth": {"long_name": "growth of the rain rate along the motion", "units": "mm h-1 h-1"},
    "quality_flag": {
        "standard_name": "quality_flag",
        "long_name": "what the forecast rests on",
        "flag_values": np.array([0, 1, 2], dtype=np.int8),
        "flag_meanings": "observed infilled outside",
    },
}


def frames_dataset(
    rate_mm_h: ArrayLike,
    *,
    times: Sequence[np.datetime64] | NDArray[np.datetime64],
    grid: Grid,
    attrs: Mapping[str, Any] | None = None,
) -> Frames:
    """Frames of ``rate_mm_h`` (time, y, x) at UTC ``times`` on ``grid``; sorted by time, float32.

    NaN is unseen, 0 is dry. Raises SchemaError where shapes do not fit, or a rate is negative or
    infinite.
    """
    rate = np.asarray(rate_mm_h, dtype=np.float32)
    stamps = np.asarray(times, dtype="datetime64[ns]")
    if rate.shape != (stamps.size, *grid.shape):
        raise SchemaError(
            f"rain rates of shape {rate.shape}, expected {(stamps.size, *grid.shape)} on {grid}"
        )
    order = np.argsort(stamps, kind="stable")
    if not np.array_equal(order, np.arange(stamps.size)):
        rate, stamps = rate[order], stamps[order]
    dataset = xr.Dataset(
        {"rainfall_rate": (("time", "y", "x"), rate, dict(_RATE_ATTRS))},
        coords={"time": ("time", stamps, {"standard_name": "time"}), **grid_coordinates(grid)},
        attrs=dict(attrs or {}),
    )
    return as_frames(dataset)


def as_frames(dataset: xr.Dataset) -> Frames:
    """The dataset as Frames, or a SchemaError that says what is wrong."""
    _check_rate(dataset, ("time", "y", "x"))
    _check_grid(dataset)
    times = dataset["time"].values
    if not np.issubdtype(times.dtype, np.datetime64):
        raise SchemaError(f"time of type {times.dtype}, expected datetime64 in UTC")
    if times.size == 0:
        raise SchemaError("no frames: time is empty")
    if np.isnat(times).any() or (np.diff(times) <= np.timedelta64(0)).any():
        raise SchemaError("times are not strictly ascending: sort the frames and drop duplicates")
    return Frames(dataset)


def as_radar(dataset: xr.Dataset) -> Radar:
    """The dataset as Radar (Frames evenly spaced), or a SchemaError that says what is wrong."""
    steps = np.diff(as_frames(dataset)["time"].values)
    if steps.size and (steps != steps[0]).any():
        minutes = sorted({float(s / np.timedelta64(60, "s")) for s in steps})
        raise SchemaError(f"frames {minutes} min apart, expected one cadence")
    return Radar(dataset)


def as_forecast(dataset: xr.Dataset) -> Forecast:
    """The dataset as Forecast, or a SchemaError that says what is wrong."""
    _check_rate(dataset, ("lead_time", "y", "x"))
    _check_grid(dataset)
    leads = dataset["lead_time"].values
    if not np.issubdtype(leads.dtype, np.timedelta64):
        raise SchemaError(f"lead_time of type {leads.dtype}, expected timedelta64")
    steps = np.diff(np.concatenate([[np.timedelta64(0, "ns")], leads]))
    if leads.size == 0 or (steps <= np.timedelta64(0)).any() or (steps != steps[0]).any():
        raise SchemaError("lead_time must be step, 2 step, 3 step, ...: the analysis is not in it")
    reference = dataset.coords.get("forecast_reference_time")
    if reference is None or reference.ndim != 0 or np.isnat(reference.values):
        raise SchemaError("no scalar coordinate forecast_reference_time")
    if not str(dataset.attrs.get("source", "")):
        raise SchemaError("no attribute source: say which nowcaster answered")
    for name in dataset.data_vars:
        if name not in {"rainfall_rate", "crs", *_EXTRA_ATTRS}:
            raise SchemaError(f"variable {name} is not part of a forecast: {sorted(_EXTRA_ATTRS)}")
    return Forecast(dataset)


def forecast_dataset(
    rate_mm_h: ArrayLike,
    *,
    past: Radar,
    source: str,
    extra: Mapping[str, tuple[tuple[str, ...], ArrayLike]] | None = None,
    coords: Mapping[str, ArrayLike] | None = None,
    attrs: Mapping[str, Any] | None = None,
) -> Forecast:
    """The Forecast of ``rate_mm_h`` (lead_time, y, x) that follows ``past``.

    ``extra`` maps the optional variables of the schema to (dims, values), ``coords`` their
    coordinates (``realization``, ``threshold``). ``source`` names the method that answered.
    """
    rate = np.asarray(rate_mm_h, dtype=np.float32)
    step, issued = cadence(past), issue_time(past)
    leads = step * np.arange(1, rate.shape[0] + 1)
    variables: dict[str, Any] = {
        "rainfall_rate": (("lead_time", "y", "x"), rate, dict(_RATE_ATTRS))
    }
    for name, (dims, values) in (extra or {}).items():
        described = dict(_EXTRA_ATTRS.get(name, {}))
        if name == "rainfall_rate_member":
            described = _RATE_ATTRS | described
        if set(CELL_DIMS) <= set(dims):
            described["grid_mapping"] = "crs"
        kind = np.int8 if name == "quality_flag" else np.float32
        variables[name] = (dims, np.asarray(values, dtype=kind), described)
    dataset = xr.Dataset(
        variables,
        coords={
            "lead_time": ("lead_time", leads, {"standard_name": "forecast_period"}),
            "forecast_reference_time": ((), issued, {"standard_name": "forecast_reference_time"}),
            "time": ("lead_time", issued + leads, {"standard_name": "time"}),
            **grid_coordinates(grid_of(past)),
            **_extra_coordinates(coords or {}),
        },
        attrs={**inherited(past), "source": source, **(attrs or {})},
    )
    return as_forecast(dataset)


def grid_coordinates(grid: Grid) -> dict[str, Any]:
    """The coordinates y, x and crs of a grid, with their CF attributes."""
    if grid.is_geographic:
        names = {"y": ("latitude", "degrees_north"), "x": ("longitude", "degrees_east")}
    else:
        names = {"y": ("projection_y_coordinate", "m"), "x": ("projection_x_coordinate", "m")}
    described = {
        axis: {"standard_name": name, "units": unit, "axis": axis.upper()}
        for axis, (name, unit) in names.items()
    }
    return {
        "y": ("y", grid.y, described["y"]),
        "x": ("x", grid.x, described["x"]),
        "crs": ((), np.int32(0), crs_attrs(grid)),
    }


def crs_attrs(grid: Grid) -> dict[str, Any]:
    """The attributes of a CF grid mapping, with ``crs_wkt`` and GDAL's ``GeoTransform``."""
    with warnings.catch_warnings():  # of Swiss grids, whose rectified angle crs_wkt alone can hold
        warnings.filterwarnings("ignore", message="angle from rectified to skew grid")
        described: dict[str, Any] = dict(grid.crs.to_cf())
    if described.get("grid_mapping_name") == "oblique_mercator":
        # The checker's name for what CF calls azimuth_of_central_line.
        described["azimuth"] = described["azimuth_of_central_line"]
    if described.get("grid_mapping_name") == "polar_stereographic":
        # CF wants the pole even where pyproj states a standard parallel alone.
        parallel = float(described.get("standard_parallel", 90.0))
        described.setdefault("latitude_of_projection_origin", 90.0 if parallel >= 0 else -90.0)
    described["GeoTransform"] = " ".join(f"{value:.12g}" for value in grid.geotransform)
    return described


def grid_of(dataset: xr.Dataset) -> Grid:
    """The grid of a dataset with y, x and crs."""
    if "crs" not in dataset.variables:
        raise SchemaError("no variable crs: the projection is unknown")
    attributes = dataset["crs"].attrs
    wkt = attributes.get("crs_wkt")
    try:
        crs = pyproj.CRS.from_wkt(wkt) if wkt else pyproj.CRS.from_cf(dict(attributes))
    except (CRSError, KeyError, ValueError, TypeError) as error:
        raise SchemaError(f"variable crs holds no projection: {error}") from error
    y, x = dataset["y"].values, dataset["x"].values
    grid = Grid.from_centres(crs, y=y, x=x) if min(y.size, x.size) > 1 else None
    if grid is None:
        raise SchemaError(f"a grid of {y.size} x {x.size} cells, expected at least 2 x 2")
    return grid


def cadence(past: Radar) -> np.timedelta64:
    """The time between frames; of a single frame the attribute ``cadence_minutes``."""
    times = past["time"].values
    if times.size > 1:
        step: np.timedelta64 = times[1] - times[0]
        return step
    minutes = past.attrs.get("cadence_minutes")
    if minutes is None:
        raise SchemaError("one frame and no attribute cadence_minutes: the time step is unknown")
    return np.timedelta64(round(float(minutes) * 60e9), "ns")


def issue_time(past: Radar) -> np.datetime64:
    """The time of the newest frame."""
    newest: np.datetime64 = past["time"].values[-1]
    return newest


def inherited(past: Radar) -> dict[str, Any]:
    """The attributes of a sequence that its forecasts keep."""
    kept = (
        "institution",
        "feed",
        "licence",
        "references",
        "history",
        "input_sha256",
        "degraded_reason",
        "simulated",
    )
    return {name: past.attrs[name] for name in kept if name in past.attrs}


def _extra_coordinates(coords: Mapping[str, ArrayLike]) -> dict[str, Any]:
    described: dict[str, Any] = {}
    for name, values in coords.items():
        if name == "realization":
            attributes = {"standard_name": "realization", "units": "1"}
            described[name] = (name, np.asarray(values, dtype=np.int32), attributes)
        elif name == "threshold":
            attributes = {"standard_name": "rainfall_rate", "units": RATE, "long_name": "threshold"}
            described[name] = (name, np.asarray(values, dtype=np.float32), attributes)
        else:
            raise SchemaError(
                f"coordinate {name} is not part of a forecast: realization, threshold"
            )
    return described


def _check_rate(dataset: xr.Dataset, dims: tuple[str, ...]) -> None:
    if "rainfall_rate" not in dataset:
        raise SchemaError(f"no rainfall_rate among {sorted(map(str, dataset.data_vars))}")
    rate = dataset["rainfall_rate"]
    if rate.dims != dims:
        raise SchemaError(f"rainfall_rate has dimensions {rate.dims}, expected {dims}")
    units = rate.attrs.get("units")
    if units != RATE:
        raise SchemaError(f"rainfall_rate units {units!r}, expected {RATE!r}")
    if rate.dtype != np.float32:
        raise SchemaError(f"rainfall_rate of type {rate.dtype}, expected float32")
    # One pass each, and NaN propagates through neither comparison.
    values = rate.values
    if values.size and (np.fmin.reduce(values, axis=None) < 0 or np.isposinf(values).any()):
        raise SchemaError("rainfall_rate holds negative or infinite values, expected NaN or >= 0")


def _check_grid(dataset: xr.Dataset) -> None:
    for name in ("y", "x"):
        if name not in dataset.coords:
            raise SchemaError(f"no coordinate {name}")
    if not (np.diff(dataset["y"].values) < 0).all():
        raise SchemaError("y must descend: north first")
    if not (np.diff(dataset["x"].values) > 0).all():
        raise SchemaError("x must ascend: west first")
    grid_of(dataset)
