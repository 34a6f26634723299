"""The sums of verified forecasts, a row a lead and method: what skill is read off.

A row is written once. Who scores a lead a second time, after a crash or in another process, finds
the row there and adds nothing. All rows of a lead are written in one transaction, so the methods
are always compared on the same leads.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from nowcast.field import sqlite
from nowcast.field.errors import StoreError
from nowcast.verify.packing import Layout

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from nowcast.verify.tally import Tally

SCHEMA_VERSION = 1
_SCHEMA = """
CREATE TABLE layout (id INTEGER PRIMARY KEY, described TEXT NOT NULL UNIQUE) STRICT;
CREATE TABLE score (
    cycle TEXT NOT NULL,            -- the published folder: 20150515T1720Z, 20150515T1720Z.v2
    issued INTEGER NOT NULL,        -- seconds since 1970, UTC
    version INTEGER NOT NULL,
    lead_seconds INTEGER NOT NULL,
    method TEXT NOT NULL,
    published INTEGER NOT NULL,     -- 1 where this method's forecast is the one that was published
    layout INTEGER NOT NULL REFERENCES layout (id),
    sums BLOB NOT NULL,
    PRIMARY KEY (cycle, lead_seconds, method)
) STRICT, WITHOUT ROWID;
CREATE INDEX score_by_issue ON score (issued);
CREATE TABLE preference (
    decided INTEGER PRIMARY KEY,    -- seconds since 1970, UTC
    method TEXT NOT NULL,
    reason TEXT NOT NULL
) STRICT;
CREATE TABLE day (day TEXT PRIMARY KEY, rows INTEGER NOT NULL) STRICT, WITHOUT ROWID;
"""
_SECOND = np.timedelta64(1, "s")


@dataclass(frozen=True)
class Scored:
    """One lead of one published forecast, scored: the sums of each method on the same pixels.

    Attributes:
        cycle: the name of the published folder.
        issued: the issue time (UTC).
        version: 1, or more where the forecast was issued again.
        lead: from issue to validity.
        published: the method whose forecast was published.
        layout: how the sums are packed.
        sums: of each method.

    """

    cycle: str
    issued: np.datetime64
    version: int
    lead: np.timedelta64
    published: str
    layout: Layout
    sums: Mapping[str, bytes]


@dataclass(frozen=True)
class Decision:
    """Which method was preferred from a time on, and why."""

    decided: np.datetime64
    method: str
    reason: str


@dataclass(frozen=True)
class SkillStore:
    """The file of the sums; made when first written to.

    Every method raises StoreError where the file is damaged, locked for long, of a newer version,
    or cannot be written.
    """

    path: Path

    def add(self, scored: Sequence[Scored]) -> int:
        """Write what is not there yet; how many rows that were."""
        with self._writing() as database:
            fresh = [one for one in scored if not _is_scored(database, one)]
            rows = [row for one in fresh for row in _rows_of(one, _layout_id(database, one.layout))]
            database.executemany("INSERT INTO score VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)
        return len(rows)

    def scored_leads(self, *, since: np.datetime64) -> dict[str, set[int]]:
        """Which leads (s) of each published forecast have been scored, of those issued since."""
        with self._reading() as database:
            rows = database.execute(
                "SELECT DISTINCT cycle, lead_seconds FROM score WHERE issued >= ?",
                (seconds(since),),
            ).fetchall()
        found: dict[str, set[int]] = {}
        for cycle, lead in rows:
            found.setdefault(cycle, set()).add(lead)
        return found

    def tallies(self, *, start: np.datetime64, stop: np.datetime64) -> dict[str, list[Tally]]:
        """The tallies of each method, one an issue time, of forecasts issued in (start, stop].

        All methods have the same issue times and leads: one that a method lacks is left out of all
        of them, and so is a method that has less than half of what another one has: it stood in
        now and then, and would leave next to nothing to compare the others on. Of a forecast that
        was issued again the first version counts, which is what there was in time. Sums of other
        thresholds or scales than the newest ones are left out.
        """
        return _tallies(self._rows(start, stop))

    def published_tallies(self, *, start: np.datetime64, stop: np.datetime64) -> list[Tally]:
        """The tallies of what was published, whichever method it was, issued in (start, stop]."""
        rows = [
            row._replace(method="published") for row in self._rows(start, stop) if row.published
        ]
        return _tallies(rows).get("published", [])

    def count(self, *, start: np.datetime64, stop: np.datetime64) -> int:
        """How many rows there are of forecasts issued in (start, stop]."""
        with self._reading() as database:
            found: int = database.execute(
                "SELECT count(*) FROM score WHERE issued > ? AND issued <= ?",
                (seconds(start), seconds(stop)),
            ).fetchone()[0]
        return found

    def latest(self) -> np.datetime64 | None:
        """The newest issue time of which a lead has been scored."""
        with self._reading() as database:
            (newest,) = database.execute("SELECT max(issued) FROM score").fetchone()
        return None if newest is None else np.datetime64(newest, "s")

    def decide(self, decision: Decision) -> None:
        """Keep which method is preferred from now on."""
        with self._writing() as database:
            database.execute(
                "INSERT OR REPLACE INTO preference VALUES (?, ?, ?)",
                (seconds(decision.decided), decision.method, decision.reason),
            )

    def decision(self) -> Decision | None:
        """The last decision; None where there was none."""
        with self._reading() as database:
            row = database.execute(
                "SELECT decided, method, reason FROM preference ORDER BY decided DESC LIMIT 1"
            ).fetchone()
        return None if row is None else Decision(np.datetime64(row[0], "s"), row[1], row[2])

    def rows_in_table(self, day: str) -> int:
        """How many rows the table of a day was made of when it was last written."""
        with self._reading() as database:
            row = database.execute("SELECT rows FROM day WHERE day = ?", (day,)).fetchone()
        return 0 if row is None else int(row[0])

    def table_written(self, day: str, *, rows: int) -> None:
        """Remember how many rows the table of a day was made of."""
        with self._writing() as database:
            database.execute("INSERT OR REPLACE INTO day VALUES (?, ?)", (day, rows))

    def prune(self, *, before: np.datetime64) -> int:
        """Forget what was issued before a time; how many rows that were."""
        with self._writing() as database:
            gone = database.execute("DELETE FROM score WHERE issued < ?", (seconds(before),))
            return gone.rowcount

    def check(self) -> str:
        """What SQLite finds wrong with the file: ``ok`` where nothing is."""
        with self._reading() as database:
            found: str = database.execute("PRAGMA integrity_check").fetchone()[0]
        return found

    def _rows(self, start: np.datetime64, stop: np.datetime64) -> list[_Row]:
        """The rows of the first versions in the newest layout."""
        with self._reading() as database:
            rows = database.execute(
                "SELECT cycle, issued, version, lead_seconds, method, published, layout, sums"
                " FROM score WHERE issued > ? AND issued <= ?"
                " ORDER BY issued, version, lead_seconds",
                (seconds(start), seconds(stop)),
            ).fetchall()
            layouts = dict(database.execute("SELECT id, described FROM layout").fetchall())
        newest = max((row[6] for row in rows), default=None)
        first: dict[int, str] = {}
        for cycle, issued, *_ in rows:
            first.setdefault(issued, cycle)
        if newest is None:
            return []
        layout = Layout.from_json(layouts[newest])
        return [
            _Row(issued, lead, method, bool(published), layout, sums)
            for cycle, issued, _, lead, method, published, laid, sums in rows
            if laid == newest and first[issued] == cycle
        ]

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        """A connection to a file of this version: an empty one in memory where there is no file."""
        with self._explained():
            there = self.path.exists()
            name = f"{self.path.absolute().as_uri()}?mode=ro" if there else ":memory:"
            with closing(sqlite3.connect(name, uri=True, timeout=10)) as database:
                if not there or _version(database) == 0:
                    database.close()
                    with closing(sqlite3.connect(":memory:")) as empty:
                        empty.executescript(_SCHEMA)
                        yield empty
                    return
                self._check_version(database)
                yield database

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction, on the disk when the block is left; undone where the block raises."""
        with (
            self._explained(),
            closing(sqlite.connect(self.path)) as database,
            sqlite.transaction(database),
        ):
            if _version(database) == 0:
                for statement in _SCHEMA.split(";\n"):
                    database.execute(statement)
                database.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
            self._check_version(database)
            yield database

    def _check_version(self, database: sqlite3.Connection) -> None:
        found = _version(database)
        if found != SCHEMA_VERSION:
            raise StoreError(
                f"{self.path}: sums of version {found}, expected {SCHEMA_VERSION}: written by "
                "another release of mim-nowcast; use that one, or move the file away to begin anew"
            )

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise StoreError(
                f"{self.path}: cannot be used: {error}; if it is damaged, move it away: the sums "
                "are counted anew from the forecasts that are still there"
            ) from error


