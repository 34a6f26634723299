"""Where a ready cycle becomes a published forecast: claimed, made, published, written down.

The order of the steps makes the effect happen once however often the process dies: the claim is in
the ledger before work begins, the folder is published before the ledger says so, and a folder that
is there is never made again but adopted.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from nowcast.field.errors import LedgerError, MethodError, ProductError
from nowcast.service import crash, manifest
from nowcast.service.accepted import inputs
from nowcast.service.clock import from_iso, in_seconds, iso
from nowcast.service.forecasting import Order
from nowcast.service.hooks import Event
from nowcast.service.publish import remove

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from nowcast.service.accepted import Feed
    from nowcast.service.clock import Clock
    from nowcast.service.cycles import Cycles, State
    from nowcast.service.forecasting import Made
    from nowcast.service.frames import Frames
    from nowcast.service.hands import Hand
    from nowcast.service.hooks import Listener, Preference
    from nowcast.service.manifest import FileSum, Manifest
    from nowcast.service.names import CycleId
    from nowcast.service.publish import Publisher
    from nowcast.service.worker import Worker

# How long a full or failing disk is let alone before the next try.
_PAUSE_SECONDS = 10.0
# What a hand may need beyond the limits of its children before it counts as hung.
_GRACE_SECONDS = 30.0


class _Work(NamedTuple):
    """What the hand is busy with."""

    cycle: CycleId
    staged: Path


@dataclass(frozen=True)
class Terms:
    """What every forecast of a service has in common.

    Attributes:
        domain: what they are for.
        feed: what they are made of.
        leads: time steps ahead.
        config_sha256: of the settings.
        attempts: how often a cycle whose process died is tried.
        reach: how far before its issue time a forecast looks for frames.

    """

    domain: str
    feed: Feed
    leads: int
    config_sha256: str
    attempts: int
    reach: np.timedelta64

    def attributes(self, cycle: CycleId) -> Mapping[str, str]:
        """What is joined to a forecast's own attributes."""
        return {
            "config_sha256": self.config_sha256,
            "cycle": str(cycle),
            "domain": self.domain,
        }


