"""A feed on a bad week: late, twice, cut short, missing, revised, in any order."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from feed_samples import played, write_frames
from oracle import judge

from nowcast.service.replay import USUAL_FAULTS, as_fast_as_can_be


def play(root: Path, count: int, seed: int):
    frames = write_frames(root / "archive", count=count)
    faults = replace(USUAL_FAULTS, seed=seed)
    work = played(root, frames, faults, retention={"published_hours": 1e4})
    until = frames[-1][0] + np.timedelta64(4, "h")
    with work.service() as service:
        as_fast_as_can_be(service, work.clock, work.feeder, until=until)
    return work, judge(work, frames)


def test_some_hours_of_it(tmp_path: Path) -> None:
    work, verdict = play(tmp_path, count=72, seed=5)
    assert verdict.wrong == []
    assert verdict.feasible_published == verdict.feasible
    kinds = {event.kind for event in work.events}
    # A draw without faults would show nothing.
    assert {"frame rejected", "cycle reopened", "cycle degraded", "cycle published"} <= kinds
    assert verdict.states["expired"] > 0


@pytest.mark.slow
def test_all_of_it(tmp_path: Path) -> None:
    _, verdict = play(tmp_path, count=2016, seed=11)
    assert verdict.wrong == []
    assert verdict.feasible_published >= 0.999 * verdict.feasible