def seconds(time: np.datetime64) -> int:
    """A time (UTC) as whole seconds since 1970."""
    return int(time.astype("datetime64[s]").astype(np.int64))


class _Row(NamedTuple):
    """One lead of one method."""

    issued: int
    lead_seconds: int
    method: str
    published: bool
    layout: Layout
    sums: bytes


def _tallies(rows: Sequence[_Row]) -> dict[str, list[Tally]]:
    """Method -> a tally an issue time, all of the same times and leads."""
    if not rows:
        return {}
    counts = Counter(row.method for row in rows)
    methods = sorted(method for method, n in counts.items() if 2 * n >= max(counts.values()))
    held = {(row.method, row.issued, row.lead_seconds): row for row in rows}
    places = {(row.issued, row.lead_seconds) for row in rows}
    common = sorted(p for p in places if all((method, *p) in held for method in methods))
    leads = sorted({lead for _, lead in places})
    times = sorted({issued for issued, _ in common})
    layout = rows[0].layout
    made: dict[str, list[Tally]] = {method: [] for method in methods}
    for method in methods:
        numbers = {time: np.zeros((len(leads), layout.size)) for time in times}
        for issued, lead in common:
            packed = held[method, issued, lead].sums
            numbers[issued][leads.index(lead)] = layout.unpack(packed)
        for time in times:
            made[method].append(_tally(layout, method, numbers[time], leads=leads, issued=time))
    return {method: tallies for method, tallies in made.items() if tallies}


