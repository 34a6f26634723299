"""The ladder: whatever a method does in its child, the next one answers, and all say so."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from feed_samples import played, write_frames
from ladder_work import Fragile

from nowcast.cycle import HISTORY
from nowcast.products.reading import read_forecast
from nowcast.service import child, published
from nowcast.service.child import Limits
from nowcast.service.cycles import Cycles
from nowcast.service.replay import as_fast_as_can_be

LADDER = ["mim", "extrapolation", "persistence"]
HANG = Limits(seconds=2.0)


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    return write_frames(tmp_path_factory.mktemp("archive"), count=HISTORY, size=16)


def climb(root, archive, *, methods, attempts=2, **broken):
    """The newest cycle by methods some of which are broken: the service's world, and its row."""
    table = {"methods": methods, "attempts": attempts}
    work = played(root, archive, forecast=table, feed={"late_minutes": 4})
    work.clock.advance(300.0 * (HISTORY - 1))  # the others are too old for forecasts
    with work.service() as service:
        recipe = Fragile(work.settings, broken=tuple(broken.items()))
        first = HANG if "hangs" in broken.values() else service.desk.worker.first
        service.desk.worker = replace(
            service.desk.worker, recipe=recipe, call=child.call, first=first
        )
        until = archive[-1][0] + np.timedelta64(1, "h")
        as_fast_as_can_be(service, work.clock, work.feeder, until=until)
        (row,) = Cycles(service.planner.frames.ledger).between(archive[0][0], archive[-1][0])
    return work, row


def test_the_last_rung_answers_when_those_before_it_break(tmp_path, archive):
    work, row = climb(tmp_path, archive, methods=LADDER, mim="dies", extrapolation="declines")
    assert (row.state, row.rung, row.attempt) == ("degraded", "persistence", 1)
    one = published.latest(work.layout)
    told = one.manifest
    assert (told.rung, told.source.partition(":")[0]) == ("persistence", "persistence")
    died, declined = told.degraded_reason.split("; ", 1)
    assert died == "mim: make: its process was ended by signal SIGSEGV"
    assert declined == "extrapolation: 2 steps of 4 frames are too hard"
    written = read_forecast(one.netcdf)
    assert written.attrs["degraded_reason"] == told.degraded_reason == row.reason
    assert written.attrs["rung"] == told.rung
    assert [event.facts["what"] for event in work.kinds("child died")] == ["mim"]
    assert [event.facts["what"] for event in work.kinds("rung failed")] == ["extrapolation"]
    assert one.problems() == []


@pytest.mark.parametrize(
    ("manner", "told"),
    [
        ("hangs", "mim: make: not done after 2 s: killed"),
        ("mistake", "mim: make: ZeroDivisionError: a mistake"),
    ],
)
def test_a_method_that_hangs_or_errs_hands_over(tmp_path, archive, manner, told):
    work, row = climb(tmp_path, archive, methods=["mim", "persistence"], mim=manner)
    one = published.latest(work.layout)
    assert one.manifest.rung == row.rung == "persistence"
    assert one.manifest.degraded_reason.startswith(told)
    assert read_forecast(one.netcdf).attrs["degraded_reason"] == one.manifest.degraded_reason


def test_a_method_that_answers_is_not_degraded(tmp_path, archive):
    work, row = climb(tmp_path, archive, methods=["persistence"])
    one = published.latest(work.layout)
    assert (row.state, row.rung, row.reason) == ("published", "persistence", "")
    assert (one.manifest.rung, one.manifest.degraded_reason) == ("persistence", "")
    assert read_forecast(one.netcdf).attrs["degraded_reason"] == ""


@pytest.mark.parametrize(("manner", "attempts"), [("declines", 1), ("dies", 2)])
def test_where_none_answers_the_cycle_fails_with_the_reason(tmp_path, archive, manner, attempts):
    """What declines would decline again; what died is tried once more."""
    work, row = climb(tmp_path, archive, methods=["persistence"], persistence=manner)
    assert (row.state, row.attempt) == ("failed", attempts)
    assert "no method could answer: persistence: " in row.reason
    assert published.latest(work.layout) is None
    assert list(work.layout.staging.iterdir()) == []
