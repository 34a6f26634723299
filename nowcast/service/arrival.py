"""Files as they arrive: listed, and let alone until they have settled."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from nowcast.field.errors import MissingFramesError
from nowcast.ingest import walk
from nowcast.service.spool import state_of

if TYPE_CHECKING:
    from collections.abc import Iterator
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

    """

    key: str
    path: Path
    state: FileState
    valid_time: np.datetime64 | None
    series: str | None
    since: float


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
        settle_seconds: how long a file must be unchanged before it is looked into.
        judged: the state in which each file was judged, by key; what has changed since is new.

    """

    folder: Path
    profile: FeedProfile
    settle_seconds: float
    judged: dict[str, FileState]
    _names: dict[str, _Told | None] = field(default_factory=dict)
    _seen: dict[str, tuple[FileState, float]] = field(default_factory=dict)
    _pauses: dict[str, float] = field(default_factory=dict)
    _first_look: bool = True

    def look(self, *, monotonic: float, oldest: np.datetime64, newest: np.datetime64) -> Listing:
        """List the folder; a folder that is not there yet holds nothing.

        Files of times before ``oldest`` are passed over by name; those after ``newest`` wait, for
        either they or the clock are wrong.
        """
        ready, arrived = [], []
        seen: dict[str, tuple[FileState, float]] = {}
        for key, path, told in self._ours():
            time = told.valid_time
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
            early = time is not None and time > newest
            # What lay there before we came tells of no time but that it cannot be yet to come.
            if before is None and time is not None and (early or not self._first_look):
                arrived.append(time)
            if not early and monotonic >= max(since + self.settle_seconds, self._pause(key)):
                ready.append(Candidate(key, path, state, time, told.series, since))
        self._seen, self._first_look = seen, False
        ready.sort(key=lambda one: one.valid_time or _NEVER, reverse=True)
        return Listing(ready, len(seen), arrived)

    def settle(self, candidate: Candidate) -> None:
        """What was said of a candidate holds until it changes."""
        self.judged[candidate.key] = candidate.state
        self._pauses.pop(candidate.key, None)

    def pause(self, candidate: Candidate, *, until: float) -> None:
        """Leave a candidate alone until a time on the monotonic clock."""
        self._pauses[candidate.key] = until

    def _pause(self, key: str) -> float:
        return self._pauses.get(key, -np.inf)

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
        gone = set(self._pauses) - set(self._seen)
        for key in gone:
            del self._pauses[key]

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
