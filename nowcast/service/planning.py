"""Which cycles there are to be, and which of them can begin: rules without files or processes."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from nowcast.cycle import HISTORY
from nowcast.service.clock import seconds
from nowcast.service.cycles import STANDING, Cycle
from nowcast.service.names import CycleId

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from nowcast.service.cycles import Cycles, State
    from nowcast.service.frames import Frame, Frames

# After a longer pause than this, cycles that nobody waits for any more are not even listed.
_LONGEST_PAUSE = np.timedelta64(7, "D")


@dataclass(frozen=True)
class Planner:
    """What the ledger must hold, given the frames in it.

    Attributes:
        frames, cycles: the ledger's pages.
        cadence: the time between frames.
        grace: how long a cycle waits for missing frames before its own.
        late: how late a frame may come and still get its forecast.
        revision: how old a forecast may be to be issued again.

    """

    frames: Frames
    cycles: Cycles
    cadence: np.timedelta64
    grace: np.timedelta64
    late: np.timedelta64
    revision: np.timedelta64

    @property
    def slack(self) -> np.timedelta64:
        """How far a frame may lie from the time that it stands for."""
        return self.cadence // 3

    @property
    def oldest_input(self) -> np.timedelta64:
        """How far before its issue time a forecast may look: a filled gap needs one frame more."""
        return (HISTORY + 1) * self.cadence

    def plan(self, now: np.datetime64) -> int:
        """Make the cycles that are lacking: one a frame, one a gap; how many were made.

        A gap counts once a newer frame has come, so that a clock that is wrong invents no cycles.
        """
        start = now - self.late
        known = self.cycles.newest()
        # From the last cycle before the window on, so that a pause leaves no hole in the ledger.
        begin = start if known is None or known >= start else max(known, now - _LONGEST_PAUSE)
        frames = self.frames.between(begin, _END)
        cycles = [cycle.id.issue_time for cycle in self.cycles.between(begin, _END)]
        made = 0
        for frame in frames:
            state: State = "waiting" if frame.valid_time >= start else "expired"
            reason = "" if state == "waiting" else "its frame came too late"
            made += self.cycles.add(CycleId(frame.valid_time), state=state, now=now, reason=reason)
        times = [frame.valid_time for frame in frames]
        for time in self._gaps(sorted({*times, *cycles}), last=times[-1] if times else begin):
            state = "waiting" if time >= start else "expired"
            made += self.cycles.add(CycleId(time), state=state, now=now, reason="no frame came")
        return made

    def _gaps(
        self, times: Sequence[np.datetime64], *, last: np.datetime64
    ) -> Iterable[np.datetime64]:
        """The times of missing frames between those that are there."""
        for older, newer in pairwise(times):
            if newer <= last:
                count = round(float((newer - older) / self.cadence))
                yield from (older + step * self.cadence for step in range(1, count))

    def promote(self, now: np.datetime64) -> None:
        """Let waiting cycles begin whose frames are there, and give up on those too late."""
        for cycle in self.cycles.within("waiting", "ready"):
            time = cycle.id.issue_time
            frame = self._frame_at(time)
            if time < now - self.late and cycle.id.version == 1:
                self._expire(cycle, self._why_late(time, came=frame is not None), now)
            elif cycle.state == "ready":
                continue
            elif frame is None and self._came_beside(time):
                self._expire(cycle, "its frame has another time", now)
            elif frame is not None and self._may_begin(frame, now):
                self.cycles.move(cycle.id, "ready", now=now)

    def _expire(self, cycle: Cycle, reason: str, now: np.datetime64) -> None:
        self.cycles.move(cycle.id, "expired", now=now, reason=reason)

    def _why_late(self, time: np.datetime64, *, came: bool) -> str:
        if came:
            return "its turn did not come in time"
        refused = self.frames.refusal(time)
        return f"its frame was refused: {refused}" if refused else "no frame came"

    def _may_begin(self, frame: Frame, now: np.datetime64) -> bool:
        """Whether all frames before it are there, or have been waited for long enough."""
        waited = now - frame.seen
        return self._is_complete(frame.valid_time) or not 0 * waited <= waited < self.grace

    def reissue(self, times: Iterable[np.datetime64], now: np.datetime64) -> list[CycleId]:
        """Issue again what rests on frames of these times, which are new; the new versions."""
        again = []
        for cycle in self._resting_on(times, now):
            version = CycleId(cycle.id.issue_time, cycle.id.version + 1)
            if self.cycles.add(version, state="ready", now=now, reason="its input has changed"):
                again.append(version)
        return again

    def _resting_on(self, times: Iterable[np.datetime64], now: np.datetime64) -> list[Cycle]:
        """The newest versions that have begun, and are young enough, within reach of the times."""
        found: dict[np.datetime64, Cycle] = {}
        for time in times:
            for cycle in self.cycles.between(time, time + (HISTORY - 1) * self.cadence):
                found[cycle.id.issue_time] = cycle  # the latest version comes last
        begun = (*STANDING, "running", "failed")
        return [
            cycle
            for cycle in found.values()
            if cycle.state in begun and now - cycle.id.issue_time <= self.revision
        ]

    def _frame_at(self, time: np.datetime64) -> Frame | None:
        found = self.frames.between(time, time)
        return found[0] if found else None

    def _came_beside(self, time: np.datetime64) -> bool:
        return bool(self.frames.between(time - self.slack, time + self.slack))

    def _is_complete(self, time: np.datetime64) -> bool:
        """Whether all frames are there that a forecast wants to rest on."""
        there = [one.valid_time for one in self.frames.between(time - self.oldest_input, time)]
        wanted = [time - step * self.cadence for step in range(1, HISTORY)]
        return all(any(abs(one - want) <= self.slack for one in there) for want in wanted)


_END = np.datetime64("9999-01-01", "s")


def span(minutes: float) -> np.timedelta64:
    """A span of that many minutes."""
    return seconds(60 * minutes)
