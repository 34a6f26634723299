"""Radar sequences for the nowcasters: tiny ones, and a crop of a real event."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np
import pyproj
import pytest

from nowcast.field import schema
from nowcast.field.grid import Grid
from nowcast.forecast.pysteps_quietly import quietly

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import ArrayLike, NDArray

STEP = np.timedelta64(5, "m")
START = np.datetime64("2015-05-15T16:00", "ns")


class RadarOf(Protocol):
    def __call__(self, rate: ArrayLike, *, infilled: ArrayLike | None = None) -> schema.Radar: ...


@pytest.fixture(scope="session")
def radar_of() -> RadarOf:
    """Makes a Radar of rates (T, H, W), every 5 min on a grid of 1 km."""

    def make(rate: ArrayLike, *, infilled: ArrayLike | None = None) -> schema.Radar:
        rates = np.asarray(rate, dtype=np.float32)
        grid = Grid(pyproj.CRS.from_epsg(3035), 4_000_000, 3_000_000, 1000, 1000, *rates.shape[1:])
        frames = schema.frames_dataset(
            rates,
            times=START + STEP * np.arange(len(rates)),
            grid=grid,
            attrs={"cadence_minutes": 5, "institution": "a service"},
        )
        if infilled is None:
            return schema.as_radar(frames)
        return schema.as_radar(frames.assign_coords(infilled=("time", np.asarray(infilled))))

    return make


@pytest.fixture(scope="session")
def storm() -> NDArray[np.float32]:
    """Five frames of 48x64 cells with ten cells of rain that move 1.5 right and 0.5 down a step."""
    y, x = np.mgrid[:48, :64]
    random = np.random.default_rng(7)
    places = random.uniform((-4, -8), (48, 64), size=(10, 2))
    peaks = random.uniform(2, 20, size=10)
    frames = [
        sum(
            peak * np.exp(-((y - row - 0.5 * t) ** 2 + (x - column - 1.5 * t) ** 2) / 18)
            for (row, column), peak in zip(places, peaks, strict=True)
        )
        for t in range(5)
    ]
    return np.stack(frames).astype(np.float32)


@pytest.fixture(scope="session")
def swiss_rates(shared_data: Path) -> NDArray[np.float32]:
    """Five frames (mm h-1) of 640x710 cells over Switzerland, 2015-05-15, read by pysteps."""
    with quietly():
        from pysteps.io import importers

        files = sorted((shared_data / "radar/mch/20150515").glob("*.gif"))[10:15]
        frames = [
            importers.import_mch_gif(str(path), product="AQC", unit="mm", accutime=5.0)[0]
            for path in files
        ]
    return np.stack(frames).astype(np.float32) * np.float32(12)


@pytest.fixture(scope="session")
def swiss_crop(swiss_rates: NDArray[np.float32]) -> NDArray[np.float32]:
    """A rainy part of it, all of it seen: (5, 96, 112)."""
    crop = swiss_rates[:, 260:356, 260:372]
    assert np.isfinite(crop).all()
    assert (crop[-1] >= 1).mean() > 0.02
    return crop
