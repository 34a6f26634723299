"""Which frames a folder holds: found by name where the name tells, by content where it does not."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from stat import S_ISDIR, S_ISREG
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from nowcast.field.errors import FormatError, MissingFramesError, UnsafeFileError, UsageError
from nowcast.ingest import decode, walk
from nowcast.ingest.series import series_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from numpy.typing import NDArray

    from config.feed import FeedProfile
    from nowcast.ingest.readers.base import Reader

OTHER = "files of other products"
SERIES = "frames of other series"
UNREADABLE = "files that hold no frame that can be read"
MISNAMED = "names that hold no valid time"
DUPLICATE = "frames that a newer file gives too"
AHEAD = "frames ahead of the clock"
# A clock and a radar may disagree by this much before a time counts as one that has not come yet.
CLOCK_TOLERANCE = np.timedelta64(2, "m")
_EXAMPLES = 3


class Entry(NamedTuple):
    """Where a frame is: its file, when that was written, and whether its name gives the time."""

    written_ns: int
    path: Path
    named: bool


class Gap(NamedTuple):
    """Frames that are missing between two that are there."""

    after: np.datetime64
    before: np.datetime64
    missing: int


class Run(NamedTuple):
    """Frames without a gap, from ``start`` to ``stop``, both included."""

    start: np.datetime64
    stop: np.datetime64
    frames: int


@dataclass(frozen=True)
class Ignored:
    """What a scan left aside for one reason: how many, and the names of a few."""

    reason: str
    count: int
    examples: tuple[str, ...]

    def __str__(self) -> str:
        """As a line of a report."""
        more = ", ..." if self.count > len(self.examples) else ""
        return f"{self.count} {self.reason} ({', '.join(self.examples)}{more})"


@dataclass(frozen=True)
class Catalogue:
    """The frames of one series of one feed, by valid time.

    Attributes:
        folder: where they were looked for.
        series: what tells them from other series of the feed; empty where a feed has but one.
        times: valid times (UTC), ascending, no two alike.
        entries: where the frame of each time is.
        others: the series that were not taken, and how many frames each has.
        ignored: what was left aside, one item a reason.

    """

    folder: Path
    series: str
    times: NDArray[np.datetime64]
    entries: tuple[Entry, ...]
    others: dict[str, int] = field(default_factory=dict)
    ignored: tuple[Ignored, ...] = ()

    @classmethod
    def scan(
        cls,
        folder: Path,
        profile: FeedProfile,
        *,
        series: str | None = None,
        now: np.datetime64 | None = None,
    ) -> Catalogue:
        """The feed's frames in a folder at any depth, or in one file.

        Of several series the one with the most frames is taken, the first by name among equals,
        unless ``series`` names one (a part that fits one alone is enough). Of two files for one
        time the one written last is taken. Raises MissingFramesError where no frame is found, and
        UsageError where no series fits.
        """
        limit = (clock() if now is None else now.astype("datetime64[ns]")) + CLOCK_TOLERANCE
        scan = _Scan(profile, limit)
        for path in walk.files(folder, leave=scan.leave):
            scan.look_at(path)
        if not scan.found:
            raise MissingFramesError(scan.nothing(folder))
        chosen = scan.choose(series)
        frames = sorted(scan.found.pop(chosen).items())
        return cls(
            folder=folder,
            series=chosen,
            times=np.array([time for time, _ in frames], dtype="datetime64[ns]"),
            entries=tuple(entry for _, entry in frames),
            others={name: len(files) for name, files in sorted(scan.found.items())},
            ignored=scan.ignored(),
        )

    def index(self, time: np.datetime64, *, within: np.timedelta64) -> int | None:
        """Which frame stands for ``time``: the nearest one that lies ``within`` it, if any."""
        after = int(np.searchsorted(self.times, time))
        near = [i for i in (after - 1, after) if 0 <= i < self.times.size]
        best = min(near, key=lambda i: abs(self.times[i] - time), default=None)
        return best if best is not None and abs(self.times[best] - time) <= within else None

    @cached_property
    def spacing(self) -> np.timedelta64 | None:
        """The most common time between frames, the shorter one among equals; None for one frame."""
        counts = Counter(np.diff(self.times).tolist())
        if not counts:
            return None
        return np.timedelta64(max(counts, key=lambda step: (counts[step], -step)), "ns")

    def gaps(self, step: np.timedelta64) -> tuple[Gap, ...]:
        """Where frames are missing that a cadence of ``step`` would give."""
        waits = np.round(np.diff(self.times) / step).astype(int)
        return tuple(
            Gap(self.times[i], self.times[i + 1], int(waits[i] - 1))
            for i in np.flatnonzero(waits > 1)
        )

    def runs(self, step: np.timedelta64) -> tuple[Run, ...]:
        """The stretches of frames without a gap, in order of time."""
        breaks = np.flatnonzero(np.round(np.diff(self.times) / step) > 1) + 1
        parts = np.split(self.times, breaks)
        return tuple(Run(part[0], part[-1], part.size) for part in parts)


def clock() -> np.datetime64:
    """Now, in UTC."""
    return np.datetime64(datetime.now(UTC).replace(tzinfo=None), "ns")


@dataclass
class _Scan:
    """What has been found so far: series -> time -> frame."""

    profile: FeedProfile
    limit: np.datetime64
    found: dict[str, dict[np.datetime64, Entry]] = field(default_factory=dict)
    left: dict[str, list[str]] = field(default_factory=dict)
    seen: int = 0

    @cached_property
    def reader(self) -> Reader:
        # Not made where names tell all: its libraries may be slow to load.
        return decode.reader_of(self.profile)

    def leave(self, reason: str, name: str) -> None:
        self.left.setdefault(reason, []).append(name)

    def look_at(self, path: Path) -> None:
        """Find out what frames a file gives: from its name, or else from its content."""
        self.seen += 1
        match = self.profile.match(path.name)
        if match is not None and self.profile.time_format:
            time = decode.valid_time(self.profile, match)
            if time is None:
                self.leave(MISNAMED, path.name)
            else:
                self.add(path, [time], series=self.profile.series(match), named=True)
        elif match is not None or (self.profile.is_generic and self.reader.matches(path)):
            self.look_into(path, self.profile.series(match) if match else None)
        else:
            self.leave(OTHER, path.name)

    def look_into(self, path: Path, series: str | None) -> None:
        """Ask the file for its times, and for its series where the name does not tell."""
        try:
            times = self.reader.times(path)
            if series is None:
                series = series_of(path, self.profile)
        except (FormatError, UnsafeFileError):
            # It matters only where a frame is needed that it might hold; the count tells of it.
            return self.leave(UNREADABLE, path.name)
        if series is None:
            return self.leave(OTHER, path.name)
        return self.add(path, times, series=series, named=False)

    def add(self, path: Path, times: Iterable[np.datetime64], *, series: str, named: bool) -> None:
        try:
            state = path.stat()
        except OSError:
            return self.leave(UNREADABLE, path.name)
        if not (S_ISREG(state.st_mode) or S_ISDIR(state.st_mode)):
            # A pipe or a device would be waited on for ever.
            return self.leave(UNREADABLE, path.name)
        for time in times:
            if time > self.limit:
                self.leave(AHEAD, path.name)
                continue
            frames = self.found.setdefault(series, {})
            candidate = Entry(state.st_mtime_ns, path, named)
            if time in frames:
                older, candidate = sorted((frames[time], candidate))
                self.leave(DUPLICATE, older.path.name)
            frames[time] = candidate
        return None

    def choose(self, series: str | None) -> str:
        """The series to take: the one asked for, or the one with the most frames."""
        if series is None:
            return min(self.found, key=lambda name: (-len(self.found[name]), name))
        fitting = [name for name in self.found if series == name] or [
            name for name in self.found if series in name
        ]
        if len(fitting) != 1:
            known = ", ".join(
                f"{name or 'unnamed'} ({len(frames)} frames)"
                for name, frames in sorted(self.found.items())
            )
            problem = f"fits {len(fitting)}" if fitting else "is not there"
            raise UsageError(f"series {series!r} {problem}; found: {known}")
        return fitting[0]

    def ignored(self) -> tuple[Ignored, ...]:
        for frames in self.found.values():
            for entry in frames.values():
                self.leave(SERIES, entry.path.name)
        return tuple(
            Ignored(reason, len(names), tuple(dict.fromkeys(names))[:_EXAMPLES])
            for reason, names in sorted(self.left.items())
        )

    def nothing(self, folder: Path) -> str:
        """Why no frame was found: what was looked for, and what was seen instead."""
        expected = (
            f"names like {' or '.join(self.profile.pattern)}"
            if self.profile.pattern
            else f"files that are {self.profile.reader.format} inside"
        )
        instead = "; ".join(str(item) for item in self.ignored()) or "no file at all"
        return (
            f"{folder}: no frame of feed {self.profile.name} among {self.seen} files: "
            f"expected {expected}; found {instead}"
        )
