from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nowcast.forecast.ensemble import THRESHOLDS_MM_H, probability_of_exceedance


def test_probabilities_by_hand() -> None:
    members = np.array([[0.0, 2.0], [1.0, 3.0], [1.0, np.nan], [5.0, 4.0]], np.float32)
    chances = probability_of_exceedance(members, thresholds_mm_h=(1.0, 3.0))
    np.testing.assert_array_equal(chances, [[0.75, np.nan], [0.25, np.nan]])
    assert chances.dtype == np.float32


def test_a_rate_that_went_through_decibel_still_reaches_its_threshold() -> None:
    rates = np.array([[0.49999997], [0.4999]], np.float32)
    assert probability_of_exceedance(rates, thresholds_mm_h=(0.5,)).tolist() == [[0.5]]


@pytest.mark.parametrize("threshold", THRESHOLDS_MM_H)
def test_the_threshold_itself_counts(threshold: float) -> None:
    members = np.full((2, 1), threshold, np.float32)
    assert probability_of_exceedance(members, thresholds_mm_h=(threshold,)).tolist() == [[1]]


@given(st.lists(st.floats(0, 50, width=32), min_size=1, max_size=12))
def test_probabilities_fall_with_the_threshold(rates: list[float]) -> None:
    chances = probability_of_exceedance(np.array(rates, np.float32)[:, np.newaxis])
    assert chances.shape == (len(THRESHOLDS_MM_H), 1)
    assert (np.diff(chances[:, 0]) <= 0).all()
    assert ((chances >= 0) & (chances <= 1)).all()