@dataclass
class Desk:
    """The one place where forecasts are made, one at a time.

    Attributes:
        frames, cycles: the ledger's pages.
        publisher: puts forecasts in their place.
        worker: makes them.
        hand: the worker's.
        terms: what they have in common.
        clock: for pauses.
        heard: is told of what becomes of them.
        prefer: which method to begin with.
        last_publish: when something was published last in this process.
        latest: the newest forecast.

    """

    frames: Frames
    cycles: Cycles
    publisher: Publisher
    worker: Worker
    hand: Hand
    terms: Terms
    clock: Clock
    heard: Listener
    prefer: Preference
    last_publish: np.datetime64 | None = None
    latest: Manifest | None = None
    _work: _Work | None = None
    _not_before: float = -np.inf

    @property
    def is_busy(self) -> bool:
        """Whether a forecast is being made."""
        return self._work is not None

    @property
    def busy(self) -> str:
        """The cycle that is being forecast, empty for none."""
        return str(self._work.cycle) if self._work else ""

    def begin(self, now: np.datetime64) -> bool:
        """Take the newest cycle that is ready; whether there was one to take."""
        self._release_orphans(now)
        if self._work is not None or self.clock.monotonic() < self._not_before:
            return False
        ready = self.cycles.within("ready")
        if not ready:
            return False
        cycle = ready[0].id
        self.cycles.move(cycle, "running", now=now)
        crash.at("cycle.claimed")
        if self._adopt(cycle, now):
            return True
        self._start(cycle, now)
        return True

    def finish(self, now: np.datetime64) -> None:
        """Publish what the hand has made, or keep the reason why there is nothing.

        Raises LedgerError, after which it can be called again.
        """
        work, outcome = self._work, self.hand.outcome
        if work is None:
            return
        if outcome is None:
            self._give_up_on_a_hung_hand(work)
            return
        try:
            if outcome.error is not None:
                raise outcome.error
            describe = partial(self._describe, work.cycle, outcome.result, now)
            self._record(work.cycle, self.publisher.publish(work.staged, work.cycle, describe), now)
        except LedgerError:
            raise  # the forecast lies there still: the next tick writes it down
        except ProductError as error:
            self._try_again(work.cycle, str(error), now)
        except MethodError as error:
            self._fail(work.cycle, str(error), now)
        except Exception as error:  # noqa: BLE001 - a mistake of ours must not stop the service
            self._doubt(work.cycle, f"{type(error).__name__}: {error}", now)
        self._put_away(work)

    def _start(self, cycle: CycleId, now: np.datetime64) -> None:
        try:
            staged = self.publisher.stage(cycle)
        except ProductError as error:
            self._try_again(cycle, str(error), now)
            return
        time = cycle.issue_time
        order = Order(
            cycle=cycle,
            inputs=inputs(self.frames.between(time - self.terms.reach, time), self._root),
            feed=self.terms.feed,
            leads=self.terms.leads,
            attributes=self.terms.attributes(cycle),
        )
        self._work = _Work(cycle, staged)
        self.heard(Event("cycle begun", str(cycle)))
        self.hand.start(partial(self.worker.make, order, staged, self.prefer(now)))

    def _release_orphans(self, now: np.datetime64) -> None:
        """What is running in the ledger but not in this process was left by one that died."""
        for cycle in self.cycles.within("running"):
            if self._work is not None and cycle.id == self._work.cycle:
                continue
            if self._adopt(cycle.id, now):
                continue
            if cycle.attempt >= self.terms.attempts:
                self._fail(cycle.id, f"its process died {cycle.attempt} times", now)
            else:
                self.cycles.move(cycle.id, "ready", now=now, reason="its process died")

    def _adopt(self, cycle: CycleId, now: np.datetime64) -> bool:
        """Write down a forecast that is published already; whether it is."""
        standing = self.publisher.standing(cycle)
        if standing is None:
            return False
        self.publisher.point_latest()
        self._record(cycle, standing, now)
        return True

    def _record(self, cycle: CycleId, made: Manifest, now: np.datetime64) -> None:
        state: State = "degraded" if made.degraded_reason else "published"
        if made.rung != self.worker.methods[0]:
            state = "degraded"
        self.cycles.move(
            cycle,
            state,
            now=now,
            rung=made.rung,
            inputs=" ".join(made.inputs.values()),
            reason=made.degraded_reason,
        )
        crash.at("cycle.finished")
        self.last_publish = now
        if self.latest is None or cycle.issue_time >= from_iso(self.latest.issued):
            self.latest = made
        facts = {"rung": made.rung, "reason": made.degraded_reason}
        age = in_seconds(now - cycle.issue_time)
        self.heard(Event(f"cycle {state}", str(cycle), {**facts, "age_seconds": age}))

    def _describe(
        self, cycle: CycleId, made: Made, now: np.datetime64, files: dict[str, FileSum]
    ) -> Manifest:
        return manifest.Manifest(
            cycle=str(cycle),
            version=cycle.version,
            issued=iso(cycle.issue_time),
            created=iso(now),
            domain=self.terms.domain,
            feed=self.terms.feed.profile.name,
            source=made.source,
            rung=made.rung,
            degraded_reason=made.degraded_reason,
            input_sha256=made.input_sha256,
            model_sha256=made.model_sha256,
            config_sha256=self.terms.config_sha256,
            inputs=made.inputs,
            files=files,
        )

    def _try_again(self, cycle: CycleId, reason: str, now: np.datetime64) -> None:
        self.cycles.move(cycle, "ready", now=now, reason=reason)
        self._not_before = self.clock.monotonic() + _PAUSE_SECONDS
        self.heard(Event("cycle put off", str(cycle), {"reason": reason}))

    def _doubt(self, cycle: CycleId, reason: str, now: np.datetime64) -> None:
        """Try again what need not stay so: accepted frames, say, were readable once."""
        row = self.cycles.get(cycle)
        if row is not None and row.attempt < self.terms.attempts:
            self._try_again(cycle, reason, now)
        else:
            self._fail(cycle, reason, now)

    def _fail(self, cycle: CycleId, reason: str, now: np.datetime64) -> None:
        self.cycles.move(cycle, "failed", now=now, reason=reason)
        self.heard(Event("cycle failed", str(cycle), {"reason": reason}))

    def _give_up_on_a_hung_hand(self, work: _Work) -> None:
        if self.hand.busy_seconds > self.worker.patience_seconds + _GRACE_SECONDS:
            self.heard(Event("hand hung", str(work.cycle), {"seconds": self.hand.busy_seconds}))
            self._put_away(work)

    def _put_away(self, work: _Work) -> None:
        self.hand.clear()
        self._work = None
        remove(work.staged)

    @property
    def _root(self) -> Path:
        return self.publisher.layout.root
