"""Every write, sync, rename and open of a cycle fails once; and readers never see half of one."""

from __future__ import annotations

import errno
import os
import sqlite3
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from feed_samples import CADENCE, played, write_frames

from nowcast import build_service
from nowcast.field.errors import MissingFramesError, NowcastError
from nowcast.service import published
from nowcast.service.cycles import STANDING, Cycles
from nowcast.service.frames import Frames
from nowcast.service.layout import Layout

# What touches the disk from Python; what SQLite and netCDF do inside is theirs.
CALLS = ("open", "fsync", "rename", "replace", "mkdir", "symlink")
CODES = (errno.ENOSPC, errno.EIO, errno.EACCES)


class Disk:
    """Counts the calls on paths below a folder, and lets one of them fail."""

    def __init__(self, root: Path) -> None:
        self.root, self.count, self.fail_at, self.code = str(root), 0, 0, errno.EIO

    def wrap(self, name, real):
        def call(*arguments, **named):
            if self._is_ours(name, arguments):
                self.count += 1
                if self.count == self.fail_at:
                    raise OSError(self.code, os.strerror(self.code), str(arguments[0]))
            return real(*arguments, **named)

        return call

    def _is_ours(self, name, arguments) -> bool:
        if name == "fsync":
            return os.readlink(f"/proc/self/fd/{arguments[0]}").startswith(self.root)  # noqa: PTH115
        if any("replay." in str(one) for one in arguments[:2]):
            return False  # the feeder's own note
        if name == "write":
            return True
        return any(
            str(one).startswith(self.root)
            for one in arguments[:2]
            if isinstance(one, str | os.PathLike)
        )


class Written:
    """A file whose writes are counted, and one of which may fail."""

    def __init__(self, file, write):
        self.file, self.write = file, write

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()

    def __getattr__(self, name):
        return getattr(self.file, name)


@contextmanager
def watched(disk: Disk):
    real = {name: getattr(os, name) for name in CALLS}
    with pytest.MonkeyPatch.context() as patch:
        for name in CALLS:
            patch.setattr(os, name, disk.wrap(name, real[name]))
        import io

        opener = disk.wrap("open", io.open)

        def opened(path, mode="r", *arguments, **named):
            file = opener(path, mode, *arguments, **named)
            ours = disk._is_ours("open", (path,)) and "w" in mode
            return Written(file, disk.wrap("write", file.write)) if ours else file

        patch.setattr(io, "open", opened)
        yield


def two_cycles(root: Path, archive, disk: Disk | None):
    """The second of two cycles is made with the disk watched; what is left in the end."""
    work = played(root, archive, feed={"grace_seconds": 0})
    with work.service() as service:
        until_published(work, service, 1)
        work.clock.advance(285.0)  # to when the second frame is there
        if disk is not None:
            with watched(disk):
                until_published(work, service, 2, rounds=6, disk=disk)
        until_published(work, service, 2, rounds=40)
        rows = Cycles(service.planner.frames.ledger).between(archive[0][0], archive[-1][0])
        accepted = {
            one.sha256
            for one in Frames(service.planner.frames.ledger).between(archive[0][0], archive[-1][0])
        }
    return work, rows, accepted


def until_published(work, service, count: int, rounds: int = 30, disk=None) -> None:
    """Ticks as the metronome makes them: what a tick raises is told, and the next one comes."""
    for _ in range(rounds):
        try:
            status = service.tick()
        except NowcastError:
            work.clock.advance(15.0)
            continue
        if disk is None:  # else it might be the reader's own call that fails
            assert_whole(work.layout)
        if sum(status.states[state] for state in STANDING) >= count:
            return
        work.clock.advance(15.0)


def assert_whole(layout: Layout) -> None:
    for cycle in published.cycles(layout):
        assert published.open_cycle(layout, cycle).problems() == []
    latest = published.latest(layout)
    assert latest is None or latest.problems() == []


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    return write_frames(tmp_path_factory.mktemp("archive"), count=2, size=16)


