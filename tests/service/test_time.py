"""Clocks that step: no cycle is skipped for good, none is issued that has no frame."""

from __future__ import annotations

import datetime as dt
import threading
import time

import numpy as np
import pytest
from feed_samples import CADENCE, START, played, write_frames

from nowcast.field.errors import LedgerError
from nowcast.service.clock import ManualClock, SimulatedClock
from nowcast.service.cycles import STANDING, Cycles
from nowcast.service.metronome import STALLED, Metronome
from nowcast.service.steady import SteadyClock

LATE = np.timedelta64(2, "h")
STEPS = [3600.0, -3600.0, 86400.0, -86400.0]


@pytest.mark.parametrize("step", STEPS)
def test_the_clock_steps_while_the_service_works(tmp_path, step):
    frames = write_frames(tmp_path / "archive", count=5)
    work = played(tmp_path, frames)
    with work.service() as service:
        real = work.clock.now()
        stepped = False
        while real < frames[-1][0] + np.timedelta64(5, "m"):
            work.feeder.clock = ManualClock(real)  # the world goes on, whatever our clock says
            status = service.tick()
            if not stepped and real >= START + 3 * CADENCE:
                work.clock.step(step)
                stepped = True
            work.clock.advance(30.0)
            real = real + np.timedelta64(30, "s")
        assert status.clock_suspect
        assert abs(status.now - real) < np.timedelta64(1, "m")
        rows = Cycles(service.planner.frames.ledger).between(START, frames[-1][0])
    assert [row.id.issue_time for row in rows] == [when for when, _ in frames]
    assert {row.state for row in rows} <= set(STANDING)


@pytest.mark.parametrize("wrong", STEPS)
def test_the_clock_is_wrong_from_the_start(tmp_path, wrong):
    frames = write_frames(tmp_path / "archive", count=5)
    work = played(tmp_path, frames)
    work.clock.step(wrong)
    with work.service() as service:
        real = START
        while real < frames[-1][0] + np.timedelta64(6, "m"):
            work.feeder.clock = ManualClock(real)
            service.tick()
            work.clock.advance(30.0)
            real = real + np.timedelta64(30, "s")
        rows = Cycles(service.planner.frames.ledger).between(START, frames[-1][0])
    standing = {row.id.issue_time for row in rows if row.state in STANDING}
    # What came before two frames told the time may be lost; nothing after it is.
    assert standing >= {when for when, _ in frames[2:]}
    assert max(row.id.issue_time for row in rows) <= frames[-1][0]


def test_one_stray_name_moves_no_clock():
    clock = ManualClock(START)
    steady = SteadyClock(clock, late=LATE)
    steady.hear([START + np.timedelta64(30, "D")])
    clock.advance(5.0)
    assert steady.now() == clock.now()
    steady.hear([START])
    steady.hear([START + np.timedelta64(31, "D")])
    assert not steady.suspect


def test_a_clock_that_comes_back_is_believed_again():
    clock = ManualClock(START)
    steady = SteadyClock(clock, late=LATE)
    clock.step(7200.0)
    clock.advance(5.0)
    assert steady.now() == START + np.timedelta64(5, "s")
    assert "+7200 s" in steady.suspect
    clock.step(-7200.0)
    assert steady.now() == clock.now()
    assert not steady.suspect


def test_a_right_step_is_seen_to_be_right():
    clock = ManualClock(START)
    steady = SteadyClock(clock, late=LATE)
    clock.step(-3600.0)
    steady.now()
    # Frames that have just been made are an hour old by the old clock, and new by the new one.
    steady.hear([START - np.timedelta64(62, "m")])
    assert steady.now() == clock.now()


