"""From a file that has settled to a frame in the ledger, or to quarantine with the reason why."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from nowcast.field.errors import ChildError, FormatError, NowcastError, SourceError
from nowcast.service import crash
from nowcast.service.accepted import inputs
from nowcast.service.clock import in_seconds, iso
from nowcast.service.hooks import Event
from nowcast.service.look import is_whole
from nowcast.service.spool import Copy

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import numpy as np

    from nowcast.service.accepted import Input
    from nowcast.service.arrival import Arrivals, Candidate
    from nowcast.service.aside import Call
    from nowcast.service.child import Limits
    from nowcast.service.frames import Frames, Verdict
    from nowcast.service.hooks import Listener
    from nowcast.service.look import Look, Seen
    from nowcast.service.spool import Spool

# How long a file that could not be read is let alone before the next try.
_PAUSE_SECONDS = 5.0


class Moment(NamedTuple):
    """When a verdict is given.

    Attributes:
        now: the service's time.
        newest: a frame of a later time than this has not come yet.
        monotonic: seconds that only grow.

    """

    now: np.datetime64
    newest: np.datetime64
    monotonic: float


class Looked(NamedTuple):
    """A candidate after the look: its copy, and what it holds or why it cannot be used."""

    candidate: Candidate
    copy: Copy | None
    seen: Seen | None
    error: NowcastError | None


@dataclass
class Intake:
    """Looks into files and keeps the ledger's word on them.

    Attributes:
        frames: the ledger's pages on input.
        arrivals: where candidates come from.
        spool: where copies go.
        look: what is done to a copy in a child process.
        call: how functions are called there.
        limits: of a look.
        patience_seconds: how long a file that cannot be read is tried again.
        heard: is told of every verdict.
        root: the service's folder.
        series: a part of the name of the wanted series; empty takes that of the first frame.

    """

    frames: Frames
    arrivals: Arrivals
    spool: Spool
    look: Look
    call: Call
    limits: Limits
    patience_seconds: float
    heard: Listener
    root: Path
    series: str = ""

    def work(self, candidate: Candidate) -> Callable[[], Looked]:
        """The look at a candidate, which needs nothing of the ledger and may take its time."""
        before = self.frames.before(candidate.valid_time)
        known = inputs([before], self.root)[0] if before else None
        return partial(self._look, candidate, known)

    def settle(self, looked: Looked, moment: Moment) -> tuple[np.datetime64, ...]:
        """Keep the word on what was looked into; the times of frames that are new.

        Raises LedgerError and ProductError, after which it can be called again.
        """
        if looked.copy is None:
            return ()  # it changed meanwhile: a later look finds it
        if looked.seen is not None:
            return self._usable(looked, looked.copy, looked.seen, moment)
        if isinstance(looked.error, ChildError):
            said = {"what": "look", "file": looked.candidate.key, "reason": str(looked.error)}
            self.heard(Event("child died", facts=said))
        if self._may_still_come_right(looked, moment):
            self.spool.drop(looked.copy)
            self.arrivals.pause(looked.candidate, until=moment.monotonic + _PAUSE_SECONDS)
        else:
            self._refuse(looked, looked.copy, moment)
        return ()

    def _look(self, candidate: Candidate, previous: Input | None) -> Looked:
        copy = None
        try:
            copy = self.spool.take(candidate.path)
            if copy is None:
                return Looked(candidate, None, None, None)
            seen = self.call(
                self.look, copy.path, candidate.valid_time, previous, limits=self.limits
            )
            if not is_whole(seen):
                raise ChildError(f"{copy.path}: what its reader said is not what was asked for")
        except NowcastError as error:
            nothing = copy or Copy(candidate.path, "", candidate.state.bytes)
            return Looked(candidate, nothing, None, error)
        return Looked(candidate, copy, seen, None)

    def _usable(
        self, looked: Looked, copy: Copy, seen: Seen, moment: Moment
    ) -> tuple[np.datetime64, ...]:
        candidate = looked.candidate
        if max(seen.times) > moment.newest:
            self.arrivals.learn(candidate, seen.times)
            self.spool.drop(copy)
            return ()  # its time has not come; the clock or the file is wrong
        series = candidate.series if candidate.series is not None else seen.series
        wanted = self.series or self.frames.ledger.fact("series") or series
        new = [time for time in seen.times if not self.frames.known(time, copy.sha256)]
        if wanted not in series or not new:
            self.spool.drop(copy)
            left: Verdict = "left" if wanted not in series else "duplicate"
            self._judge(looked, left, f"series {series!r}, wanted {wanted!r}", moment)
            return ()
        kept = self.spool.keep(copy, seen.times[-1])
        with self.frames.ledger.transaction():
            self.frames.ledger.remember("series", wanted)
            revisions = [
                self.frames.accept(
                    time, sha256=copy.sha256, path=kept, size=copy.bytes, now=moment.now
                )
                for time in new
            ]
            self._judge(looked, "accepted", "", moment)
        crash.at("frame.accepted")
        if candidate.fresh:
            self.arrivals.learn(candidate, new)
        for time, revision in zip(new, revisions, strict=True):
            told = {"valid_time": iso(time), "revision": revision, "file": candidate.key}
            late = in_seconds(moment.now - time)
            self.heard(Event("frame accepted", facts=told | {"late_seconds": late}))
        return tuple(new)

    def _may_still_come_right(self, looked: Looked, moment: Moment) -> bool:
        """Whether the file may be growing still, or the machine short of memory or disk."""
        if isinstance(looked.error, FormatError | ChildError):
            return moment.monotonic - looked.candidate.since < self.patience_seconds
        # What is not the file's fault is no reason to refuse it.
        return not isinstance(looked.error, SourceError)

    def _refuse(self, looked: Looked, copy: Copy, moment: Moment) -> None:
        candidate = looked.candidate
        reason = str(looked.error).replace(str(copy.path), candidate.key)
        aside = self.spool.quarantine(copy, origin=candidate.path, reason=reason, now=moment.now)
        with self.frames.ledger.transaction():
            if candidate.valid_time is not None:
                self.frames.reject(
                    candidate.valid_time,
                    sha256=copy.sha256,
                    size=copy.bytes,
                    now=moment.now,
                    reason=reason,
                )
            self._judge(looked, "rejected", reason, moment)
        kind = type(looked.error).__name__.removesuffix("Error")
        told = {"file": candidate.key, "kind": kind, "reason": reason, "kept": aside.name}
        self.heard(Event("frame rejected", facts=told))

    def _judge(self, looked: Looked, verdict: Verdict, reason: str, moment: Moment) -> None:
        candidate, copy = looked.candidate, looked.copy
        self.frames.judge(
            candidate.key,
            candidate.state,
            sha256=copy.sha256 if copy else "",
            verdict=verdict,
            reason=reason,
            now=iso(moment.now),
        )
        self.arrivals.settle(candidate)