def test_every_call_fails_once(tmp_path, archive):
    counting = Disk(tmp_path / "whole" / "data")
    two_cycles(tmp_path / "whole", archive, counting)
    assert counting.count > 20, "a cycle touches the disk more often than that"
    for position in range(1, counting.count + 1):
        root = tmp_path / f"{position}"
        disk = Disk(root / "data")
        disk.fail_at, disk.code = position, CODES[position % len(CODES)]
        work, rows, accepted = two_cycles(root, archive, disk)
        assert disk.count >= position, "the call that was to fail never came"
        states = {str(row.id): row.state for row in rows}
        assert all(state in STANDING for state in states.values()), (position, states, work.events)
        assert [row.id.version for row in rows] == [1, 1]
        assert [row.id for row in rows] == published.cycles(work.layout)
        assert published.latest(work.layout).id == rows[-1].id
        for cycle in published.cycles(work.layout):
            inputs = published.open_cycle(work.layout, cycle).manifest.inputs
            assert set(inputs.values()) <= accepted


def test_a_ledger_that_is_locked_for_a_while(tmp_path, archive):
    work = played(tmp_path, archive, feed={"grace_seconds": 0})
    with work.service() as service:
        service.planner.frames.ledger.connection.execute("PRAGMA busy_timeout = 50")
        other = sqlite3.connect(work.layout.ledger, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        until_published(work, service, 1, rounds=12)
        assert published.cycles(work.layout) == []
        other.execute("COMMIT")
        other.close()
        until_published(work, service, 2)
        rows = Cycles(service.planner.frames.ledger).between(archive[0][0], archive[-1][0])
    assert [row.state in STANDING for row in rows] == [True, True]


def test_a_published_folder_whose_ledger_is_lost_is_adopted(tmp_path, archive):
    work, rows, _ = two_cycles(tmp_path, archive, None)
    before = {path: path.stat().st_mtime_ns for path in work.layout.published.rglob("*")}
    for path in work.layout.ledger.parent.glob("ledger*"):
        path.unlink()
    with work.service() as service:
        until_published(work, service, 2)
        again = Cycles(service.planner.frames.ledger).between(archive[0][0], archive[-1][0])
    assert [(row.id, row.state) for row in again] == [(row.id, row.state) for row in rows]
    assert {path: path.stat().st_mtime_ns for path in work.layout.published.rglob("*")} == before


def test_a_frame_that_was_refused_is_never_used_though_it_takes_the_place_of_a_good_one(
    tmp_path, archive
):
    work = played(tmp_path, archive, feed={"grace_seconds": 0, "patience_seconds": 1})
    with work.service() as service:
        until_published(work, service, 1)
        incoming = work.settings.feed.folder / archive[0][1].name
        incoming.write_bytes(incoming.read_bytes()[:3000])
        until_published(work, service, 2)
        for _ in range(4):
            work.clock.advance(15.0)
            service.tick()
        latest = published.latest(work.layout)
    assert [event.facts["kind"] for event in work.kinds("frame rejected")] == ["Format"]
    assert str(archive[0][0])[:16] in " ".join(latest.manifest.inputs)
    assert [path.name for path in work.layout.quarantine.glob("*.json")]
    assert latest.id.issue_time == archive[0][0] + CADENCE
    assert np.datetime64(latest.manifest.issued.removesuffix("Z")) == archive[1][0]


def test_a_forecast_can_be_made_once_more(tmp_path, archive):
    work, rows, _ = two_cycles(tmp_path, archive, None)
    found = build_service.rebuilt(work.settings, str(rows[-1].id))
    assert found.differing == []
    assert "rainfall_rate" in found.published
    kept = next(iter(work.layout.frames.glob("*/*")))
    kept.write_bytes(kept.read_bytes() + b"x")
    with pytest.raises(MissingFramesError, match="is not kept any more, or is not what it was"):
        build_service.rebuilt(work.settings, str(rows[-1].id))
