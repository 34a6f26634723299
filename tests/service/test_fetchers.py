"""Fetching programs are kept alive, rest longer each time they end, and end with the service."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import beside_work as work
import pytest
from feed_samples import START
from test_child import alive

from nowcast.service import fetchers
from nowcast.service.clock import ManualClock
from nowcast.service.fetchers import Fetchers, fetch_command

ROOT = Path(__file__).resolve().parents[2]


def numbers(path: Path, *, count: int, seconds: float = 30.0) -> list[int]:
    """The numbers that programs wrote down, once there are so many of them."""
    limit = time.monotonic() + seconds
    while True:
        text = path.read_text(encoding="ascii") if path.exists() else ""
        found = [int(line) for line in text.split()]
        if len(found) >= count:
            return found
        assert time.monotonic() < limit, f"{len(found)} programs, expected {count}"
        time.sleep(0.02)


def ended(programs: Fetchers, events: list, *, count: int) -> None:
    """Tick until so many ends were told."""
    limit = time.monotonic() + 30
    while len(events) < count:
        assert time.monotonic() < limit
        programs(work.STATUS)
        time.sleep(0.02)


def test_a_program_that_ends_is_started_again_after_a_longer_rest_each_time(tmp_path):
    clock, events, notes = ManualClock(START), [], tmp_path / "notes"
    programs = Fetchers([work.noting(notes, code=3)], clock, events.append)
    for count, rest in enumerate((2.0, 4.0, 8.0), start=1):
        programs(work.STATUS)
        numbers(notes, count=count)
        ended(programs, events, count=count)
        assert events[-1].kind == "fetcher ended"
        assert (events[-1].facts["code"], events[-1].facts["again_in_seconds"]) == (3, rest)
        clock.advance(rest - 0.1)
        programs(work.STATUS)
        assert len(numbers(notes, count=count)) == count  # it rests still
        clock.advance(0.2)
    programs.stop()


def test_one_that_runs_is_left_and_the_others_do_not_wait_for_it(tmp_path):
    events: list = []
    commands = [work.lasting(tmp_path / "one"), work.lasting(tmp_path / "two")]
    programs = Fetchers(commands, ManualClock(START), events.append)
    for _ in range(3):
        programs(work.STATUS)
    (one,) = numbers(tmp_path / "one", count=1)
    (two,) = numbers(tmp_path / "two", count=1)
    assert one != two
    programs.stop()
    assert [alive(one), alive(two)] == [False, False]
    assert events == []


def test_one_that_is_deaf_is_killed(tmp_path, monkeypatch):
    monkeypatch.setattr(fetchers, "_GOODBYE_SECONDS", 0.3)
    command = work.lasting(tmp_path / "deaf", deaf=True)
    programs = Fetchers([command], ManualClock(START), list)
    programs(work.STATUS)
    (number,) = numbers(tmp_path / "deaf", count=1)
    programs.stop()
    assert not alive(number)


def test_no_program_outlives_a_killed_service(tmp_path):
    service = subprocess.Popen([sys.executable, work.__file__, tmp_path / "notes"], cwd=ROOT)
    try:
        (number,) = numbers(tmp_path / "notes", count=1, seconds=60)
    finally:
        service.kill()
        service.wait()
    limit = time.monotonic() + 10
    while alive(number):
        assert time.monotonic() < limit, "it outlived the service"
        time.sleep(0.02)


@pytest.mark.parametrize(("minutes", "since"), [(120, "120m"), (0, "1m")])
def test_the_command_is_ours(minutes, since):
    command = fetch_command("knmi", "/feed", minutes=minutes)
    assert command[1:] == (
        *("-m", "nowcast", "fetch", "--source", "knmi"),
        *("--into", "/feed", "--since", since),
    )
