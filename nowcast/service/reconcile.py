"""The tick: what is there is compared with what should be, and the next steps are begun.

Nothing is remembered between ticks that the ledger and the folders do not say, but work in
progress. So a tick after a crash does what the last one left undone, and a tick too many does no
harm. Every change of the ledger happens on the tick's thread; hands only work.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from nowcast.field.errors import ProductError
from nowcast.service import crash
from nowcast.service.hooks import Event, Status
from nowcast.service.intake import Moment
from nowcast.service.steady import AHEAD

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np

    from nowcast.service.chores import Chores
    from nowcast.service.desk import Desk
    from nowcast.service.hands import Hand
    from nowcast.service.hooks import AfterTick, Listener
    from nowcast.service.intake import Intake
    from nowcast.service.planning import Planner
    from nowcast.service.retention import Retention
    from nowcast.service.steady import SteadyClock

_TIDY_SECONDS = 600.0


@dataclass
class Service:
    """One feed, one ledger, one tick at a time.

    Attributes:
        steady: the service's time.
        intake: files to frames, looked into by the hand ``looking``.
        planner: frames to cycles.
        desk: cycles to forecasts.
        chores: what is done while nothing live is due.
        retention: what goes when it is old.
        heard: is told of what happens.
        before_tick, after_tick: what else is done around a tick.

    """

    steady: SteadyClock
    intake: Intake
    looking: Hand
    planner: Planner
    desk: Desk
    chores: Chores
    retention: Retention
    heard: Listener
    before_tick: Sequence[Callable[[], None]] = ()
    after_tick: Sequence[AfterTick] = ()
    last_tick: float = field(default_factory=time.monotonic)
    _fresh: bool = True  # whether there may be frames without cycles
    _waiting: int = 0
    _tidy_next: float = 0.0

    def tick(self) -> Status:
        """One round; raises LedgerError, after which the next round goes on.

        What a full disk hinders is told, and the other steps are taken.
        """
        began = time.monotonic()
        for hook in self.before_tick:
            hook()
        now = self.steady.now()
        for step in (self._take_in, self._plan, self._forecast, self._tidy):
            try:
                step(now)
            except ProductError as error:
                self.heard(Event("step failed", facts={"reason": str(error)}))
        status = self._status(now, began)
        for follow in self.after_tick:
            follow(status)
        self.last_tick = time.monotonic()
        return status

    def _take_in(self, now: np.datetime64) -> None:
        """List the folder and go on with what lies there."""
        self._put_down(now)
        late = self.planner.late + self.planner.oldest_input
        listing = self.intake.arrivals.look(
            monotonic=self.steady.clock.monotonic(), oldest=now - late, newest=now + AHEAD
        )
        self._waiting = listing.waiting
        self.steady.hear(listing.arrived)
        for candidate in listing.ready:
            if not self.looking.is_free:
                break
            self.looking.start(self.intake.work(candidate))
            self._put_down(now)

    def _put_down(self, now: np.datetime64) -> None:
        """Settle what was looked into, and issue again what rests on it."""
        outcome = self.looking.outcome
        if outcome is None:
            return
        if outcome.error is not None:
            self.looking.clear()
            raise outcome.error
        moment = Moment(now, now + AHEAD, self.steady.clock.monotonic())
        new = self.intake.settle(outcome.result, moment)
        self.looking.clear()
        if new:
            self._fresh = True
            for again in self.planner.reissue(new, now):
                self.heard(Event("cycle reopened", str(again)))

    def _plan(self, now: np.datetime64) -> None:
        if self._fresh:
            with self.planner.frames.ledger.transaction():
                self.planner.plan(now)
            crash.at("cycle.planned")
            self._fresh = False
        self.planner.promote(now)

    def _forecast(self, now: np.datetime64) -> None:
        self.desk.finish(now)
        while self.desk.begin(now):
            self.desk.finish(now)

    def _tidy(self, now: np.datetime64) -> None:
        """What may wait: chores while nothing live is due, and what is too old."""
        if not self.desk.is_busy and self.looking.is_free:
            self.chores.work(now)
        passed = self.steady.clock.monotonic()
        if passed >= self._tidy_next:
            self._tidy_next = passed + _TIDY_SECONDS
            self.retention.tidy(now)

    def _status(self, now: np.datetime64, began: float) -> Status:
        newest = self.planner.frames.newest()
        last = self.desk.latest
        return Status(
            now=now,
            tick=time.monotonic(),
            tick_seconds=time.monotonic() - began,
            newest_frame=newest.valid_time if newest else None,
            last_cycle=last.cycle if last else "",
            last_publish=self.desk.last_publish,
            rung=last.rung if last else "",
            states=self.planner.cycles.counts(),
            frames=self.planner.frames.counts(),
            waiting_files=self._waiting,
            clock_suspect=self.steady.suspect,
            busy=self.desk.busy,
            looking=not self.looking.is_free,
        )
