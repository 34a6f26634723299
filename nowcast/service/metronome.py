"""APScheduler as a metronome, and a second pair of eyes on it.

The scheduler goes by the wall clock: set back by an hour it would be silent for an hour. So a
thread that goes by the monotonic clock gives it a push when ticks stay away, and ends the process
when no tick has been finished for too long, for whoever supervises it to start it again.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from nowcast.service.hooks import Event
from nowcast.service.supervisor import notify

if TYPE_CHECKING:
    from collections.abc import Callable

    from apscheduler.schedulers.blocking import BlockingScheduler

    from nowcast.service.hooks import Listener

STALLED = 70
_JOB = "reconcile"
_PULSE_SECONDS = 0.25


@dataclass
class Metronome:
    """Calls ``tick`` every so often, and whenever it is woken, until it is stopped.

    Attributes:
        tick: one round of work; what it raises is told, and the next round comes.
        tick_seconds: how often.
        stall_seconds: how long no round may be finished before the process ends (exit 70).
        heard: is told of rounds that fail.
        woken: lets a round begin as soon as can be when it is set, by any thread.
        leave: ends the process; for tests.

    """

    tick: Callable[[], object]
    tick_seconds: float
    stall_seconds: float
    heard: Listener
    woken: threading.Event = field(default_factory=threading.Event)
    leave: Callable[[int], object] = os._exit
    _stopping: threading.Event = field(default_factory=threading.Event)
    _ticking: bool = False
    _finished: float = field(default_factory=time.monotonic)
    _begun: float = field(default_factory=time.monotonic)

    def stop(self) -> None:
        """End after the present round; from any thread, and from signal handlers."""
        self._stopping.set()

    def run(self) -> None:
        """Beat until stopped; raises what the scheduler's own loop dies of."""
        logging.getLogger("apscheduler").setLevel(logging.ERROR)
        scheduler = self.scheduler()
        self._finished = self._begun = time.monotonic()
        pulse = threading.Thread(target=self._watch, args=(scheduler,), name="pulse", daemon=True)
        pulse.start()
        try:
            scheduler.start()
        finally:
            self._stopping.set()
            notify("STOPPING=1")

    def scheduler(self) -> BlockingScheduler:
        """One job, in memory, on one thread."""
        from apscheduler.executors.pool import ThreadPoolExecutor  # noqa: PLC0415
        from apscheduler.schedulers.blocking import BlockingScheduler  # noqa: PLC0415

        scheduler = BlockingScheduler(
            timezone=UTC, executors={"default": ThreadPoolExecutor(max_workers=1)}
        )
        scheduler.add_job(
            self._round,
            "interval",
            seconds=self.tick_seconds,
            id=_JOB,
            max_instances=1,
            coalesce=True,
            misfire_grace_time=None,
            next_run_time=datetime.now(UTC),
        )
        return scheduler

    def _round(self) -> None:
        """A tick, and another one for whoever woke us meanwhile."""
        self._ticking = True
        try:
            while not self._stopping.is_set():
                self.woken.clear()
                self._begun = time.monotonic()
                try:
                    self.tick()
                except Exception as error:  # noqa: BLE001 - told; the next round comes
                    reason = f"{type(error).__name__}: {error}"
                    self.heard(Event("tick failed", facts={"reason": reason, "error": error}))
                else:
                    self._finished = time.monotonic()
                    notify("READY=1\nWATCHDOG=1")
                if not self.woken.is_set():
                    return
        finally:
            self._ticking = False

    def _watch(self, scheduler: BlockingScheduler) -> None:
        while not self._stopping.is_set():
            self.woken.wait(_PULSE_SECONDS)
            now = time.monotonic()
            if now - self._finished > self.stall_seconds:
                reason = f"no tick was finished for {now - self._finished:.0f} s"
                self.heard(Event("stalled", facts={"reason": reason}))
                self.leave(STALLED)
                self._stopping.set()
            overdue = now - self._begun > 2 * self.tick_seconds
            if not self._ticking and (self.woken.is_set() or overdue):
                self._push(scheduler)
            self._stopping.wait(0.02)  # not more often than this
        if scheduler.running:
            scheduler.shutdown(wait=False)

    @staticmethod
    def _push(scheduler: BlockingScheduler) -> None:
        from apscheduler.jobstores.base import JobLookupError  # noqa: PLC0415

        try:
            scheduler.modify_job(_JOB, next_run_time=datetime.now(UTC))
        except JobLookupError:  # it has not begun yet, or it has ended
            return
