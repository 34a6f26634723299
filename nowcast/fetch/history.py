"""Which files of a source have been fetched, remembered over restarts."""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from nowcast.field import sqlite
from nowcast.field.errors import ProductError

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterator
    from pathlib import Path

    from nowcast.fetch.base import Remote

_SCHEMA = """
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS fetched (
    remote TEXT NOT NULL,       -- as the server calls it
    tag TEXT NOT NULL,          -- the version of it that the listing showed
    local TEXT NOT NULL,        -- as it is called here
    path TEXT NOT NULL,         -- where it went, relative to the folder
    sha256 TEXT NOT NULL,
    validator TEXT NOT NULL,    -- what to say to be told whether it has changed
    valid TEXT NOT NULL,        -- UTC, ISO 8601
    PRIMARY KEY (remote, tag, sha256)
) STRICT;
CREATE INDEX IF NOT EXISTS fetched_local ON fetched (local);
PRAGMA user_version = 1;
COMMIT;
"""


@dataclass(frozen=True)
class Known:
    """A file that was fetched: what it was, where it went, and what told its version."""

    local: str
    path: str
    sha256: str
    validator: str


@dataclass(frozen=True)
class History:
    """The files of one source; one process writes it at a time, and closes it in the end."""

    path: Path

    def seen(self, since: dt.datetime) -> set[tuple[str, str]]:
        """The name and tag of every version that has been fetched, of frames of then or later."""
        with self._opened() as database:
            rows = database.execute(
                "SELECT remote, tag FROM fetched WHERE valid >= ?", (since.isoformat(),)
            )
            return set(rows.fetchall())

    def validator(self, name: str) -> str:
        """What the server called the newest version that was fetched; empty for a new file."""
        with self._opened() as database:
            rows = database.execute(
                "SELECT validator FROM fetched WHERE remote = ? ORDER BY rowid DESC LIMIT 1",
                (name,),
            )
            row = rows.fetchone()
        return str(row[0]) if row else ""

    def versions(self, local: str) -> dict[str, str]:
        """The paths of the versions of a file here, by their sha256."""
        with self._opened() as database:
            rows = database.execute(
                "SELECT sha256, path FROM fetched WHERE local = ? ORDER BY rowid", (local,)
            )
            return dict(rows.fetchall())

    def add(self, remote: Remote, known: Known, *, valid: dt.datetime) -> None:
        """Remember a version."""
        row = (remote.name, remote.tag, known.local, known.path, known.sha256, known.validator)
        with self._opened() as database:
            database.execute(
                "INSERT OR REPLACE INTO fetched VALUES (?, ?, ?, ?, ?, ?, ?)",
                (*row, valid.isoformat()),
            )

    def still(self, remote: Remote) -> None:
        """Remember that the newest known version goes by this tag now, too."""
        with self._opened() as database:
            database.execute(
                "INSERT OR IGNORE INTO fetched SELECT remote, ?, local, path, sha256, validator, "
                "valid FROM fetched WHERE remote = ? ORDER BY rowid DESC LIMIT 1",
                (remote.tag, remote.name),
            )

    def forget(self, before: dt.datetime) -> None:
        """Drop what no listing will be asked about again."""
        with self._opened() as database:
            database.execute("DELETE FROM fetched WHERE valid < ?", (before.isoformat(),))

    def close(self) -> None:
        """Close the file; asked again, it is opened again."""
        if "_database" in self.__dict__:
            self._database.close()
            del self.__dict__["_database"]

    @cached_property
    def _database(self) -> sqlite3.Connection:
        database = sqlite.connect(self.path)
        if database.execute("PRAGMA user_version").fetchone()[0] == 0:
            database.executescript(_SCHEMA)
        return database

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        try:
            yield self._database
        except sqlite3.Error as error:
            raise ProductError(
                f"{self.path}: the list of fetched files cannot be used: {error}; if it is broken, "
                "remove it: what is fetched again is recognised by its content"
            ) from error
