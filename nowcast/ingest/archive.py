"""A folder of radar files as a source of sequences: gaps named, single ones filled, never dry."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from config.feed import UNKNOWN
from nowcast.field import schema
from nowcast.field.errors import (
    FormatError,
    FutureTimeError,
    GridMismatchError,
    MissingFramesError,
    UsageError,
)
from nowcast.ingest import decode, infill
from nowcast.ingest.cache import Frame, FrameCache
from nowcast.ingest.catalogue import CLOCK_TOLERANCE, Catalogue, Gap, Run, clock
from nowcast.ingest.digest import digest
from nowcast.ingest.window import nearest, plan, utc

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    import xarray as xr
    from numpy.typing import NDArray

    from config.feed import FeedProfile
    from nowcast.field.schema import Frames, Radar
    from nowcast.ingest.catalogue import Entry
    from nowcast.ingest.readers.base import Reader
    from nowcast.ingest.window import Between


@dataclass(frozen=True)
class Archive:
    """The frames of one feed in a folder, or in one file; scanned once, when first asked.

    Attributes:
        folder: where the files lie, at any depth.
        profile: the feed.
        series: which of several series in the folder; None takes the one with the most frames.
        now: what the clock says (UTC); None asks it.
        cache: decoded frames; ``dataclasses.replace(archive)`` scans anew and keeps them.
        listed: the frames, where they are known; None looks for them in the folder.

    """

    folder: Path
    profile: FeedProfile
    series: str | None = None
    now: np.datetime64 | None = None
    cache: FrameCache = field(default_factory=FrameCache, repr=False, compare=False)
    listed: Catalogue | None = None

    @cached_property
    def catalogue(self) -> Catalogue:
        """Which frames there are; raises MissingFramesError where there is none."""
        if self.listed is not None:
            return self.listed
        return Catalogue.scan(self.folder, self.profile, series=self.series, now=self.now)

    @property
    def times(self) -> NDArray[np.datetime64]:
        """The valid times (UTC) of all frames, ascending."""
        return self.catalogue.times

    @property
    def latest(self) -> np.datetime64:
        """The time of the newest frame that is not ahead of the clock."""
        newest: np.datetime64 = self.times[-1]
        return newest

    @cached_property
    def cadence(self) -> np.timedelta64:
        """The time between frames: the feed's, or the most common one of the folder."""
        if self.profile.cadence_minutes is not None:
            return np.timedelta64(round(self.profile.cadence_minutes * 60e9), "ns")
        if self.catalogue.spacing is None:
            raise MissingFramesError(
                f"{self.folder}: one frame of feed {self.profile.name}, which states no cadence: "
                f"2 frames are needed to tell the time step"
            )
        return self.catalogue.spacing

    def gaps(self) -> tuple[Gap, ...]:
        """Where frames are missing, oldest first."""
        return self.catalogue.gaps(self.cadence)

    def runs(self) -> tuple[Run, ...]:
        """The stretches without a gap, oldest first."""
        return self.catalogue.runs(self.cadence)

    def read(self, *, end: np.datetime64, frames: int) -> Radar:
        """At most ``frames`` frames, evenly spaced, the last at ``end``.

        One missing frame between two others is made of both and flagged in the coordinate
        ``infilled (time)``; two in a row cut the history short. Either is told in the attribute
        ``degraded_reason``. Rates above the feed's ``maximum_rate_mm_h`` are taken for it: radars
        read hail and clutter as thousands of mm/h, and one such cell would outweigh a field.

        Raises FutureTimeError, MissingFramesError (no frame at ``end``), GridMismatchError, and
        what the reader raises for a broken file.
        """
        if frames < 1:
            raise UsageError(f"a sequence of {frames} frames, expected at least 1")
        newest = self._newest(end)
        window = plan(self.catalogue, newest, step=self.cadence, frames=frames)
        rates, used = [], set[int]()
        for slot in window.slots:
            indices = (slot,) if isinstance(slot, int) else slot
            pair = [self._rate(index, like=newest) for index in indices]
            rates.append(pair[0] if isinstance(slot, int) else self._infilled(slot, pair))
            used.update(indices)
        dataset = schema.frames_dataset(
            np.stack(rates),
            times=window.times,
            grid=self._frame(newest).grid,
            attrs=self._attrs(used, like=newest, degraded=window.degraded),
        )
        flags = [not isinstance(slot, int) for slot in window.slots]
        described = {"long_name": "made of its neighbours, as the frame was missing"}
        return schema.as_radar(dataset.assign_coords(infilled=("time", flags, described)))

    def observed(self, times: Sequence[np.datetime64] | NDArray[np.datetime64]) -> xr.DataArray:
        """What was seen: rain rate (mm h-1), (time, y, x), at ascending times.

        A frame that is missing, or has not come yet, is all NaN; none is filled. Raises
        MissingFramesError where not one of the times has a frame.
        """
        wanted = np.asarray(times, dtype="datetime64[ns]")
        indices = [self._index(time) for time in wanted]
        there = [index for index in indices if index is not None]
        if not there:
            raise MissingFramesError(
                f"{self.folder}: no frame of feed {self.profile.name} from {utc(wanted[0])} "
                f"to {utc(wanted[-1])}; there are {self._extent()}"
            )
        grid = self._frame(there[0]).grid
        stack = np.full((wanted.size, *grid.shape), np.nan, dtype=np.float32)
        for position, index in enumerate(indices):
            if index is not None:
                stack[position] = self._rate(index, like=there[0])
        return schema.frames_dataset(stack, times=wanted, grid=grid)["rainfall_rate"]

    def frames_between(
        self, start: np.datetime64, stop: np.datetime64, *, every: int = 1
    ) -> Frames:
        """The frames from ``start`` to ``stop``, both included, as they are: gaps stay gaps.

        All of them, or one of ``every`` so many; the others are not read. Raises
        MissingFramesError where there is none, GridMismatchError, and FormatError.
        """
        inside = np.flatnonzero((self.times >= start) & (self.times <= stop))[::every].tolist()
        if not inside:
            raise MissingFramesError(
                f"{self.folder}: no frame of feed {self.profile.name} from {utc(start)} to "
                f"{utc(stop)}; there are {self._extent()}"
            )
        rates = np.stack([self._rate(index, like=inside[-1]) for index in inside])
        grid, attrs = self._frame(inside[-1]).grid, self._attrs(inside, like=inside[-1])
        return schema.frames_dataset(rates, times=self.times[inside], grid=grid, attrs=attrs)

    @cached_property
    def _reader(self) -> Reader:
        return decode.reader_of(self.profile)

    def _newest(self, end: np.datetime64) -> int:
        """The frame that stands for ``end``."""
        now = clock() if self.now is None else self.now
        if end > now + CLOCK_TOLERANCE:
            raise FutureTimeError(
                f"{utc(end)} has not come yet: the clock says {utc(now)}; "
                f"the newest frame of feed {self.profile.name} is of {utc(self.latest)}"
            )
        index = self._index(end)
        if index is None:
            after = int(np.searchsorted(self.times, end))
            near = [utc(self.times[i]) for i in (after - 1, after) if 0 <= i < self.times.size]
            raise MissingFramesError(
                f"{self.folder}: no frame of feed {self.profile.name} at {utc(end)}; "
                f"the nearest: {' and '.join(near)}"
            )
        return index

    def _index(self, time: np.datetime64) -> int | None:
        return nearest(self.catalogue, time, step=self.cadence)

    def _rate(self, index: int, *, like: int) -> NDArray[np.float32]:
        """The rain rate of a frame that lies on the same grid as another one."""
        frame, other = self._frame(index), self._frame(like)
        if not frame.grid.same_as(other.grid):
            entries = self.catalogue.entries
            raise GridMismatchError(
                f"{entries[index].path}: the frame of {utc(self.times[index])} lies on "
                f"{frame.grid}; expected {other.grid}, as in {entries[like].path.name}"
            )
        return frame.rate

    def _frame(self, index: int) -> Frame:
        """A frame, decoded or remembered."""
        entry, time = self.catalogue.entries[index], self.times[index]
        kept = self.cache.get((entry, time))
        return self._decoded(entry, time) if kept is None else kept

    def _decoded(self, entry: Entry, time: np.datetime64) -> Frame:
        """The frame of ``time``; the others of its file are remembered beside it."""
        frames = self._reader.read(entry.path, stamp=time if entry.named else None)
        grid, stamps = schema.grid_of(frames), frames["time"].values
        if time not in stamps:
            held = ", ".join(utc(stamp) for stamp in stamps[:4])
            raise FormatError(f"{entry.path}: no frame of {utc(time)} inside, only of {held}")
        # The nearest last: where there is no room for all, they are what will be asked for next.
        for position in np.argsort(-np.abs(stamps - time), kind="stable"):
            # A copy, for a view would keep the frames beside it in memory.
            rate = frames["rainfall_rate"].values[position].copy()
            if self.profile.maximum_rate_mm_h is not None:
                np.minimum(rate, self.profile.maximum_rate_mm_h, out=rate)
            frame = Frame(rate, grid, frames.attrs)
            self.cache.put((entry, stamps[position]), frame)
        return frame

    def _infilled(self, pair: Between, rates: list[NDArray[np.float32]]) -> NDArray[np.float32]:
        key = tuple((self.catalogue.entries[index], self.times[index]) for index in pair)
        kept = self.cache.get(key)
        if kept is None:
            newer = self._frame(pair.newer)
            kept = Frame(infill.between(*rates), newer.grid, newer.attrs)
            self.cache.put(key, kept)
        return kept.rate

    def _attrs(self, used: Iterable[int], *, like: int, degraded: str = "") -> dict[str, Any]:
        """What the reader says of the newest frame, what the profile says, and what was used."""
        paths = {self.catalogue.entries[index].path for index in used}
        profile = self.profile
        said = {
            "feed": profile.name,
            "series": self.catalogue.series,
            "institution": "" if profile.institution == UNKNOWN else profile.institution,
            "licence": profile.licence,
            "references": profile.references,
            "degraded_reason": degraded,
            "cadence_minutes": float(self.cadence / np.timedelta64(1, "m")),
            "source_files": ", ".join(sorted(path.name for path in paths)),
            "input_sha256": digest(paths),
        }
        return self._frame(like).attrs | {name: value for name, value in said.items() if value}

    def _extent(self) -> str:
        return f"{self.times.size} from {utc(self.times[0])} to {utc(self.latest)}"
