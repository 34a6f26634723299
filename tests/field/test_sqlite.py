"""SQLite files: all or nothing, and what another process finds of it."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from nowcast.field import sqlite


def numbers(path: Path) -> list[int]:
    """What somebody else finds in the file."""
    with closing(sqlite3.connect(path)) as other:
        return [row[0] for row in other.execute("SELECT number FROM kept ORDER BY number")]


def test_a_transaction_happens_altogether_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "file.sqlite"
    with closing(sqlite.connect(path)) as connection:
        connection.execute("CREATE TABLE kept (number INTEGER) STRICT")
        connection.execute("INSERT INTO kept VALUES (1)")
        with sqlite.transaction(connection):
            connection.execute("INSERT INTO kept VALUES (2)")
            assert numbers(path) == [1]
        with pytest.raises(KeyboardInterrupt), sqlite.transaction(connection):  # noqa: PT012
            connection.execute("INSERT INTO kept VALUES (3)")
            raise KeyboardInterrupt
        assert numbers(path) == [1, 2]
        with sqlite.transaction(connection):
            connection.execute("INSERT INTO kept VALUES (4)")
        assert numbers(path) == [1, 2, 4]


def test_what_was_committed_survives_a_process_that_ends_at_once(tmp_path: Path) -> None:
    path = tmp_path / "file.sqlite"
    code = (
        "import os, sys; from pathlib import Path; from nowcast.field import sqlite\n"
        "connection = sqlite.connect(Path(sys.argv[1]))\n"
        "connection.execute('CREATE TABLE kept (number INTEGER) STRICT')\n"
        "connection.execute('INSERT INTO kept VALUES (1)')\n"
        "connection.execute('BEGIN IMMEDIATE')\n"
        "connection.execute('INSERT INTO kept VALUES (2)')\n"
        "os.kill(os.getpid(), 9)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, path], check=False)
    assert done.returncode == -9
    assert numbers(path) == [1]


def test_a_file_that_somebody_holds_is_an_error_in_time(tmp_path: Path) -> None:
    path = tmp_path / "file.sqlite"
    with (
        closing(sqlite.connect(path)) as holding,
        closing(sqlite.connect(path, busy_seconds=0.05)) as waiting,
        sqlite.transaction(holding),
        pytest.raises(sqlite3.OperationalError, match="locked"),
        sqlite.transaction(waiting),
    ):
        pass


def test_what_is_no_database_is_an_error_and_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "file.sqlite"
    path.write_bytes(b"no database at all, and long enough to be read as a page" * 100)
    with pytest.raises(sqlite3.DatabaseError, match="not a database"):
        sqlite.connect(path)
