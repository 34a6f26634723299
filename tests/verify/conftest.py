"""Small forecasts and frames on paper-sized grids, and pysteps' verification as an oracle."""

from __future__ import annotations

import contextlib
import importlib
import io
from typing import TYPE_CHECKING, Any

import numpy as np
import pyproj
import pytest

from nowcast.field.grid import Grid
from nowcast.field.schema import as_radar, forecast_dataset, frames_dataset

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

ISSUED = np.datetime64("2024-05-01T12:00", "ns")
STEP = np.timedelta64(5, "m")


def _grid(shape: tuple[int, int]) -> Grid:
    height, width = shape
    crs = pyproj.CRS.from_epsg(3035)
    return Grid(crs=crs, west=0, north=0, dx=1000, dy=1000, height=height, width=width)


@pytest.fixture(scope="session")
def observed_frames() -> Callable[..., Any]:
    """Frames (time, y, x) that begin one step after the issue time, as a DataArray."""

    def build(rate: Any, *, issued: np.datetime64 = ISSUED) -> Any:
        rate = np.asarray(rate, dtype=np.float32)
        times = issued + STEP * np.arange(1, len(rate) + 1)
        return frames_dataset(rate, times=times, grid=_grid(rate.shape[1:]))["rainfall_rate"]

    return build


@pytest.fixture(scope="session")
def forecast_of() -> Callable[..., Any]:
    """A forecast of rate (lead_time, y, x) with members, probabilities and decisions as given."""

    def build(
        rate: Any,
        *,
        source: str = "test",
        issued: np.datetime64 = ISSUED,
        members: Any = None,
        probability: dict[float, Any] | None = None,
        decision: Any = None,
    ) -> Any:
        rate = np.asarray(rate, dtype=np.float32)
        frame = frames_dataset(rate[:1] * 0, times=[issued], grid=_grid(rate.shape[1:]))
        past = as_radar(frame.assign_attrs(cadence_minutes=5.0))
        extra: dict[str, Any] = {}
        coords: dict[str, Any] = {}
        if members is not None:
            extra["rainfall_rate_member"] = (("realization", "lead_time", "y", "x"), members)
            coords["realization"] = np.arange(len(members))
        if probability is not None:
            values = np.stack([np.asarray(field) for field in probability.values()])
            extra["probability_of_exceedance"] = (("threshold", "lead_time", "y", "x"), values)
            coords["threshold"] = list(probability)
        if decision is not None:
            dims = ("threshold", "lead_time")[: np.ndim(decision)]
            extra["decision_probability"] = (dims, decision)
        return forecast_dataset(rate, past=past, source=source, extra=extra, coords=coords)

    return build


@pytest.fixture(scope="session")
def pysteps_verification() -> Callable[[str], ModuleType]:
    """A module of pysteps.verification, imported without its print."""

    def load(name: str) -> ModuleType:
        with contextlib.redirect_stdout(io.StringIO()):
            return importlib.import_module(f"pysteps.verification.{name}")

    return load
