"""How the service does, in numbers that Prometheus scrapes."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from nowcast.service.cycles import TERMINAL
from nowcast.service.skill.preference import preferred

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from nowcast.service.hooks import Event, Status
    from nowcast.service.skill.store import SkillStore

RUNGS = ("mim", "mim-infilled", "extrapolation", "persistence")
STATES = ("waiting", "ready", "running", *TERMINAL)
_LATENESS = (30, 60, 120, 180, 300, 600, 900, 1800, 3600, 7200)
_SECONDS = (0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300)


@dataclass
class Metrics:
    """The numbers, told by events and by the status after each tick.

    Attributes:
        data: the service's folder, whose disk is watched.
        cadence_seconds: the time between frames; alerts measure ages by it.
        store: the sums of verified forecasts.
        monotonic: seconds that only grow.

    """

    data: Path
    cadence_seconds: float
    store: SkillStore | None = None
    monotonic: Callable[[], float] = time.monotonic
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    _status: Status | None = None
    _noted: float = 0.0

    def __post_init__(self) -> None:
        counter = partial(Counter, registry=self.registry)
        histogram = partial(Histogram, registry=self.registry)
        name = "nowcast_{}".format
        self._events = counter(name("events"), "What happened, by kind.", ["kind"])
        self._published = counter(name("cycles_published"), "Forecasts issued, by rung.", ["rung"])
        self._ended = counter(name("cycles_ended"), "Cycles that ended, by state.", ["state"])
        self._rejected = counter(name("frames_rejected"), "Frames refused, by reason.", ["reason"])
        self._accepted = counter(name("frames_accepted"), "Frames accepted.")
        self._deaths = counter(name("child_deaths"), "Child processes that died.", ["what"])
        self._failed = counter(name("rung_failures"), "Rungs that gave no forecast.", ["rung"])
        self._chores = counter(name("chore_failures"), "Chores that failed.", ["chore"])
        self._ticks_failed = counter(name("tick_failures"), "Ticks or steps that failed.")
        self._fetchers = counter(name("fetcher_ends"), "Fetching programs that ended.")
        self._scored = counter(name("leads_scored"), "Leads that were verified.")
        self._unscored = counter(name("leads_not_scored"), "Leads that could not be verified.")
        self._reopened = counter(name("cycles_reopened"), "Forecasts issued again on new input.")
        self._lateness = histogram(
            name("frame_lateness_seconds"),
            "From a frame's valid time until it was accepted.",
            buckets=_LATENESS,
        )
        self._forecast_seconds = histogram(
            name("forecast_seconds"), "From begin to end of a cycle's work.", buckets=_SECONDS
        )
        self._publish_age = histogram(
            name("publish_age_seconds"),
            "From a cycle's issue time until it was published.",
            buckets=_LATENESS,
        )
        self._tick_seconds = histogram(name("tick_seconds"), "Length of a tick.", buckets=_SECONDS)
        self._gauges(partial(Gauge, registry=self.registry))
        self._begun: dict[str, float] = {}
        # There from the start: what grows from nothing does not grow, to Prometheus.
        for state in TERMINAL:
            self._ended.labels(state)
        for rung in RUNGS:
            self._published.labels(rung)

    def _gauges(self, gauge: Callable[..., Gauge]) -> None:
        name = "nowcast_{}".format
        gauge(name("cadence_seconds"), "The time between frames.").set(self.cadence_seconds)
        for what, described, value in (
            ("tick_age_seconds", "Since the last finished tick.", self.tick_age),
            ("frame_age_seconds", "Since the newest frame's valid time.", self.frame_age),
            ("publish_silence_seconds", "Since the newest forecast was published.", self.silence),
            ("disk_free_bytes", "On the disk of the data folder.", self._disk_free),
            ("disk_free_ratio", "Likewise, of the whole.", self._disk_ratio),
            ("quarantine_files", "Refused files that are kept.", self._quarantine),
            ("preference_simpler", "1 while a simpler method is preferred.", self._is_simpler),
            ("skill_age_seconds", "Since the issue time of the newest score.", self._skill_age),
        ):
            gauge(name(what), described).set_function(value)
        self._states = gauge(name("cycles"), "Cycles in the ledger, by state.", ["state"])
        self._frames = gauge(name("frames"), "Frames in the ledger, by status.", ["status"])
        self._rung = gauge(name("rung"), "1 for the rung of the newest forecast.", ["rung"])
        self._waiting = gauge(name("waiting_files"), "Files seen, neither taken nor refused.")
        self._queue = gauge(name("queue_length"), "Cycles that wait to be forecast.")
        self._suspect = gauge(name("clock_suspect"), "1 while the wall clock is doubtful.")
        self._busy = gauge(name("busy"), "1 while a forecast is being made.")

    def hear(self, event: Event) -> None:
        """Count an event."""
        kind, facts = event.kind, event.facts
        self._events.labels(kind).inc()
        match kind.split():
            case ["cycle", "begun"]:
                self._begun[event.cycle] = self.monotonic()
            case ["cycle", ("published" | "degraded" | "expired" | "failed") as state]:
                self._end(event, state)
            case ["cycle", "reopened"]:
                self._reopened.inc()
            case ["frame", "accepted"]:
                self._accepted.inc()
                self._observe(self._lateness, facts, "late_seconds")
            case ["frame", "rejected"]:
                self._rejected.labels(str(facts.get("kind", "unknown"))).inc()
            case ["child", "died"]:
                self._deaths.labels(str(facts.get("what", "unknown"))).inc()
            case ["rung", "failed"]:
                self._failed.labels(str(facts.get("what", "unknown"))).inc()
            case ["chore", "failed"]:
                self._chores.labels(str(facts.get("chore", "unknown"))).inc()
            case ["tick" | "step", "failed"]:
                self._ticks_failed.inc()
            case ["fetcher", "ended"]:
                self._fetchers.inc()
            case ["lead", "scored"]:
                self._scored.inc()
            case ["lead", "not", "scored"]:
                self._unscored.inc()

    def note(self, status: Status) -> None:
        """Take the status after a tick."""
        self._status, self._noted = status, self.monotonic()
        self._tick_seconds.observe(status.tick_seconds)
        for state in STATES:
            self._states.labels(state).set(status.states.get(state, 0))
        for name, count in status.frames.items():
            self._frames.labels(name).set(count)
        for rung in RUNGS:
            self._rung.labels(rung).set(float(rung == status.rung))
        self._waiting.set(status.waiting_files)
        self._queue.set(status.states.get("ready", 0))
        self._suspect.set(float(bool(status.clock_suspect)))
        self._busy.set(float(bool(status.busy)))

    def tick_age(self) -> float:
        """Seconds since the last finished tick; infinity before the first."""
        return float("inf") if self._status is None else self.monotonic() - self._noted

    def frame_age(self) -> float:
        """Seconds since the newest frame's valid time; infinity before the first."""
        return self._since("newest_frame")

    def silence(self) -> float:
        """Seconds since the newest forecast was published; infinity before the first."""
        return self._since("last_publish")

    def _since(self, name: str) -> float:
        status = self._status
        moment = None if status is None else getattr(status, name)
        if status is None or moment is None:
            return float("inf")
        return float((status.now - moment) / np.timedelta64(1, "s")) + self.tick_age()

    def _end(self, event: Event, state: str) -> None:
        self._ended.labels(state).inc()
        begun = self._begun.pop(event.cycle, None)
        if begun is not None:
            self._forecast_seconds.observe(self.monotonic() - begun)
        if state in {"published", "degraded"}:
            self._published.labels(str(event.facts.get("rung", "unknown"))).inc()
            self._observe(self._publish_age, event.facts, "age_seconds")

    @staticmethod
    def _observe(histogram: Histogram, facts: Mapping[str, object], name: str) -> None:
        value = facts.get(name)
        if isinstance(value, int | float):
            histogram.observe(float(value))

    def _disk_free(self) -> float:
        return float(shutil.disk_usage(self.data).free) if self.data.is_dir() else float("nan")

    def _disk_ratio(self) -> float:
        if not self.data.is_dir():
            return float("nan")
        usage = shutil.disk_usage(self.data)
        return usage.free / usage.total

    def _quarantine(self) -> float:
        folder = self.data / "quarantine"
        return float(sum(1 for path in folder.glob("*.reason.json"))) if folder.is_dir() else 0.0

    def _is_simpler(self) -> float:
        return float(self.store is not None and bool(preferred(self.store).method))

    def _skill_age(self) -> float:
        latest = None if self.store is None else self.store.latest()
        if latest is None or self._status is None:
            return float("inf")
        return float((self._status.now - latest) / np.timedelta64(1, "s")) + self.tick_age()
