"""The rolling service put together: settings become objects, and what plugs in is plugged in."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from config.service import ServiceSettings, read_settings
from nowcast import build
from nowcast.build_operators import watched
from nowcast.cycle import HISTORY
from nowcast.field.errors import UsageError
from nowcast.field.lock import only_one
from nowcast.service import child
from nowcast.service.accepted import Feed
from nowcast.service.arrival import Arrivals
from nowcast.service.chores import Chores
from nowcast.service.clock import Clock, SystemClock
from nowcast.service.cycles import Cycles
from nowcast.service.desk import Desk, Terms
from nowcast.service.frames import Frames
from nowcast.service.hands import Hand, InlineHand
from nowcast.service.intake import Intake
from nowcast.service.layout import Layout
from nowcast.service.ledger import Ledger
from nowcast.service.look import Look
from nowcast.service.planning import Planner, span
from nowcast.service.publish import Publisher
from nowcast.service.reconcile import Service
from nowcast.service.retention import Retention
from nowcast.service.slow import SlowProducts
from nowcast.service.spool import Spool
from nowcast.service.steady import SteadyClock
from nowcast.service.worker import Worker

if TYPE_CHECKING:
    from nowcast.field.schema import Forecast, Radar
    from nowcast.forecast.base import Nowcaster
    from nowcast.products.base import Product
    from nowcast.service.aside import Call
    from nowcast.service.hooks import AfterTick, Chore, Event, Listener, Preference
    from nowcast.service.quality import Gate
    from nowcast.service.rebuild import Rebuilt
    from stations.station import Station

_GIB = 2**30
_SLOW_SECONDS = 300.0


def settings(path: Path) -> ServiceSettings:
    """The settings in a file; raises UsageError with a line for every wrong key."""
    with build.as_usage():
        return read_settings(path)


@dataclass(frozen=True)
class ServiceRecipe:
    """What the service's children make of names; small enough to be sent to them.

    Attributes:
        settings: which names.
        stations: the places whose rain timelines are published; read once, when the service starts,
            so that a list that is edited or lost meanwhile stops no forecast.

    """

    settings: ServiceSettings
    stations: tuple[Station, ...] = ()

    def nowcaster(self, method: str) -> Nowcaster:
        """The method of that name; persistence loads no torch."""
        if method == "persistence":
            from nowcast.forecast.persistence import Persistence

            return Persistence()
        table = self.settings.forecast
        options = build.MethodOptions(weights=table.weights, probabilities=table.probabilities)
        return build.nowcaster(method, options)

    def products(self, past: Radar) -> Sequence[Product]:
        """What is written before the forecast is out; timelines begin with the newest frame."""
        whole = build.products(maps=False)
        if not self.stations:
            return whole
        forms = build.points(self.stations, source=None)
        return (*whole, *(replace(form, newest=lambda issued: past) for form in forms))  # noqa: ARG005

    def followers(self) -> Sequence[Product]:
        """What follows it."""
        table = self.settings.products
        return build.products(maps=table.maps, cog=table.cog, zarr=table.zarr)[1:]

    def check(self, forecast: Forecast, past: Radar) -> None:
        """Raise MethodError for a forecast that must not be published."""
        self.gate().check_forecast(forecast, past)

    def gate(self) -> Gate:
        """What refuses frames and forecasts that cannot be right."""
        from nowcast.service import quality

        return quality.Gate(quality.Thresholds(**self.settings.quality.model_dump()))


@dataclass(frozen=True)
class Surroundings:
    """What a service is given besides its settings.

    Attributes:
        clock: the time.
        call: how functions are called in a child process.
        hand: makes a hand of that name, which wakes the service when it is done.
        listeners: are told of what happens.
        before_tick, after_tick: what else is done around a tick.
        chores: what is done while nothing live is due, besides the maps.
        prefer: which method to begin with.
        beside: what stands beside a live service and ends with it, as its health server does.

    """

    clock: Clock = field(default_factory=SystemClock)
    call: Call = child.call
    hand: Callable[[str], Hand] = lambda name: InlineHand()  # noqa: ARG005
    listeners: tuple[Listener, ...] = ()
    before_tick: tuple[Callable[[], None], ...] = ()
    after_tick: tuple[AfterTick, ...] = ()
    chores: tuple[Chore, ...] = ()
    prefer: Preference = lambda now: ("", "")  # noqa: ARG005
    beside: AbstractContextManager[object] = field(default_factory=nullcontext)

    def hear(self, event: Event) -> None:
        """Tell every listener."""
        for listener in self.listeners:
            listener(event)


@contextmanager
def service(settings: ServiceSettings, around: Surroundings) -> Iterator[Service]:
    """The service, its folder locked and its ledger open.

    Raises BusyError where another one works there, LedgerError, UsageError, ProductError, and
    SourceError where the list of stations cannot be used.
    """
    layout, listed = Layout(settings.service.data), settings.products.stations
    recipe = ServiceRecipe(settings, build.stations(listed) if listed else ())
    busy = f"{layout.root}: another service works there: stop it, or give this one its own folder"
    with only_one(layout.lock, busy=busy), Ledger.opened(layout.ledger) as ledger:
        publisher = Publisher(layout)
        publisher.prepare()
        yield _Assembly(settings, around, publisher, ledger, recipe).service()


def rebuilt(settings: ServiceSettings, cycle: str) -> Rebuilt:
    """A published forecast made once more; raises UsageError, SourceError and MethodError."""
    from nowcast.service import names, published, rebuild

    found, layout = names.parse(cycle), Layout(settings.service.data)
    if found is None:
        raise UsageError(f"{cycle!r} is no cycle, expected a name like 20260601T1225Z")
    with TemporaryDirectory(prefix="nowcast-") as folder:
        return rebuild.rebuild(
            published.open_cycle(layout, found),
            layout,
            feed=feed_of(settings),
            recipe=ServiceRecipe(settings),
            into=Path(folder),
        )


@dataclass(frozen=True)
class _Assembly:
    """The parts of one service, each made of the settings that concern it."""

    settings: ServiceSettings
    around: Surroundings
    publisher: Publisher
    ledger: Ledger
    recipe: ServiceRecipe

    def service(self) -> Service:
        around = self.around
        intake, planner, desk = self._intake(), self._planner(), self._desk()
        return Service(
            steady=SteadyClock(around.clock, late=planner.late),
            intake=intake,
            looking=around.hand("look"),
            planner=planner,
            desk=desk,
            chores=Chores(self._chores(), around.hand("chore"), around.clock, around.hear),
            retention=self._retention(planner),
            heard=around.hear,
            before_tick=around.before_tick,
            after_tick=around.after_tick,
        )

    @property
    def feed(self) -> Feed:
        """What comes in."""
        return feed_of(self.settings)

    def _intake(self) -> Intake:
        table, frames = self.settings.feed, Frames(self.ledger)
        profile = self.feed.profile
        return Intake(
            frames=frames,
            arrivals=Arrivals(table.folder, profile, table.settle_seconds, dict(frames.judged())),
            spool=Spool(self.publisher.layout, round(table.file_mib * 2**20)),
            look=Look(profile, ServiceRecipe(self.settings).gate),
            call=self.around.call,
            limits=child.Limits(table.decode_seconds, round(table.decode_gib * _GIB)),
            patience_seconds=table.patience_seconds,
            heard=self.around.hear,
            root=self.publisher.layout.root,
            series=table.series,
        )

    def _planner(self) -> Planner:
        table = self.settings.feed
        return Planner(
            frames=Frames(self.ledger),
            cycles=Cycles(self.ledger),
            cadence=self.feed.cadence,
            grace=span(table.grace_seconds / 60),
            late=span(table.late_minutes),
            revision=span(table.revision_minutes),
        )

    def _desk(self) -> Desk:
        table, feed = self.settings.forecast, self.feed
        memory = round(table.memory_gib * _GIB)
        worker = Worker(
            methods=table.methods,
            recipe=self.recipe,
            call=self.around.call,
            first=child.Limits(table.deadline_seconds, memory),
            later=child.Limits(table.fallback_seconds, memory),
            heard=self.around.hear,
        )
        terms = Terms(
            domain=self.settings.service.domain,
            feed=feed,
            leads=table.leads,
            config_sha256=self.settings.sha256,
            attempts=table.attempts,
            reach=(HISTORY + 1) * feed.cadence,
        )
        return Desk(
            frames=Frames(self.ledger),
            cycles=Cycles(self.ledger),
            publisher=self.publisher,
            worker=worker,
            hand=self.around.hand("forecast"),
            terms=terms,
            clock=self.around.clock,
            heard=self.around.hear,
            prefer=self.around.prefer,
        )

    def _chores(self) -> tuple[Chore, ...]:
        table = self.settings.products
        if not (table.maps or table.cog or table.zarr):
            return self.around.chores
        memory = round(self.settings.forecast.memory_gib * _GIB)
        maps = SlowProducts(
            publisher=self.publisher,
            recipe=ServiceRecipe(self.settings),
            call=self.around.call,
            limits=child.Limits(_SLOW_SECONDS, memory),
            oldest=span(self.settings.feed.late_minutes),
            heard=self.around.hear,
        )
        return (maps, *self.around.chores)

    def _retention(self, planner: Planner) -> Retention:
        table = self.settings.retention
        return Retention(
            publisher=self.publisher,
            frames=planner.frames,
            cycles=planner.cycles,
            keep=span(60 * table.published_hours),
            keep_rows=span(24 * 60 * table.ledger_days),
            quarantine_files=table.quarantine_files,
            free_bytes=round(table.free_gib * _GIB),
            reach=planner.oldest_input,
            heard=self.around.hear,
        )


def feed_of(settings: ServiceSettings) -> Feed:
    """What comes in; raises UsageError where the time between frames is not known."""
    table = settings.feed
    profile = build.feed(table.name)
    cadence = table.cadence_minutes or profile.cadence_minutes
    if cadence is None:
        raise UsageError(
            f"feed {table.name} states no cadence: give feed.cadence_minutes in the settings"
        )
    return Feed(profile, table.series, cadence)


def surroundings(settings: ServiceSettings) -> Surroundings:
    """What plugs into a service, live or in a replay: logs, metrics, the closed loop.

    Raises UsageError where a library is missing.
    """
    recipe = ServiceRecipe(settings)
    return watched(Surroundings(), settings, feed=feed_of(settings), recipe=recipe)
