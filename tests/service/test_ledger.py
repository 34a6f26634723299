"""The ledger: states that only go their ways, whatever is asked, and a file that survives."""

from __future__ import annotations

import sqlite3
import threading
from collections import Counter

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from nowcast.field.errors import BusyError, LedgerError
from nowcast.field.lock import only_one
from nowcast.service import schema
from nowcast.service.cycles import SOURCES, STATES, TERMINAL, Cycles
from nowcast.service.frames import FileState, Frames
from nowcast.service.ledger import Ledger
from nowcast.service.names import CycleId, parse

NOW = np.datetime64("2026-06-01T12:00", "ns")
TIMES = [NOW + np.timedelta64(5 * step, "m") for step in range(4)]


class Histories(RuleBasedStateMachine):
    """Any history of cycles and frames, against a dict and a list that say the same."""

    @initialize()
    def begin(self):
        self.opened = Ledger.opened(HISTORY_FILE())
        self.ledger = self.opened.__enter__()
        self.cycles, self.frames = Cycles(self.ledger), Frames(self.ledger)
        self.states: dict[CycleId, str] = {}
        self.begun: Counter[CycleId] = Counter()
        self.accepted: dict[np.datetime64, list[str]] = {}

    @rule(time=st.sampled_from(TIMES), version=st.integers(1, 2))
    def add(self, time, version):
        cycle = CycleId(time, version)
        new = self.cycles.add(cycle, state="waiting", now=NOW)
        assert new == (cycle not in self.states)
        self.states.setdefault(cycle, "waiting")

    @rule(
        time=st.sampled_from(TIMES), version=st.integers(1, 2), to=st.sampled_from(sorted(STATES))
    )
    def move(self, time, version, to):
        cycle = CycleId(time, version)
        if self.states.get(cycle) in SOURCES[to]:
            self.cycles.move(cycle, to, now=NOW)
            self.states[cycle] = to
            self.begun[cycle] += to == "running"
        else:
            with pytest.raises(LedgerError, match=f"to become {to}"):
                self.cycles.move(cycle, to, now=NOW)

    @rule(time=st.sampled_from(TIMES), sha256=st.sampled_from("abc"))
    def accept(self, time, sha256):
        seen = self.accepted.setdefault(time, [])
        revision = self.frames.accept(time, sha256=sha256, path=sha256, size=1, now=NOW)
        assert revision == (None if sha256 in seen else len(seen) + 1)
        if revision:
            seen.append(sha256)

    @rule()
    def reopen(self):
        """As after a crash: what was said stands."""
        self.opened.__exit__(None, None, None)
        self.opened = Ledger.opened(self.ledger.path)
        self.ledger = self.opened.__enter__()
        self.cycles, self.frames = Cycles(self.ledger), Frames(self.ledger)

    @rule(time=st.sampled_from(TIMES))
    def half_a_transaction(self, time):
        with pytest.raises(ZeroDivisionError), self.ledger.transaction():  # noqa: PT012
            self.cycles.add(CycleId(time, 9), state="ready", now=NOW)
            self.frames.accept(time, sha256="never", path="", size=1, now=NOW)
            raise ZeroDivisionError

    @invariant()
    def agrees(self):
        if not hasattr(self, "cycles"):
            return
        rows = self.cycles.between(TIMES[0], TIMES[-1])
        assert {row.id: row.state for row in rows} == self.states
        assert all(row.attempt == self.begun[row.id] for row in rows)
        newest = {one.valid_time: one.sha256 for one in self.frames.between(TIMES[0], TIMES[-1])}
        assert newest == {time: seen[-1] for time, seen in self.accepted.items() if seen}

    def teardown(self):
        if hasattr(self, "opened"):
            self.opened.__exit__(None, None, None)


HISTORY_FILE = None


