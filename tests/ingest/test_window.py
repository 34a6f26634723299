"""Which frames make a sequence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nowcast.ingest.catalogue import Catalogue
from nowcast.ingest.window import Between, plan, utc

START = np.datetime64("2020-05-01T00:00", "ns")
STEP = np.timedelta64(5, "m")


def frames_at(*steps: float) -> Catalogue:
    times = START + np.array([round(step * 300) for step in steps], dtype="timedelta64[s]")
    return Catalogue(folder=Path(), series="", times=times.astype("datetime64[ns]"), entries=())


# Frames that are there, of 0, 1, 2, ...; how many are asked for; what comes out; what is said.
CASES = [
    ("XXXX", 3, [1, 2, 3], ""),
    ("XXXX", 1, [3], ""),
    ("XX-X", 4, [0, 1, (1, 2), 2], "1 missing frame(s) infilled: 00:10Z"),
    ("X-X-X", 5, [0, (0, 1), 1, (1, 2), 2], "2 missing frame(s) infilled: 00:05Z, 00:15Z"),
    # The oldest one asked for is missing, and its older neighbour lies before the sequence.
    ("XX-XX", 3, [(1, 2), 2, 3], "1 missing frame(s) infilled: 00:10Z"),
    ("XX--XX", 6, [2, 3], "2 of 6 frames of history: 2 frames missing from 00:10Z to 00:15Z"),
    (
        "X--X-X",
        6,
        [1, (1, 2), 2],
        "3 of 6 frames of history: 2 frames missing from 00:05Z to 00:10Z; "
        "1 missing frame(s) infilled: 00:20Z",
    ),
    ("--XX", 4, [0, 1], "2 of 4 frames of history: the archive begins at 00:10Z"),
    ("X--X", 2, [1], "1 of 2 frames of history: 2 frames missing from 00:05Z to 00:10Z"),
]


@pytest.mark.parametrize(("there", "frames", "slots", "said"), CASES)
def test_by_hand(there: str, frames: int, slots: list[object], said: str) -> None:
    catalogue = frames_at(*(step for step, mark in enumerate(there) if mark == "X"))
    window = plan(catalogue, catalogue.times.size - 1, step=STEP, frames=frames)
    assert list(window.slots) == slots
    assert window.degraded.replace("2020-05-01T", "") == said
    assert window.times[-1] == catalogue.times[-1]
    assert (np.diff(window.times) == STEP).all()


@given(st.lists(st.booleans(), max_size=14), st.integers(1, 12))
def test_law_a_window_is_as_long_as_single_gaps_allow(there: list[bool], frames: int) -> None:
    """Against the rule read off a string of marks, newest last."""
    marks = "".join("X" if mark else "-" for mark in there) + "X"
    catalogue = frames_at(*(step for step, mark in enumerate(marks) if mark == "X"))
    window = plan(catalogue, catalogue.times.size - 1, step=STEP, frames=frames)
    usable = marks[::-1].split("--")[0].rstrip("-")
    if len(usable) > frames:
        usable = usable[:frames]
    shown = "".join("-" if isinstance(slot, Between) else "X" for slot in window.slots[::-1])
    assert shown == usable
    for time, slot in zip(window.times, window.slots, strict=True):
        if isinstance(slot, Between):
            assert catalogue.times[slot.older] + STEP == time == catalogue.times[slot.newer] - STEP
        else:
            assert catalogue.times[slot] == time
    assert bool(window.degraded) == (len(usable) < frames or "-" in usable)


def test_times_may_wander_by_a_third_of_the_cadence() -> None:
    catalogue = frames_at(0.2, 1.0, 2.3, 3.1)
    window = plan(catalogue, 3, step=STEP, frames=4)
    assert window.slots == (0, 1, 2, 3)
    assert (np.diff(window.times) == STEP).all()
    assert window.times[-1] == catalogue.times[3]
    assert plan(frames_at(0, 1.5, 2), 2, step=STEP, frames=3).slots == (0, Between(0, 2), 2)


def test_times_are_shown_in_utc() -> None:
    assert utc(np.datetime64("2020-05-01T00:05", "ns")) == "2020-05-01T00:05Z"
    assert utc(np.datetime64("2020-05-01T00:05:39", "ns")) == "2020-05-01T00:05:39Z"
