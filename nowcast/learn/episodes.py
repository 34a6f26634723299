"""Episodes: evenly spaced frames of one radar, with the motion at their issue times."""

from __future__ import annotations

import hashlib
import threading
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from nowcast.field import schema
from nowcast.field.atomic import written_beside
from nowcast.forecast.head import Sampling
from nowcast.forecast.motion import motion_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

MOTION_FRAMES = 4
# Learning needs the motion at hundreds of times: on large grids it is found between block means.
MOTION_CELLS = 600_000


@dataclass(frozen=True)
class Episode:
    """One sequence to learn from.

    Attributes:
        name: as progress and model cards show it.
        radar: the frames.
        history, leads: how many frames a sample has before (with) and after its issue time.
        least_leads: how many of the leads every sample has; 0 for half of them.
        store: a folder that keeps motions once found: on large grids they take minutes.
        from_step: of training, from which it is drawn on.

    """

    name: str
    radar: schema.Radar
    history: int
    leads: int
    store: Path | None = None
    from_step: int = 0
    least_leads: int = 0
    _motions: dict[int, NDArray[np.float16]] = field(default_factory=dict, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @property
    def rate_mm_h(self) -> NDArray[np.float32]:
        """All frames (time, y, x); NaN is unseen."""
        values: NDArray[np.float32] = self.radar["rainfall_rate"].values
        return values

    @cached_property
    def sampling(self) -> Sampling:
        """Its cadence and the size of its cells."""
        return Sampling.of(self.radar)

    @property
    def issues(self) -> range:
        """The frames to issue a sample at: with a history, and with as many leads as needed."""
        needed = _needed(self.leads, self.least_leads)
        return range(self.history - 1, self.radar.sizes["time"] - needed)

    def motion(self, issue: int) -> NDArray[np.float32]:
        """The motion (2, y, x) in cells a step, from the frames up to ``issue``; kept once made."""
        with self._lock:
            if issue not in self._motions:
                first = max(issue + 1 - MOTION_FRAMES, 0)
                past = schema.Radar(self.radar.isel(time=slice(first, issue + 1)))
                self._motions[issue] = self._stored(past) if self.store else _found(past)
            return self._motions[issue].astype(np.float32)

    def _stored(self, past: schema.Radar) -> NDArray[np.float16]:
        """The motion of exactly these frames from the store, where it is put if it is not there."""
        assert self.store is not None
        content = hashlib.blake2b(past["rainfall_rate"].values.tobytes(), digest_size=16)
        path = self.store / f"{content.hexdigest()}.npy"
        if not path.is_file():
            with written_beside(path) as beside, beside.open("wb") as file:
                np.save(file, _found(past))
        stored: NDArray[np.float16] = np.load(path, allow_pickle=False)
        return stored


def _needed(leads: int, least_leads: int) -> int:
    return least_leads or max(leads // 2, 1)


def _found(past: schema.Radar) -> NDArray[np.float16]:
    cells = past["rainfall_rate"][0].size
    block = max(round((cells / MOTION_CELLS) ** 0.5), 1)
    return motion_of(past, block=block).astype(np.float16)


def unseen_within(
    frames: schema.Frames, *, boxes: Sequence[tuple[float, float, float, float]]
) -> schema.Frames:
    """``frames`` with NaN in each box of (west, south, east, north), in degrees.

    What is to judge the weights must not be learnt from, also where a composite shows it.
    """
    if not boxes:
        return frames
    lon, lat = schema.grid_of(frames).lonlat()
    hidden = np.zeros(lon.shape, dtype=bool)
    for west, south, east, north in boxes:
        hidden |= (lon >= west) & (lon <= east) & (lat >= south) & (lat <= north)
    masked = frames.copy()
    masked["rainfall_rate"] = frames["rainfall_rate"].where(~xr.DataArray(hidden, dims=("y", "x")))
    return schema.Frames(masked)


def episodes_of(
    frames: schema.Frames,
    *,
    name: str,
    cadence: np.timedelta64,
    history: int,
    leads: int,
    least_leads: int = 0,
) -> Iterator[Episode]:
    """The unbroken runs at ``cadence`` among ``frames`` that are long enough to learn from."""
    times = frames["time"].values
    breaks = np.flatnonzero(np.diff(times) != cadence) + 1
    for run in np.split(np.arange(times.size), breaks):
        if run.size < history + _needed(leads, least_leads):
            continue
        radar = schema.as_radar(frames.isel(time=slice(run[0], run[-1] + 1)))
        yield Episode(name=name, radar=radar, history=history, leads=leads, least_leads=least_leads)