def test_any_history(tmp_path):
    global HISTORY_FILE  # noqa: PLW0603 - the machine is made by hypothesis, without arguments
    numbers = iter(range(10**6))
    HISTORY_FILE = lambda: tmp_path / f"{next(numbers)}" / "ledger.sqlite"  # noqa: E731
    run_state_machine_as_test(
        Histories, settings=settings(max_examples=25, stateful_step_count=25, deadline=None)
    )


def test_no_way_leads_out_of_an_end():
    assert all(end not in sources for sources in SOURCES.values() for end in TERMINAL)


def test_a_newer_ledger_is_refused(tmp_path):
    path = tmp_path / "ledger.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute(f"PRAGMA user_version = {schema.VERSION + 1}")
    connection.close()
    with (
        pytest.raises(LedgerError, match=f"newer version .schema {schema.VERSION + 1}"),
        Ledger.opened(path),
    ):
        pass


def test_a_damaged_ledger_is_told(tmp_path):
    path = tmp_path / "ledger.sqlite"
    path.write_bytes(b"no database at all, and long enough to be read as a page" * 100)
    with pytest.raises(LedgerError, match="set it aside"), Ledger.opened(path):
        pass


def test_a_ledger_on_what_is_no_folder(tmp_path):
    (tmp_path / "ledger.sqlite").mkdir()
    with (
        pytest.raises(LedgerError, match="unable to open"),
        Ledger.opened(tmp_path / "ledger.sqlite"),
    ):
        pass


def test_a_locked_ledger_is_an_error_and_then_is_none(tmp_path):
    path = tmp_path / "ledger.sqlite"
    with Ledger.opened(path, busy_seconds=0.05) as ledger:
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(LedgerError, match="locked"):
            ledger.remember("a", "b")
        other.execute("COMMIT")
        other.close()
        ledger.remember("a", "b")
        assert ledger.fact("a") == "b"
        assert ledger.problems() == []


def test_readers_do_not_disturb(tmp_path):
    with Ledger.opened(tmp_path / "ledger.sqlite") as ledger:
        seen = []

        def read():
            with Ledger.opened(ledger.path) as own:
                seen.extend(Cycles(own).within("ready"))

        Cycles(ledger).add(CycleId(NOW), state="ready", now=NOW)
        thread = threading.Thread(target=read)
        thread.start()
        thread.join()
        assert [row.id for row in seen] == [CycleId(NOW)]


def test_what_was_said_of_files(tmp_path):
    with Ledger.opened(tmp_path / "ledger.sqlite") as ledger:
        frames, state = Frames(ledger), FileState(10, 20)
        frames.judge("a.h5", state, sha256="x", verdict="left", reason="", now="2026")
        frames.judge("a.h5", state, sha256="y", verdict="accepted", reason="", now="2026")
        assert frames.judged() == {"a.h5": state}
        frames.reject(NOW, sha256="bad", size=1, now=NOW, reason="torn")
        assert frames.refusal(NOW) == "torn"
        assert frames.newest() is None
        assert frames.known(NOW, "bad") == "rejected"
        assert frames.counts() == {"rejected": 1}


def test_one_service_a_folder(tmp_path):
    with (
        only_one(tmp_path / "state" / "lock", busy="stop it"),
        pytest.raises(BusyError, match="stop it"),
        only_one(tmp_path / "state" / "lock", busy="stop it"),
    ):
        pass
    with only_one(tmp_path / "state" / "lock", busy="stop it"):
        pass


@pytest.mark.parametrize(
    "name", ["20260601T1225Z", "20260601T1225Z.v2", "20240229T0000Z.v10", "19991231T2355Z"]
)
def test_names_of_cycles(name):
    assert str(parse(name)) == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        "latest",
        "20260601T1225Z.v1",
        "20260601T1225Z.v0",
        "20260601T2560Z",
        "20260230T0000Z",
        ".20260601T1225Z",
        "20260601T1225Z/..",
        "20260601T1225Z.v2.nc",
    ],
)
def test_names_of_none(name):
    assert parse(name) is None
