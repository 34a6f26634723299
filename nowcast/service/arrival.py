"""Files as they arrive: listed, and let alone until they have settled."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from nowcast.field.errors import MissingFramesError
from nowcast.ingest import walk
from nowcast.service.spool import state_of
from nowcast.service.writers import nobody_writes

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from config.feed import FeedProfile
    from nowcast.service.frames import FileState

# Names that programs give to files they are still writing.
_UNFINISHED = (".part", ".tmp", ".partial", ".filepart", "~")
_NEVER = np.datetime64("0001-01-01", "s")


class Candidate(NamedTuple):
    """A file that is ready to be looked into.

    Attributes:
        key: its path within the feed's folder.
        path: where it is.
        state: the state in which it settled.
        valid_time, series: as its name says; None where it says none.
        since: when it was first seen in this state, on the monotonic clock.
        fresh: whether it came after the service did.

    """

    key: str
    path: Path
    state: FileState
    valid_time: np.datetime64 | None
    series: str | None
    since: float
    fresh: bool = False


class Listing(NamedTuple):
    """What a look at the folder found.

    Attributes:
        ready: the files to look into, those of the newest times first.
        waiting: how many files are neither judged nor passed over.
        arrived: the valid times of files that were not there at the last look.

    """

    ready: list[Candidate]
    waiting: int
    arrived: list[np.datetime64]


class _Told(NamedTuple):
    """What a name says; None where it says nothing of that."""

    valid_time: np.datetime64 | None
    series: str | None


@dataclass
class Arrivals:
    """The files in the feed's folder, listed anew at every look: the listing is the truth.

    Attributes:
        folder: where they arrive, at any depth.
        profile: which names are the feed's.
        settle_seconds: how long a file must be unchanged before it is looked into, unless the
            system says that nobody writes to it.
        judged: the state in which each file was judged, by key; what has changed since is new.

    """

    folder: Path
    profile: FeedProfile
    settle_seconds: float
    judged: dict[str, FileState]
    _names: dict[str, _Told | None] = field(default_factory=dict)
    _seen: dict[str, tuple[FileState, float]] = field(default_factory=dict)
    _pauses: dict[str, tuple[FileState, float]] = field(default_factory=dict)
    _first_look: bool = True
    _fresh: set[str] = field(default_factory=set)
    _learnt: dict[str, np.datetime64] = field(default_factory=dict)
    _news: list[np.datetime64] = field(default_factory=list)

    def look(self, *, monotonic: float, oldest: np.datetime64, newest: np.datetime64) -> Listing:
        """List the folder; a folder that is not there yet holds nothing.

        Files of times before ``oldest`` are passed over by name; those after ``newest`` wait, for
        either they or the clock are wrong.
        """
        ready: list[Candidate] = []
        arrived, self._news = self._news, []
        seen: dict[str, tuple[FileState, float]] = {}
        known = self._names
        for key, path, told in self._ours():
            time = self._time(key, told)
            # What lay there before we came tells of no time but that it cannot be yet to come.
            early = time is not None and time > newest
            is_new = path.name not in known and (early or not self._first_look)
            if time is not None and is_new:
                arrived.append(time)
            if time is not None and time < oldest:
                continue
            try:
                state = state_of(path)
            except OSError:
                continue  # gone again
            if self.judged.get(key) == state:
                continue
            before = self._seen.get(key)
            since = before[1] if before is not None and before[0] == state else monotonic
            seen[key] = state, since
            if not self._first_look and before is None:
                self._fresh.add(key)
            if early or monotonic < self._pause(key, state):
                continue
            if monotonic >= since + self.settle_seconds or nobody_writes(path):
                name = told.valid_time, told.series
                ready.append(Candidate(key, path, state, *name, since, key in self._fresh))
        self._seen, self._first_look = seen, False
        self._fresh &= set(seen)
        ready.sort(key=lambda one: one.valid_time or _NEVER, reverse=True)
        return Listing(ready, len(seen), arrived)

    def settle(self, candidate: Candidate) -> None:
        """What was said of a candidate holds until it changes."""
        self.judged[candidate.key] = candidate.state
        self._pauses.pop(candidate.key, None)

    def learn(self, candidate: Candidate, times: Sequence[np.datetime64]) -> None:
        """Take note of the times inside a file whose name says none, for the next look to tell."""
        if candidate.valid_time is None:
            self._learnt[candidate.key] = max(times)
            self._news += times

    def pause(self, candidate: Candidate, *, until: float) -> None:
        """Leave a candidate alone until a time on the monotonic clock, or until it changes."""
        self._pauses[candidate.key] = candidate.state, until

    def _time(self, key: str, told: _Told) -> np.datetime64 | None:
        """The valid time of a file, as its name or an earlier look at its content says."""
        if told.valid_time is not None or key not in self._learnt:
            return told.valid_time
        return self._learnt[key]

    def _pause(self, key: str, state: FileState) -> float:
        paused, until = self._pauses.get(key, (state, -np.inf))
        return until if paused == state else -np.inf

    def _ours(self) -> Iterator[tuple[str, Path, _Told]]:
        """The files that may be of the feed, and what their names say."""
        names: dict[str, _Told | None] = {}
        try:
            for path in walk.files(self.folder, leave=lambda reason, name: None):  # noqa: ARG005
                name = path.name
                told = names[name] = self._names[name] if name in self._names else self._told(name)
                if told is not None:
                    yield str(path.relative_to(self.folder)), path, told
        except MissingFramesError:
            return
        self._names = names
        for key in (set(self._pauses) | set(self._learnt)) - set(self._seen):
            self._pauses.pop(key, None)
            self._learnt.pop(key, None)

    def _told(self, name: str) -> _Told | None:
        """What a name says; None for files that are none of the feed's, or not finished."""
        if name.endswith(_UNFINISHED):
            return None
        if self.profile.is_generic:
            return _Told(None, None)
        match = self.profile.match(name)
        if match is None:
            return None
        found = self.profile.time(match) if self.profile.time_format else None
        if found is None and self.profile.time_format:
            return None
        time = np.datetime64(found.replace(tzinfo=None), "ns") if found else None
        return _Told(time, self.profile.series(match))
