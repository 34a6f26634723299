"""The ledger's pages on cycles: what is to be forecast, and what became of it.

::

    waiting ──> ready ──> running ──> published   the first method answered, on whole input
       │          │  ^       │  ├───> degraded    something else answered, or on mended input
       │          │  └───────┘  └───> failed      nothing could
       └──────────┴─────────────────> expired     its frame never came, or came too late

The last four are terminal. A running cycle whose process died becomes ready again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

from nowcast.field.errors import LedgerError
from nowcast.service.clock import from_iso, iso
from nowcast.service.names import CycleId

if TYPE_CHECKING:
    import numpy as np

    from nowcast.service.ledger import Ledger, Row, Value

State = Literal["waiting", "ready", "running", "published", "degraded", "expired", "failed"]
STATES: tuple[State, ...] = get_args(State)
TERMINAL: tuple[State, ...] = ("published", "degraded", "expired", "failed")
STANDING: tuple[State, ...] = ("published", "degraded")
# From where each state is reached.
SOURCES: dict[State, tuple[State, ...]] = {
    "waiting": (),
    "ready": ("waiting", "running"),
    "running": ("ready",),
    "published": ("running",),
    "degraded": ("running",),
    "failed": ("running",),
    "expired": ("waiting", "ready"),
}


class Cycle(NamedTuple):
    """A row.

    Attributes:
        id: issue time and version.
        state: where it stands.
        attempt: how often it was begun.
        made, changed: when the row was made, and last changed.
        rung: the step of the ladder that answered.
        inputs: what its forecast rests on: the digests of its frames.
        reason: why it is not better than it is.

    """

    id: CycleId
    state: State
    attempt: int
    made: np.datetime64
    changed: np.datetime64
    rung: str
    inputs: str
    reason: str


@dataclass(frozen=True)
class Cycles:
    """Cycles as the ledger knows them."""

    ledger: Ledger

    def add(self, cycle: CycleId, *, state: State, now: np.datetime64, reason: str = "") -> bool:
        """Make a row where there is none; whether there was none."""
        return bool(
            self.ledger.change(
                "INSERT OR IGNORE INTO cycle (issue_time, version, state, made, changed, reason) "
                "VALUES (?, ?, ?, ?, ?, ?)",
                (iso(cycle.issue_time), cycle.version, state, iso(now), iso(now), reason),
            )
        )

    def move(
        self,
        cycle: CycleId,
        to: State,
        *,
        now: np.datetime64,
        rung: str = "",
        inputs: str = "",
        reason: str = "",
    ) -> None:
        """Change the state; raises LedgerError where that is not a way from where it stands."""
        marks = ", ".join("?" * len(SOURCES[to]))
        values: tuple[Value, ...] = (
            *(to, iso(now), rung, inputs, reason, int(to == "running")),
            iso(cycle.issue_time),
            cycle.version,
            *SOURCES[to],
        )
        changed = self.ledger.change(
            "UPDATE cycle SET state = ?, changed = ?, rung = ?, inputs = ?, reason = ?, "
            "attempt = attempt + ? "
            f"WHERE issue_time = ? AND version = ? AND state IN ({marks})",
            values,
        )
        if changed != 1:
            found = self.get(cycle)
            there = found.state if found else "not there"
            expected = " or ".join(SOURCES[to])
            raise LedgerError(f"cycle {cycle}: is {there}, expected {expected} to become {to}")

    def get(self, cycle: CycleId) -> Cycle | None:
        """The row, if there is one."""
        rows = self.ledger.rows(
            f"{_ROW} WHERE issue_time = ? AND version = ?", (iso(cycle.issue_time), cycle.version)
        )
        return _cycle(rows[0]) if rows else None

    def within(self, *states: State) -> list[Cycle]:
        """The cycles in any of some states, newest first; of one time the latest version first."""
        marks = ", ".join("?" * len(states))
        order = "ORDER BY issue_time DESC, version DESC"
        return [
            _cycle(row)
            for row in self.ledger.rows(f"{_ROW} WHERE state IN ({marks}) {order}", states)
        ]

    def between(self, start: np.datetime64, stop: np.datetime64) -> list[Cycle]:
        """The cycles issued from ``start`` to ``stop``, both included, oldest first."""
        rows = self.ledger.rows(
            f"{_ROW} WHERE issue_time BETWEEN ? AND ? ORDER BY issue_time, version",
            (iso(start), iso(stop)),
        )
        return [_cycle(row) for row in rows]

    def newest(self) -> np.datetime64 | None:
        """The latest issue time of any cycle."""
        ((latest,),) = self.ledger.rows("SELECT MAX(issue_time) FROM cycle")
        return None if latest is None else from_iso(str(latest))

    def counts(self) -> dict[str, int]:
        """Cycles by state, those without any included."""
        rows = self.ledger.rows("SELECT state, COUNT(*) FROM cycle GROUP BY state")
        return dict.fromkeys(STATES, 0) | {str(state): int(str(count)) for state, count in rows}

    def forget(self, before: np.datetime64) -> None:
        """Drop the terminal cycles issued before a time."""
        marks = ", ".join("?" * len(TERMINAL))
        self.ledger.change(
            f"DELETE FROM cycle WHERE issue_time < ? AND state IN ({marks})",
            (iso(before), *TERMINAL),
        )


_ROW = "SELECT issue_time, version, state, attempt, made, changed, rung, inputs, reason FROM cycle"


def _cycle(row: Row) -> Cycle:
    issue_time, version, state, attempt, made, changed, rung, inputs, reason = map(str, row)
    return Cycle(
        CycleId(from_iso(issue_time), int(version)),
        state,  # type: ignore[arg-type]  # the table allows these states alone
        int(attempt),
        from_iso(made),
        from_iso(changed),
        rung,
        inputs,
        reason,
    )