def _tally(
    layout: Layout, method: str, numbers: NDArray[np.float64], *, leads: list[int], issued: int
) -> Tally:
    stamp = np.datetime64(issued, "s").astype("datetime64[m]")
    return layout.tally(
        numbers,
        method=method,
        lead_minutes=[lead / 60 for lead in leads],
        issued=[f"{stamp}Z"],
    )


def _rows_of(one: Scored, layout: int) -> Iterator[tuple[object, ...]]:
    issued, lead = seconds(one.issued), int(one.lead / _SECOND)
    for method, sums in sorted(one.sums.items()):
        published = int(method == one.published)
        yield one.cycle, issued, one.version, lead, method, published, layout, sums


def _layout_id(database: sqlite3.Connection, layout: Layout) -> int:
    text = layout.to_json()
    database.execute("INSERT OR IGNORE INTO layout (described) VALUES (?)", (text,))
    row = database.execute("SELECT id FROM layout WHERE described = ?", (text,)).fetchone()
    return int(row[0])


def _is_scored(database: sqlite3.Connection, one: Scored) -> bool:
    found = database.execute(
        "SELECT 1 FROM score WHERE cycle = ? AND lead_seconds = ? LIMIT 1",
        (one.cycle, int(one.lead / _SECOND)),
    )
    return found.fetchone() is not None


def _version(database: sqlite3.Connection) -> int:
    version: int = database.execute("PRAGMA user_version").fetchone()[0]
    return version
