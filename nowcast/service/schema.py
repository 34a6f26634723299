"""The ledger's tables, and how those of an earlier version become today's.

Each entry of ``MIGRATIONS`` leads from one version to the next; the version stands in SQLite's
``user_version``. An entry that was released is never changed: a new one follows it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nowcast.field.errors import LedgerError

if TYPE_CHECKING:
    import sqlite3

_FIRST = """
-- What was last said of a file in the feed's folder, so that it is not read twice.
CREATE TABLE file (
    path TEXT PRIMARY KEY,
    bytes INTEGER NOT NULL,
    written_ns INTEGER NOT NULL,
    sha256 TEXT NOT NULL,
    verdict TEXT NOT NULL CHECK (verdict IN ('accepted', 'duplicate', 'rejected', 'left')),
    reason TEXT NOT NULL,
    looked TEXT NOT NULL
) STRICT;

-- Contents that were seen for a valid time; revisions count from 1.
CREATE TABLE frame (
    valid_time TEXT NOT NULL,
    revision INTEGER NOT NULL CHECK (revision >= 1),
    sha256 TEXT NOT NULL,
    path TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    seen TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('accepted', 'rejected')),
    reason TEXT NOT NULL,
    PRIMARY KEY (valid_time, revision),
    UNIQUE (valid_time, sha256)
) STRICT;

-- One row a forecast that is, or was, to be made; versions count from 1.
CREATE TABLE cycle (
    issue_time TEXT NOT NULL,
    version INTEGER NOT NULL CHECK (version >= 1),
    state TEXT NOT NULL CHECK (
        state IN ('waiting', 'ready', 'running', 'published', 'degraded', 'expired', 'failed')
    ),
    attempt INTEGER NOT NULL DEFAULT 0,
    made TEXT NOT NULL,
    changed TEXT NOT NULL,
    rung TEXT NOT NULL DEFAULT '',
    inputs TEXT NOT NULL DEFAULT '',
    reason TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (issue_time, version)
) STRICT;
CREATE INDEX cycle_state ON cycle (state, issue_time);

CREATE TABLE fact (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
"""

MIGRATIONS = (_FIRST,)
VERSION = len(MIGRATIONS)


def migrate(connection: sqlite3.Connection, *, path: str) -> None:
    """Bring the tables up to date, in one transaction; raises LedgerError for a newer version."""
    (found,) = connection.execute("PRAGMA user_version").fetchone()
    if found > VERSION:
        raise LedgerError(
            f"{path}: written by a newer version (schema {found}, this program knows {VERSION}): "
            "run that version, or set the file aside to begin anew"
        )
    if found == VERSION:
        return
    steps = "".join(MIGRATIONS[found:])
    connection.executescript(f"BEGIN IMMEDIATE; {steps} PRAGMA user_version = {VERSION}; COMMIT;")
