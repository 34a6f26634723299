"""What is made of the sums now and then, in child processes: tables of days, and a decision."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import numpy as np

from nowcast.field.atomic import make_folder
from nowcast.service.child import Limits, call
from nowcast.service.skill.preference import GateSettings

if TYPE_CHECKING:
    from pathlib import Path

    from nowcast.service.skill.store import SkillStore

_DAY = np.timedelta64(1, "D")
_LIMITS = Limits(seconds=300.0, niceness=10)


class Keeper(Protocol):
    """What is made of the sums."""

    def keep(self, now: np.datetime64) -> bool:
        """Do one piece of work; whether there was any to do."""
        ...


@dataclass
class DayTables:
    """Writes ``skill/YYYY-MM-DD.csv``, and again when more of a day has been scored.

    Attributes:
        store: where the sums are.
        folder: of the tables.
        keep_days: how long sums are kept; tables stay.
        pause_minutes: between two tables of the same day.

    """

    store: SkillStore
    folder: Path
    keep_days: float = 40.0
    pause_minutes: float = 15.0
    _written: dict[np.datetime64, np.datetime64] = field(default_factory=dict)

    def keep(self, now: np.datetime64) -> bool:
        """Write the oldest table that is not up to date; whether there was any."""
        today = now.astype("datetime64[D]")
        for day in (today - _DAY, today):
            if not _is_within(self._written.get(day), now, self.pause_minutes):
                self._written[day] = now
                if call(write_table, self.store, day, self.folder, limits=_LIMITS):
                    self.store.prune(before=now - _minutes(self.keep_days * 1440))
                    return True
        return False


def write_table(store: SkillStore, day: np.datetime64, folder: Path) -> bool:
    """Write the table of a day, if there is more to say than it says; whether it was written.

    Raises StoreError, and ProductError where the table cannot be written.
    """
    from nowcast.service.skill.report import bounds, read_day  # noqa: PLC0415 - loads pandas
    from nowcast.verify.table import write_csv  # noqa: PLC0415

    start, stop = bounds(day)
    rows = store.count(start=start, stop=stop)
    if rows == store.rows_in_table(str(day)):
        return False
    write_csv(read_day(store, day).scores(), make_folder(folder) / f"{day}.csv")
    store.table_written(str(day), rows=rows)
    return True


@dataclass
class SkillGate:
    """Has it decided every few minutes which method is preferred."""

    store: SkillStore
    settings: GateSettings = field(default_factory=GateSettings)
    pause_minutes: float = 15.0
    _decided: np.datetime64 | None = None

    def keep(self, now: np.datetime64) -> bool:
        """Have it decided, if it is time; no work worth another round."""
        if not _is_within(self._decided, now, self.pause_minutes):
            self._decided = now
            call(decide_anew, self.store, now, self.settings, limits=_LIMITS)
        return False


def decide_anew(store: SkillStore, now: np.datetime64, settings: GateSettings) -> None:
    """Decide which method is preferred; raises StoreError."""
    from nowcast.service.skill.contest import decide  # noqa: PLC0415 - loads the verification

    decide(store, now, settings)


def _is_within(last: np.datetime64 | None, now: np.datetime64, minutes: float) -> bool:
    """Whether ``last`` was less than so many minutes ago: not so where the clock was set back."""
    return last is not None and bool(np.timedelta64(0) <= now - last < _minutes(minutes))


def _minutes(count: float) -> np.timedelta64:
    return np.timedelta64(round(count * 60), "s")
