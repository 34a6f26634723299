"""The valid times of a CF variable, and the interval of an accumulation."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from nowcast.field.errors import FormatError

if TYPE_CHECKING:
    from collections.abc import Hashable
    from pathlib import Path

    from numpy.typing import NDArray

MINUTES = {
    **dict.fromkeys(("s", "sec", "second", "seconds"), 1 / 60),
    **dict.fromkeys(("min", "minute", "minutes"), 1.0),
    **dict.fromkeys(("h", "hr", "hour", "hours"), 60.0),
    **dict.fromkeys(("d", "day", "days"), 1440.0),
}
_NAMES = {"time", "valid_time", "validity_time", "t"}
_INTERVAL = re.compile(r"interval:\s*([\d.]+)\s*([A-Za-z]+)")
_SECOND = np.timedelta64(1, "s")
_WOBBLE = np.timedelta64(10, "ms")


@dataclass(frozen=True)
class Times:
    """When a variable is valid.

    Attributes:
        dim: the dimension along which time runs; None for a field of one time.
        values: UTC, (1,) or (time,); empty where the file states no time.
        minutes: the interval of an accumulation, which ends at ``values``; None where unknown.

    """

    dim: Hashable | None
    values: NDArray[np.datetime64]
    minutes: float | None


def time_dim(dataset: xr.Dataset, variable: xr.DataArray) -> Hashable | None:
    """The dimension of a variable along which time runs, if there is one."""
    time = _time_variable(dataset, variable)
    if time is not None and time.dims:
        return time.dims[0]
    return next((dim for dim in variable.dims if str(dim).lower() in _NAMES), None)


def valid_times(
    dataset: xr.Dataset, variable: xr.DataArray, *, accumulated: bool, path: Path
) -> Times:
    """The valid times: of an accumulation the end of its interval, where the file gives bounds.

    The interval comes from the bounds of time, a start time, a cell method ("time: sum (interval: 5
    minutes)"), or else from even time steps. Raises FormatError on times that are none.
    """
    dim = time_dim(dataset, variable)
    time = _time_variable(dataset, variable)
    if time is None:
        return Times(dim, np.array([], dtype="datetime64[ns]"), None)
    values = _decoded(time, path=path)
    if not accumulated:
        return Times(dim, np.atleast_1d(values), None)
    spans = None
    bounds = dataset.get(str(time.attrs.get("bounds", "")))
    start = _start_variable(dataset, time)
    if bounds is not None:
        edges = _decoded(bounds, like=time, path=path)
        values, spans = edges[..., 1], edges[..., 1] - edges[..., 0]
    elif start is not None:
        spans = values - _decoded(start, path=path)
    values = np.atleast_1d(values)
    if spans is not None:
        return Times(dim, values, _even_minutes(spans))
    minutes = _method_minutes(variable)
    if minutes is None and values.size > 1:
        minutes = _even_minutes(np.diff(values))
    return Times(dim, values, minutes)


def _time_variable(dataset: xr.Dataset, variable: xr.DataArray) -> xr.DataArray | None:
    best, best_rank = None, (0, 0)
    for name in dataset.variables:
        time = dataset[name]
        if not _is_time(time) or len(time.dims) > 1 or not set(time.dims) <= set(variable.dims):
            continue
        named = time.attrs.get("standard_name")
        called = str(name).lower() in _NAMES or time.attrs.get("axis") == "T"
        rank = (2 if named == "time" else 1 if called and named is None else 0, len(time.dims))
        if rank[0] and rank > best_rank:
            best, best_rank = time, rank
    return best


def _start_variable(dataset: xr.Dataset, time: xr.DataArray) -> xr.DataArray | None:
    """A start time beside the valid time, as BOM writes it."""
    for name in dataset.variables:
        start = dataset[name]
        words = f"{name} {start.attrs.get('long_name', '')}".lower()
        if _is_time(start) and start.dims == time.dims and re.search(r"\bstart", words):
            return start
    return None


def _is_time(variable: xr.DataArray) -> bool:
    return " since " in str(variable.attrs.get("units", ""))


def _decoded(
    time: xr.DataArray, *, path: Path, like: xr.DataArray | None = None
) -> NDArray[np.datetime64]:
    described = (like if like is not None else time).attrs | time.attrs
    attrs = {name: described[name] for name in ("units", "calendar") if name in described}
    bare = xr.Dataset({"time_values": (time.dims, time.values, attrs)})
    try:
        values = xr.decode_cf(bare)["time_values"].values
    except (ValueError, OverflowError) as error:
        raise FormatError(f"{path}: times in {attrs} that cannot be read: {error}") from error
    if values.dtype.kind != "M" or np.isnat(values).any():
        raise FormatError(
            f"{path}: times in {attrs}, some of them missing or of a calendar that no radar has"
        )
    exact: NDArray[np.datetime64] = values.astype("datetime64[ns]")
    # Fractions of days hold a second only nearly.
    rounded = (exact + _SECOND / 2).astype("datetime64[s]").astype("datetime64[ns]")
    return rounded if (np.abs(exact - rounded) <= _WOBBLE).all() else exact


def _even_minutes(spans: NDArray[np.timedelta64]) -> float | None:
    minutes = np.unique(np.atleast_1d(spans) / np.timedelta64(1, "m"))
    return float(minutes[0]) if minutes.size == 1 and minutes[0] > 0 else None


def _method_minutes(variable: xr.DataArray) -> float | None:
    match = _INTERVAL.search(str(variable.attrs.get("cell_methods", "")))
    if match and match[2].lower() in MINUTES:
        return float(match[1]) * MINUTES[match[2].lower()]
    return None
