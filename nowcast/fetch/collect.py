"""Round after round: what a source offers and is not here yet is brought, the newest first."""

from __future__ import annotations

import datetime as dt
import itertools
import os
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from nowcast.fetch import digests
from nowcast.fetch.clocks import Clocks
from nowcast.fetch.history import Known
from nowcast.fetch.part import Part
from nowcast.field import atomic
from nowcast.field.errors import FetchError, NowcastError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from nowcast.fetch.base import Listing, Remote
    from nowcast.fetch.download import Downloader, Received
    from nowcast.fetch.history import History
    from nowcast.fetch.naming import Named, Naming

# A file that fails is left alone for longer and longer, so that it takes no time from the others.
_FIRST_PAUSE_SECONDS = 15.0
_LONGEST_PAUSE_SECONDS = 900.0
_HISTORY_KEPT = dt.timedelta(days=60)


@dataclass(frozen=True)
class Fetched:
    """A file that is in the folder now; ``revision`` counts its versions, from 1."""

    source: str
    name: str
    valid: dt.datetime
    path: Path
    size: int
    sha256: str
    revision: int

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self) | {"valid": self.valid.isoformat(), "path": str(self.path)}


@dataclass(frozen=True)
class Problem:
    """What went wrong with a file, or with the listing where ``name`` is empty."""

    source: str
    name: str
    message: str
    exit_code: int = FetchError.exit_code

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {"source": self.source, "name": self.name, "problem": self.message}


class _Offer(NamedTuple):
    named: Named
    remote: Remote


@dataclass(frozen=True)
class Collector:
    """How a folder is kept up with a source.

    Attributes:
        source: its name.
        naming: what names mean.
        listing, downloader: what there is, and how it is brought.
        history: what has been brought.
        folder: where files go; a later version of a file goes to ``revision-N/`` in it.
        recheck: how long files are asked for again whose listing says nothing of changes.
        clocks: tell the time, and let some pass between rounds.

    """

    source: str
    naming: Naming
    listing: Listing
    downloader: Downloader
    history: History
    folder: Path
    recheck: dt.timedelta = dt.timedelta(minutes=15)
    clocks: Clocks = field(default_factory=Clocks)
    _pauses: dict[Remote, tuple[float, float]] = field(
        default_factory=dict, repr=False, compare=False
    )

    def round(self, since: dt.datetime) -> Iterator[Fetched | Problem]:
        """Bring what is of ``since`` (UTC) or later and not here, the newest first.

        What a server does wrong becomes a Problem, and the others go on. Raises ProductError where
        the disk takes nothing.
        """
        self.history.forget(min(since, self.clocks.now()) - _HISTORY_KEPT)
        offers: list[_Offer] = []
        yield from self._listed(since, offers)
        for named, remote in sorted(offers, key=lambda offer: offer.named.valid, reverse=True):
            if self._pauses.get(remote, (0.0, 0.0))[0] > self.clocks.seconds():
                continue
            try:
                fetched = self._fetch(remote, named)
            except FetchError as error:
                self._pause(remote)
                yield Problem(self.source, remote.name, str(error), error.exit_code)
            else:
                self._pauses.pop(remote, None)
                if fetched is not None:
                    yield fetched

    def _listed(self, since: dt.datetime, offers: list[_Offer]) -> Iterator[Problem]:
        """Fill ``offers`` with what is to be brought; what is wrong with the listing."""
        seen, known, foreign = self.history.seen(since), 0, ""
        wrong: NowcastError | None = None
        try:
            for remote in self.listing.list(since):
                try:
                    named = self.naming.of(remote.name)
                except UsageError as error:
                    wrong = error
                    continue
                if named is None:
                    foreign = remote.name
                    continue
                known += 1
                if named.valid >= since and not self._has(remote, named, seen):
                    seen.add((remote.name, remote.tag))
                    offers.append(_Offer(named, remote))
        except FetchError as error:
            wrong = error
        if wrong is not None:
            yield Problem(self.source, "", str(wrong), wrong.exit_code)
        elif foreign and not known:
            yield Problem(self.source, "", self._renamed(foreign))

    def _renamed(self, foreign: str) -> str:
        return (
            f"files are listed, and none has a name like "
            f"{' or '.join(self.naming.remote.pattern)}, but for example "
            f"{foreign[:120]!r}: are files called otherwise now?"
        )

    def _has(self, remote: Remote, named: Named, seen: set[tuple[str, str]]) -> bool:
        if (remote.name, remote.tag) not in seen:
            return False
        return bool(remote.tag) or named.valid < self.clocks.now() - self.recheck

    def _pause(self, remote: Remote) -> None:
        _, last = self._pauses.get(remote, (0.0, 0.0))
        pause = min(max(2 * last, _FIRST_PAUSE_SECONDS), _LONGEST_PAUSE_SECONDS)
        now = self.clocks.seconds()
        for old in [old for old, (until, _) in self._pauses.items() if until + pause < now]:
            del self._pauses[old]  # it is no longer listed, or it would have been tried
        self._pauses[remote] = (now + pause, pause)

    def _fetch(self, remote: Remote, named: Named) -> Fetched | None:
        """Bring one file; None where it is one that is here already."""
        known = self.history.validator(remote.name)
        received = self.downloader.receive(remote, self.listing, name=named.local, known=known)
        if received is None:
            self.history.still(remote)
            return None
        versions = self.history.versions(named.local)
        path, number = versions.get(received.sha256, ""), 0
        if not path:
            path, number = self._place(received, named.local, first=len(versions) + 1)
        Part(received.path).drop()
        version = Known(named.local, path, received.sha256, received.validator)
        self.history.add(remote, version, valid=named.valid)
        if not number:
            return None
        return Fetched(
            source=self.source,
            name=remote.name,
            valid=named.valid,
            path=self.folder / path,
            size=received.size,
            sha256=received.sha256,
            revision=number,
        )

    def _place(self, received: Received, local: str, *, first: int) -> tuple[str, int]:
        """Put the file where nothing stands; its path relative to the folder, and which version."""
        for number in itertools.count(first):
            path = local if number == 1 else f"revision-{number}/{local}"
            target = self.folder / path
            if not os.path.lexists(target):
                break
            if target.is_file() and digests.digest(target, "sha256") == received.sha256:
                return path, number  # placed, and not remembered: we were stopped in between
        atomic.make_folder(target.parent)
        with atomic.written_beside(target) as beside:
            received.path.rename(beside)
        return path, number


def rounds(
    collector: Collector, *, back: dt.timedelta, poll_seconds: float
) -> Iterator[Fetched | Problem]:
    """Round after round, for ever: what is as old as ``back`` at most.

    A round that takes longer than ``poll_seconds`` is broken off after a file, for something newer
    may have come.
    """
    while True:
        until = collector.clocks.seconds() + poll_seconds
        for done in collector.round(collector.clocks.now() - back):
            yield done
            if collector.clocks.seconds() > until:
                break
        collector.clocks.sleep(max(0.0, until - collector.clocks.seconds()))
