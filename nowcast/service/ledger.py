"""The service's memory: one SQLite file that survives whatever kills the process.

Every change is one transaction that is on the disk when it returns (WAL, synchronous FULL). What
the tables hold is in ``schema``; frames are kept by ``frames``, cycles by ``cycles``.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nowcast.field import sqlite
from nowcast.field.atomic import make_folder
from nowcast.field.errors import LedgerError
from nowcast.service import schema

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

Value = str | int | float | bytes | None
Row = tuple[Value, ...]


@dataclass(frozen=True)
class Ledger:
    """An open ledger; for one thread at a time."""

    path: Path
    connection: sqlite3.Connection

    @classmethod
    @contextmanager
    def opened(cls, path: Path, *, busy_seconds: float = sqlite.BUSY_SECONDS) -> Iterator[Ledger]:
        """The ledger in a file, made where there is none, its tables brought up to date.

        Raises LedgerError where it is damaged, of a newer version, or cannot be written.
        """
        make_folder(path.parent)
        with _explained(path):
            connection = sqlite.connect(path, busy_seconds=busy_seconds)
        with closing(connection):
            with _explained(path):
                schema.migrate(connection, path=str(path))
            yield cls(path, connection)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """What is changed inside happens altogether or not at all; raises LedgerError."""
        with _explained(self.path), sqlite.transaction(self.connection):
            yield

    def rows(self, query: str, values: Sequence[Value] = ()) -> list[Row]:
        """The answer to a query; raises LedgerError."""
        with _explained(self.path):
            return self.connection.execute(query, values).fetchall()

    def change(self, statement: str, values: Sequence[Value] = ()) -> int:
        """How many rows a statement changed; raises LedgerError."""
        with _explained(self.path):
            return self.connection.execute(statement, values).rowcount

    def fact(self, name: str) -> str:
        """A remembered text, empty where there is none."""
        found = self.rows("SELECT value FROM fact WHERE name = ?", (name,))
        return str(found[0][0]) if found else ""

    def remember(self, name: str, value: str) -> None:
        """Keep a text under a name."""
        self.change("INSERT OR REPLACE INTO fact (name, value) VALUES (?, ?)", (name, value))

    def problems(self) -> list[str]:
        """What SQLite finds wrong with the file, empty for a sound one."""
        found = [str(row[0]) for row in self.rows("PRAGMA integrity_check")]
        return [] if found == ["ok"] else found


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Every failure of SQLite as a LedgerError that says what to do."""
    try:
        yield
    except sqlite3.OperationalError as error:
        remedy = "see whether the disk is full and who else has the file open"
        raise LedgerError(f"{path}: {error}: {remedy}") from error
    except sqlite3.DatabaseError as error:
        raise LedgerError(
            f"{path}: {error}: the ledger is damaged; set it aside, and the service begins anew "
            "(what is published stays)"
        ) from error