def test_a_simulated_clock_waits():
    real = [0.0]
    clock = SimulatedClock(START, 100.0, real=lambda: real[0])
    real[0] = 0.5
    assert clock.now() == START + np.timedelta64(50, "s")
    real[0] = 50.0
    assert clock.monotonic() == clock.longest_step
    clock.hold(held=True)
    real[0] = 99.0
    assert clock.monotonic() == clock.longest_step
    clock.hold(held=False)
    real[0] = 99.1
    assert clock.monotonic() == pytest.approx(clock.longest_step + 10)


class Ticks:
    """Counts rounds; each can be made to fail or to hang."""

    def __init__(self):
        self.times, self.events, self.left = [], [], []
        self.fail: Exception | None = None
        self.hang = threading.Event()
        self.hang.set()

    def __call__(self):
        self.hang.wait()
        if self.fail:
            raise self.fail
        self.times.append(time.monotonic())

    def beat(self, tick_seconds, stall_seconds=60.0):
        self.metronome = Metronome(
            self, tick_seconds, stall_seconds, self.events.append, leave=self.left.append
        )
        self.thread = threading.Thread(target=self.metronome.run, daemon=True)
        self.thread.start()
        return self.metronome

    def end(self):
        self.hang.set()
        self.metronome.stop()
        self.thread.join(10)
        assert not self.thread.is_alive()

    def wait_for(self, count, seconds=10.0):
        limit = time.monotonic() + seconds
        while len(self.times) < count and time.monotonic() < limit:
            time.sleep(0.01)
        assert len(self.times) >= count


def test_it_beats_and_can_be_woken():
    ticks = Ticks()
    metronome = ticks.beat(20.0)
    ticks.wait_for(1)
    metronome.woken.set()
    ticks.wait_for(2, seconds=5.0)
    ticks.end()


def test_a_round_that_fails_is_told_and_the_next_one_comes():
    ticks = Ticks()
    ticks.fail = LedgerError("locked")
    ticks.beat(0.1)
    time.sleep(0.5)
    ticks.fail = None
    ticks.wait_for(1)
    ticks.end()
    assert {event.kind for event in ticks.events} == {"tick failed"}
    assert "locked" in ticks.events[0].facts["reason"]


@pytest.mark.parametrize("hours", [-1, 1, -24, 24])
def test_ticks_go_on_when_the_wall_clock_is_set(monkeypatch, hours):
    from apscheduler.schedulers import base
    from apscheduler.triggers import interval

    from nowcast.service import metronome

    offset = [dt.timedelta(0)]

    class Stepped(dt.datetime):
        @classmethod
        def now(cls, tz=None):
            return dt.datetime.now(tz) + offset[0]

    for module in (base, interval, metronome):
        monkeypatch.setattr(module, "datetime", Stepped)
    ticks = Ticks()
    ticks.beat(0.3)
    ticks.wait_for(2)
    offset[0] = dt.timedelta(hours=hours)
    before = len(ticks.times)
    ticks.wait_for(before + 4, seconds=10.0)
    ticks.end()


def test_a_round_that_never_ends_ends_the_process():
    ticks = Ticks()
    ticks.beat(0.2, stall_seconds=1.0)
    ticks.wait_for(1)
    ticks.hang.clear()
    limit = time.monotonic() + 10
    while not ticks.left and time.monotonic() < limit:
        time.sleep(0.02)
    ticks.end()
    assert ticks.left == [STALLED]
    assert ticks.events[-1].kind == "stalled"


def test_a_scheduler_that_dies_takes_the_process_with_it(monkeypatch):
    """In the foreground an error of the scheduler's own loop is not lost on a thread."""
    ticks = Ticks()
    metronome = Metronome(ticks, 0.2, 60.0, ticks.events.append, leave=ticks.left.append)
    scheduler = metronome.scheduler()
    monkeypatch.setattr(metronome, "scheduler", lambda: scheduler)

    def die():
        raise OSError("the loop is broken")

    monkeypatch.setattr(scheduler, "_process_jobs", die)
    with pytest.raises(OSError, match="the loop is broken"):
        metronome.run()
