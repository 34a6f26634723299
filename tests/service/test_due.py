"""What comes first: live cycles before gaps, forecasts before maps; what hangs holds up nothing."""

from __future__ import annotations

import time
from dataclasses import replace

import beside_work as work
import numpy as np
import pytest
from feed_samples import played, write_frames

from nowcast.service import child, desk, manifest, published
from nowcast.service.child import Limits
from nowcast.service.cycles import Cycles
from nowcast.service.hands import InlineHand, ThreadHand
from nowcast.service.names import CycleId
from nowcast.service.replay import as_fast_as_can_be

HOUR = np.timedelta64(1, "h")


def forecasting_beside(name):
    """Forecasts on a thread as in a live service; all else at once."""
    return ThreadHand(name, wake=lambda: None) if name == "forecast" else InlineHand()


def tick_until(world, service, done, *, seconds=60.0):
    """Tick, while the world's time passes slowly, until something has come about."""
    limit = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < limit, "it did not come about"
        service.tick()
        world.clock.advance(0.1)
        time.sleep(0.01)


def begun(world):
    return [event.cycle for event in world.kinds("cycle begun")]


def test_a_live_cycle_goes_before_the_gaps_that_are_still_to_fill(tmp_path):
    frames = write_frames(tmp_path / "archive", count=8, size=16)
    world = played(tmp_path, frames, feed={"grace_seconds": 0})
    names = [str(CycleId(when)) for when, _ in frames]
    with world.service(hand=forecasting_beside) as service:
        world.clock.advance(6 * 300.0 + 150.0)  # after an outage: seven frames at once
        tick_until(world, service, lambda: begun(world))
        assert begun(world) == [names[6]]
        world.clock.advance(300.0)  # the eighth comes while gaps are being filled
        tick_until(world, service, lambda: len(begun(world)) == 8)
        tick_until(world, service, lambda: not service.desk.is_busy)
    order = begun(world)
    # One gap may have been begun before the eighth was seen; what runs is not interrupted.
    assert order.index(names[7]) <= 2
    order.remove(names[7])
    assert order == [names[6], *names[5::-1]]
    assert len(published.cycles(world.layout)) == 8


@pytest.fixture
def hanging(tmp_path):
    """Two frames, and a service whose methods hang for as long as the file ``sign`` is there."""
    frames = write_frames(tmp_path / "archive", count=2, size=16)
    world = played(tmp_path, frames, forecast={"attempts": 9}, feed={"grace_seconds": 0})
    sign = tmp_path / "sign"
    sign.touch()
    return world, sign, work.HangsWhile(world.settings, sign=sign)


def test_a_worker_that_hangs_is_killed_at_its_deadline_and_work_goes_on(hanging):
    world, sign, recipe = hanging
    with world.service(hand=forecasting_beside) as service:
        service.desk.worker = replace(
            service.desk.worker, recipe=recipe, call=child.call, first=Limits(seconds=3.0)
        )
        world.clock.advance(150.0)
        tick_until(world, service, lambda: world.kinds("child died"))
        sign.unlink()
        world.clock.advance(300.0)
        tick_until(world, service, lambda: len(published.cycles(world.layout)) == 2)
        rows = Cycles(service.planner.frames.ledger).between(
            world.feeder.deliveries[0].at - HOUR, world.clock.now()
        )
    (death, *_) = world.kinds("child died")
    assert "not done after 3 s: killed" in death.facts["reason"]
    assert [row.rung for row in rows] == ["persistence", "persistence"]
    assert rows[0].attempt == 2


def test_a_hand_that_never_comes_back_is_given_up(hanging, monkeypatch):
    monkeypatch.setattr(desk, "_GRACE_SECONDS", 2.0)
    world, sign, recipe = hanging
    with world.service(hand=forecasting_beside) as service:
        # In this process, without a deadline: nothing can kill it.
        service.desk.worker = replace(service.desk.worker, recipe=recipe, first=Limits(seconds=0.3))
        world.clock.advance(150.0)
        tick_until(world, service, lambda: world.kinds("hand hung"))
        sign.unlink()
        tick_until(world, service, lambda: published.cycles(world.layout))
    (found,) = published.cycles(world.layout)
    assert published.open_cycle(world.layout, found).problems() == []


def test_slow_products_follow_and_the_newest_first(tmp_path):
    frames = write_frames(tmp_path / "archive", count=3, size=16)
    world = played(tmp_path, frames, products={"maps": False, "cog": True})
    with world.service() as service:
        (slow,) = service.chores.chores
        service.chores.chores = (replace(slow, call=child.call),)
        world.clock.advance(2 * 300.0 + 150.0)  # all at once
        tick_until(world, service, lambda: len(world.kinds("maps published")) == 3)
    kinds = [event.kind for event in world.events if event.cycle and event.kind != "cycle begun"]
    assert kinds[-3:] == ["maps published"] * 3
    assert "maps published" not in kinds[:-3]
    followed = [event.cycle for event in world.kinds("maps published")]
    assert followed == sorted(followed, reverse=True)
    for cycle in published.cycles(world.layout):
        one = published.open_cycle(world.layout, cycle)
        whole = manifest.read_manifest(one.maps)
        assert whole.files
        assert manifest.problems(one.maps, whole) == []


def test_what_cannot_follow_is_told_once_and_the_forecast_stands(tmp_path):
    frames = write_frames(tmp_path / "archive", count=1, size=16)
    world = played(tmp_path, frames, products={"maps": False, "cog": True})
    with world.service() as service:
        (slow,) = service.chores.chores
        service.chores.chores = (replace(slow, recipe=work.Unfollowed(world.settings)),)
        as_fast_as_can_be(service, world.clock, world.feeder, until=frames[0][0] + HOUR)
        for _ in range(5):
            world.clock.advance(60.0)
            service.tick()
    (failed,) = world.kinds("maps failed")
    assert failed.facts["reason"] == "the disk is full: make room"
    (cycle,) = published.cycles(world.layout)
    one = published.open_cycle(world.layout, cycle)
    assert one.problems() == []
    assert not one.maps.exists()
    assert list(world.layout.staging.iterdir()) == []
