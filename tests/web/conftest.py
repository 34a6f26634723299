"""A folder of forecasts and frames, and a server of them on the loopback."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import uvicorn

from nowcast import build
from nowcast.field import schema
from nowcast.field.grid import Grid
from nowcast.products.netcdf import NetCdf, write_frames
from nowcast.web.app import Door
from nowcast.web.gallery import Gallery
from nowcast.web.library import library_of
from nowcast.web.observations import Observations
from nowcast.web.serve import server
from tests.products.forecast_samples import PROJECTIONS

ISSUED = np.datetime64("2026-06-01T12:00", "ns")
STEP = np.timedelta64(5, "m")
THRESHOLDS = (0.1, 0.3, 0.5, 1.0, 3.0, 5.0, 10.0, 30.0)
LEADS, HEIGHT, WIDTH = 6, 60, 50
FORECAST = "mim-20260601T1200Z"


def blob(row: float, column: float) -> np.ndarray:
    """A round storm (60 mm/h at its middle) on a field that ends, unseen, at column 45."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    rate = 60 * np.exp(-((y - row) ** 2 + (x - column) ** 2) / 40)
    rate[rate < 0.1] = 0
    rate[:, 45:] = np.nan
    return rate.astype(np.float32)


def grid() -> Grid:
    crs, west, north, size = PROJECTIONS["knmi"]
    return Grid(schema.pyproj.CRS(crs), west, north, size, size, HEIGHT, WIDTH)


@pytest.fixture(scope="session")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forecasts of two methods, and frames from an hour before to 15 min after their issue."""
    root = tmp_path_factory.mktemp("shelf")
    times = [ISSUED + step * STEP for step in range(-12, 4)]
    rates = {moment: blob(30, 15 + index) for index, moment in enumerate(times)}
    (root / "frames").mkdir()
    for moment, rate in rates.items():
        frames = schema.frames_dataset(rate[np.newaxis], times=[moment], grid=grid())
        name = f"{moment.astype('datetime64[s]').item():%Y%m%d%H%M}.nc"
        write_frames(frames, root / "frames" / name)
    past = schema.as_radar(
        schema.frames_dataset(
            np.stack([rates[moment] for moment in times[:13]]),
            times=times[:13],
            grid=grid(),
            attrs={"feed": "cf", "institution": "Test service", "licence": "CC BY 4.0"},
        )
    )
    rate = np.stack([blob(30, 28 + lead) for lead in range(LEADS)])
    reached = rate[np.newaxis] / np.array(THRESHOLDS)[:, None, None, None]
    chance = np.clip(reached / (1 + reached), 0, 1)
    motion = np.full((HEIGHT, WIDTH), 1000 / 300, np.float32)
    more = {
        "probability_of_exceedance": (("threshold", "lead_time", "y", "x"), chance),
        "rainfall_rate_from_differences": (("lead_time", "y", "x"), rate - 30),
        "motion_x": (("y", "x"), motion),
        "motion_y": (("y", "x"), 0 * motion),
    }
    for method, extra in (("mim", more), ("extrapolation", {})):
        forecast = schema.forecast_dataset(
            rate,
            past=past,
            source=f"{method}: for tests",
            extra=extra,
            coords={"threshold": THRESHOLDS} if extra else {},
        )
        (root / "forecasts" / method).mkdir(parents=True)
        NetCdf().write(forecast, into=root / "forecasts" / method)
    return root


@pytest.fixture(scope="session")
def gallery(shelf: Path) -> Gallery:
    return gallery_of(shelf, minutes=3)


def gallery_of(shelf: Path, *, minutes: float) -> Gallery:
    """What is on show so many minutes after issue; the clock stands still."""
    now = (ISSUED + np.timedelta64(round(minutes * 60), "s")).astype("datetime64[s]").item()
    archive = build.archive("cf", shelf / "frames")
    return Gallery(library_of(shelf / "forecasts"), Observations(archive), clock=lambda: now)


@dataclass(frozen=True)
class Served:
    """A server that runs: its address, and how to end it."""

    address: str
    stop: Callable[[], None]


def free_port() -> int:
    """A port of the loopback that nothing listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def served_plainly(folder: Path) -> Iterator[Served]:
    """A folder of files on a free port of the loopback, as any web server has it."""
    plain = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=folder))
    threading.Thread(target=plain.serve_forever, daemon=True).start()
    try:
        yield Served(f"http://127.0.0.1:{plain.server_port}", plain.shutdown)
    finally:
        plain.shutdown()
        plain.server_close()


@contextmanager
def served(gallery: Gallery, *, door: Door | None = None) -> Iterator[Served]:
    """The viewer on a free port of the loopback."""
    port = free_port()
    running: uvicorn.Server = server(gallery, host="127.0.0.1", port=port, door=door)
    thread = threading.Thread(target=running.run, daemon=True)
    thread.start()
    while not running.started:
        time.sleep(0.01)

    def stop() -> None:
        running.should_exit = True  # answers that are under way are sent
        thread.join(timeout=20)

    try:
        yield Served(f"http://127.0.0.1:{port}", stop)
    finally:
        stop()


@pytest.fixture(scope="session")
def site(gallery: Gallery) -> Iterator[Served]:
    with served(gallery) as running:
        yield running
