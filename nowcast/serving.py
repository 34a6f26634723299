"""The service at work: live until it is told to stop, or a replay until it has been played."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from threading import Event
from typing import TYPE_CHECKING

import numpy as np

from nowcast import build
from nowcast.build_service import Surroundings, service, surroundings
from nowcast.cycle import HISTORY
from nowcast.ingest.remembered import remembered
from nowcast.service import child
from nowcast.service.clock import Clock, ManualClock, SimulatedClock
from nowcast.service.cycles import TERMINAL
from nowcast.service.fetchers import Fetchers, fetch_command
from nowcast.service.hands import Hand, ThreadHand
from nowcast.service.metronome import Metronome
from nowcast.service.planning import span
from nowcast.service.replay import (
    USUAL_FAULTS,
    Faults,
    Feeder,
    as_fast_as_can_be,
    played,
    progress,
)
from nowcast.service.watch import Watch

if TYPE_CHECKING:
    from pathlib import Path

    from config.service import ServiceSettings
    from nowcast.service.hooks import Status
    from nowcast.service.reconcile import Service

_FASTEST_TICK_SECONDS = 0.1


def live(settings: ServiceSettings) -> None:
    """Serve until told to stop; raises what ``service`` raises."""
    _prepare_children(settings)
    woken, around = Event(), surroundings(settings)
    around = replace(around, hand=_threads(woken))
    programs = _fetchers(settings, around)
    around = replace(around, after_tick=(*around.after_tick, programs))
    try:
        with service(settings, around) as served, around.beside:
            metronome = _metronome(settings, served, woken)
            watch = Watch(
                settings.feed.folder, woken.set, settings.feed.settle_seconds, around.hear
            )
            _run(metronome, watch)
    finally:
        programs.stop()


def _prepare_children(settings: ServiceSettings) -> None:
    child.prepare(lean=set(settings.forecast.methods) == {"persistence"})


def _metronome(settings: ServiceSettings, served: Service, woken: Event) -> Metronome:
    table = settings.service
    return Metronome(
        tick=served.tick,
        tick_seconds=table.tick_seconds,
        stall_seconds=table.stall_seconds,
        heard=served.heard,
        woken=woken,
    )


def _threads(woken: Event) -> Callable[[str], Hand]:
    """Makes hands that work on threads."""
    return partial(ThreadHand, wake=woken.set)


def _fetchers(settings: ServiceSettings, around: Surroundings) -> Fetchers:
    """The programs that bring the feed's files, one a ``[[fetch]]`` table."""
    into = str(settings.feed.folder)
    commands = [
        fetch_command(table.source, into, minutes=table.since_minutes) for table in settings.fetch
    ]
    return Fetchers(commands, around.clock, around.hear)


@dataclass(frozen=True)
class Playing:
    """A replay: which part of the feed's folder, how fast, with the faults of which seed."""

    given: ServiceSettings
    start: np.datetime64
    stop: np.datetime64
    speed: float
    seed: int | None

    @property
    def settings(self) -> ServiceSettings:
        """The settings, in a folder beside the live one, fed from a folder in it."""
        data = self.given.service.data
        data = data.with_name(f"{data.name}-replay")
        pace = self.given.service.tick_seconds / max(1.0, self.speed)
        service = {"data": data, "tick_seconds": max(_FASTEST_TICK_SECONDS, pace)}
        return self.given.model_copy(
            update={
                "service": self.given.service.model_copy(update=service),
                "feed": self.given.feed.model_copy(update={"folder": data / "incoming"}),
                "fetch": (),
            }
        )

    @property
    def note(self) -> Path:
        """Where it is written down how far it has come."""
        return self.settings.service.data / "state" / "replay.json"

    def feeder(self, clock: Clock) -> Feeder:
        """Brings the files of the archive; raises SourceError."""
        table = self.given.feed
        archive = build.archive(table.name, table.folder, series=table.series or None)
        archive = remembered(archive, self.note.with_name("replay-archive.json"))
        entries = zip(archive.times, archive.catalogue.entries, strict=True)
        frames = played(
            [(time, entry.path) for time, entry in entries],
            start=self.start,
            stop=self.stop,
            before=(HISTORY - 1) * archive.cadence,
        )
        faults = Faults() if self.seed is None else replace(USUAL_FAULTS, seed=self.seed)
        return Feeder(
            faults.deliveries(frames), self.settings.feed.folder, clock=clock, note=self.note
        )

    @property
    def begin(self) -> np.datetime64:
        """The time at which the clock starts: where it stood when an earlier process ended."""
        return progress(self.note)[1] or self.start


def replay(playing: Playing) -> None:
    """Play until everything has been forecast; raises what ``service`` raises, and SourceError."""
    settings = playing.settings
    _prepare_children(settings)
    if playing.speed == 0:
        _replay_at_once(playing, settings)
        return
    woken, clock = Event(), SimulatedClock(playing.begin, playing.speed)
    feeder = playing.feeder(clock)
    around = replace(
        surroundings(settings), clock=clock, hand=_threads(woken), before_tick=(feeder,)
    )
    with service(settings, around) as served:
        metronome = _metronome(settings, served, woken)
        served.after_tick = (*around.after_tick, Conductor(clock, feeder, metronome))
        with _stopped_by_signals(metronome):
            metronome.run()


def _replay_at_once(playing: Playing, settings: ServiceSettings) -> None:
    clock = ManualClock(playing.begin)
    feeder = playing.feeder(clock)
    around = replace(surroundings(settings), clock=clock, before_tick=(feeder,))
    until = playing.stop + span(settings.feed.late_minutes) + np.timedelta64(1, "h")
    with service(settings, around) as served:
        as_fast_as_can_be(served, clock, feeder, until=until)


@contextmanager
def _stopped_by_signals(metronome: Metronome) -> Iterator[None]:
    """Let SIGTERM and SIGINT end the service after its present round."""
    before = {
        number: signal.signal(number, lambda *_: metronome.stop())
        for number in (signal.SIGTERM, signal.SIGINT)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _run(metronome: Metronome, watch: Watch) -> None:
    """Beat until told to stop; raises what the scheduler dies of."""
    watch.start()
    try:
        with _stopped_by_signals(metronome):
            metronome.run()
    finally:
        watch.stop()


@dataclass(frozen=True)
class Conductor:
    """Holds a replay's clock while work is in hand, and stops when all has been played.

    A replay loses no cycle for being faster than the machine: its time stands while something is
    read or forecast. It ends when every file has come and every cycle has ended.
    """

    clock: SimulatedClock
    feeder: Feeder
    metronome: Metronome

    def __call__(self, status: Status) -> None:
        """Look how things stand."""
        self.clock.hold(bool(status.busy or status.looking or status.states["ready"]))
        settled = sum(status.states.get(state, 0) for state in TERMINAL)
        open_cycles = sum(status.states.values()) - settled
        if self.feeder.next_at is None and not open_cycles and not status.waiting_files:
            self.metronome.stop()
