"""The frame between two others."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from nowcast.ingest import infill

Field = NDArray[np.float32]


def storm(time: float, *, shape: tuple[int, int] = (120, 140), speed: float = 5.0) -> Field:
    """Cells of rain that drift to the east and half as fast to the south."""
    y, x = np.indices(shape)
    rate = np.zeros(shape)
    for row in range(4):
        for column in range(4):
            centre = 15 + 27 * row + speed / 2 * time, 15 + 33 * column + speed * time
            distance = (y - centre[0]) ** 2 + (x - centre[1]) ** 2
            rate += (5 + 5 * row) * np.exp(-distance / (2 * (4 + column) ** 2))
    return rate.astype(np.float32)


def test_story_a_drifting_storm_is_met_halfway() -> None:
    before, truth, after = (storm(time) for time in (0, 1, 2))
    made = infill.between(before, after)
    inside = np.s_[10:-10, 10:-10]
    error = np.abs(made - truth)[inside].mean()
    for rival in (before, after, (before + after) / 2):
        assert error < 0.1 * np.abs(rival - truth)[inside].mean()
    assert made.dtype == np.float32


def test_story_large_fields_are_thinned_for_the_motion_only() -> None:
    shape = (1300, 1000)
    before, after = (storm(time, shape=shape, speed=24.0) for time in (0, 2))
    motion = infill.motion_between(before, after)
    assert motion.shape == (2, *shape)
    assert np.median(motion[0, :200, :200]) == pytest.approx(48, abs=4)
    assert np.median(motion[1, :200, :200]) == pytest.approx(24, abs=4)


def test_unseen_in_one_is_taken_from_the_other_and_unseen_in_both_is_nan() -> None:
    before, after = np.full((40, 40), 2.0, np.float32), np.full((40, 40), 4.0, np.float32)
    before[:, :10] = np.nan
    after[:, 5:15] = np.nan
    made = infill.between(before, after)
    assert np.isnan(made[:, 5:10]).all()
    np.testing.assert_allclose(made[:, :5], 4)
    np.testing.assert_allclose(made[:, 10:15], 2)
    np.testing.assert_allclose(made[:, 15:], 3)


def test_dry_between_dry_is_dry_and_nothing_between_nothing_is_nothing() -> None:
    dry, nothing = np.zeros((30, 30), np.float32), np.full((30, 30), np.nan, np.float32)
    np.testing.assert_array_equal(infill.between(dry, dry), dry)
    np.testing.assert_array_equal(infill.between(nothing, nothing), nothing)
    np.testing.assert_array_equal(infill.between(dry, nothing), dry)


def test_by_hand_a_shift_of_one_cell_and_what_comes_in_from_outside() -> None:
    field = np.arange(6, dtype=np.float32).reshape(2, 3)
    east = np.stack([np.ones((2, 3)), np.zeros((2, 3))]).astype(np.float32)
    np.testing.assert_allclose(
        infill.advected(field, east, 1.0), [[np.nan, 0, 1], [np.nan, 3, 4]], atol=1e-6
    )
    np.testing.assert_allclose(
        infill.advected(field, east, -1.0), [[1, 2, np.nan], [4, 5, np.nan]], atol=1e-6
    )


@given(st.floats(-3, 3), st.floats(-3, 3), st.floats(0, 1), st.integers(0, 2**31))
def test_law_moving_makes_neither_more_nor_less_than_there_was(
    dx: float, dy: float, share: float, seed: int
) -> None:
    random = np.random.default_rng(seed)
    field = random.gamma(0.3, 5, (12, 15)).astype(np.float32)
    field[random.random(field.shape) < 0.2] = np.nan
    motion = np.stack([np.full(field.shape, v, np.float32) for v in (dx, dy)])
    moved = infill.advected(field, motion, share)
    seen = moved[np.isfinite(moved)]
    assert (seen >= np.nanmin(field) - 1e-5).all()
    assert (seen <= np.nanmax(field) * (1 + 1e-5)).all()


def test_standing_still_changes_nothing() -> None:
    field = storm(0)
    field[:5] = np.nan
    still = np.zeros((2, *field.shape), np.float32)
    np.testing.assert_allclose(infill.advected(field, still, 0.5), field, rtol=1e-6)
