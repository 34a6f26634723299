"""What plugs into the service for those who run it: logs, metrics, health, and the closed loop."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from nowcast.field.errors import UsageError
from nowcast.service.accepted import inputs
from nowcast.service.frames import Frames
from nowcast.service.layout import Layout
from nowcast.service.ledger import Ledger
from nowcast.service.skill.forecasts import Accepted
from nowcast.service.skill.judging import Measure
from nowcast.service.skill.keepers import DayTables, SkillGate
from nowcast.service.skill.loop import SkillChore, SkillSettings
from nowcast.service.skill.preference import GateSettings, SkillPreference
from nowcast.service.skill.store import SkillStore

if TYPE_CHECKING:
    from pathlib import Path

    from config.service import ServiceSettings
    from nowcast.build_service import Surroundings
    from nowcast.service.accepted import Feed
    from nowcast.service.forecasting import Recipe

_EVER = np.datetime64("1900-01-01", "ns"), np.datetime64("2200-01-01", "ns")


def store_of(data: Path) -> SkillStore:
    """The sums of the service that works in a folder."""
    return SkillStore(data / "state" / "skill.sqlite")


def watched(
    around: Surroundings, settings: ServiceSettings, *, feed: Feed, recipe: Recipe
) -> Surroundings:
    """The surroundings with logs, metrics, the closed loop, and the health server if it is wanted.

    Raises UsageError where a library is missing.
    """
    try:
        from nowcast.service.operators import logs
        from nowcast.service.operators.health import Health, HealthServer
        from nowcast.service.operators.metrics import Metrics
    except ModuleNotFoundError as error:
        raise UsageError(
            f"the service needs {error.name}: pip install 'mim-nowcast[service]'"
        ) from error
    logs.set_up(settings.monitor.log)
    store = store_of(settings.service.data)
    metrics = Metrics(settings.service.data, feed.cadence_minutes * 60, store)
    around = replace(
        around,
        listeners=(*around.listeners, logs.tell, metrics.hear),
        after_tick=(*around.after_tick, metrics.note),
    )
    around = looped(around, settings, feed=feed, recipe=recipe)
    monitor = settings.monitor
    if not monitor.port:
        return around
    health = Health(metrics, settings.service.stall_seconds)
    return replace(around, beside=HealthServer(health, monitor.port, monitor.host))


def looped(
    around: Surroundings, settings: ServiceSettings, *, feed: Feed, recipe: Recipe
) -> Surroundings:
    """The surroundings with the closed loop, as far as the settings want it."""
    table, data = settings.skill, settings.service.data
    if not table.verify:
        return around
    store = store_of(data)
    gate = GateSettings(
        window_hours=table.window_hours,
        return_hours=table.return_hours,
        hold_hours=table.hold_hours,
        threshold_mm_h=table.threshold_mm_h,
    )
    keepers = (DayTables(store, data / "skill", table.keep_days),)
    chore = SkillChore(
        layout=Layout(data),
        store=store,
        accepted=AcceptedFrames(Layout(data), feed),
        recipe=recipe,
        methods=_compared(settings.forecast.methods),
        settings=SkillSettings(Measure(table.thresholds_mm_h, table.scales_cells)),
        keepers=(*keepers, SkillGate(store, gate)) if table.gate else keepers,
        listeners=around.listeners,
    )
    prefer = SkillPreference(store) if table.gate else around.prefer
    return replace(around, chores=(*around.chores, chore), prefer=prefer)


def _compared(methods: tuple[str, ...]) -> tuple[str, ...]:
    """The methods of the ladder, and the two that every forecast is measured by."""
    return tuple(dict.fromkeys((*methods, "extrapolation", "persistence")))


@dataclass(frozen=True)
class AcceptedFrames:
    """The frames that the ledger says are accepted, read on whichever thread asks."""

    layout: Layout
    feed: Feed

    def __call__(self) -> Accepted:
        """All of them; raises LedgerError."""
        with Ledger.opened(self.layout.ledger) as ledger:
            frames = Frames(ledger).between(*_EVER)
        return Accepted(inputs(frames, self.layout.root), self.feed)
