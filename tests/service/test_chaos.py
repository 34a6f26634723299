"""kill -9 of a real service: the short form of ``make chaos``."""

from __future__ import annotations

import pytest

from benchmarks.chaos import Chaos, crashed, killed
from nowcast.service import crash


@pytest.mark.parametrize("point", ["frame.kept", "publish.after_rename"])
def test_killed_at_a_named_step_the_next_one_goes_on(tmp_path, point):
    assert point in crash.POINTS
    assert crashed(tmp_path, point) == []


@pytest.mark.slow
def test_killed_at_random(tmp_path):
    told = killed(Chaos(tmp_path, frames=40, speed=600), kills=10, seed=2)
    assert told["torn"] == []
    assert told["wrong"] == []
