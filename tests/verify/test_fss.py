"""Fractions skill score: on paper, by loops over windows, and against pysteps."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from nowcast.field.errors import UsageError
from nowcast.verify.categorical import contingency
from nowcast.verify.spatial import fss_of_events, fss_sums

NAN = np.nan
FIELD = arrays(np.float32, (6, 7), elements=st.sampled_from([NAN, 0.0, 0.0, 0.0, 1.0, 5.0]))


def by_loops(forecast, observed, threshold, size):
    """Window by window, cell by cell, from the definition."""
    counted = np.isfinite(forecast) & np.isfinite(observed)
    windows = difference = reference = 0.0
    for row, column in np.ndindex(counted.shape):
        cells = [
            (r, c)
            for r in range(row - size // 2, row - size // 2 + size)
            for c in range(column - size // 2, column - size // 2 + size)
            if 0 <= r < counted.shape[0] and 0 <= c < counted.shape[1] and counted[r, c]
        ]
        if not counted[row, column] or len(cells) <= size**2 / 2:
            continue
        said = sum(forecast[cell] >= threshold for cell in cells) / len(cells)
        happened = sum(observed[cell] >= threshold for cell in cells) / len(cells)
        windows += 1
        difference += (said - happened) ** 2
        reference += said**2 + happened**2
    return windows, difference, reference


def test_a_field_on_paper():
    forecast = np.array([[0.0, 2.0, 0.0], [0.0, 0.0, 0.0]])
    observed = np.array([[0.0, 0.0, 2.0], [0.0, 0.0, 0.0]])
    sums = fss_sums(forecast, observed, threshold_mm_h=1.0, scales_cells=(1, 3))
    # Windows of 3x3 hold 4 cells at the corners (not more than half of 9) and 6 in the middle
    # column: two windows count, each with one of its six cells said and one happened.
    assert sums.windows.tolist() == [6, 2]
    assert sums.squared_difference == pytest.approx([2, 0])
    assert sums.reference == pytest.approx([2, 4 / 36])
    assert sums.fss == pytest.approx([0, 1])


def test_a_hole_costs_nothing():
    forecast = np.full((5, 5), 2.0)
    observed = np.full((5, 5), 2.0)
    forecast[2, 2] = observed[0, 4] = NAN
    sums = fss_sums(forecast, observed, threshold_mm_h=1.0, scales_cells=(3,))
    assert sums.fss == pytest.approx([1.0], abs=1e-15)
    assert sums.windows == 25 - 2 - 4 + 1  # the corner at the hole was not counted anyway


@pytest.mark.parametrize("size", [1, 2, 3, 6, 9])
def test_equal_to_pysteps_where_no_event_lies_near_an_edge(pysteps_verification, size):
    rng = np.random.default_rng(size)
    forecast, observed = np.zeros((2, 40, 50))
    margin = slice(size, -size)
    forecast[margin, margin] = rng.gamma(0.4, 3.0, size=(40 - 2 * size, 50 - 2 * size))
    observed[margin, margin] = np.roll(forecast[margin, margin], 1, axis=1)
    expected = pysteps_verification("spatialscores").fss(forecast, observed, 1.0, size)
    sums = fss_sums(forecast, observed, threshold_mm_h=1.0, scales_cells=(size,))
    assert sums.fss == pytest.approx([expected], rel=1e-12)
    assert 0.3 < sums.fss[0] < 1


def test_pysteps_counts_missing_and_the_outside_as_dry(pysteps_verification):
    fss = pysteps_verification("spatialscores").fss
    rain = np.full((9, 9), 2.0)
    silent = rain.copy()
    silent[:, :4] = NAN  # the forecast says nothing there, and is right where it speaks
    assert fss(silent, rain, 1.0, 3) < 0.8
    assert fss_sums(silent, rain, threshold_mm_h=1.0, scales_cells=(3,)).fss == pytest.approx([1])
    # A line of rain along the western edge. A window there holds 6 cells, 3 of them wet: one half.
    # Beside it 3 of 9 (at the ends 2 of 6): one third. The corners hold 4 of 9 cells: not counted.
    edge, dry = np.zeros((2, 9, 9))
    edge[:, 0] = 2.0
    ours = fss_sums(edge, dry, threshold_mm_h=1.0, scales_cells=(3,))
    assert ours.reference == pytest.approx([7 / 4 + 9 / 9])
    # pysteps divides by 9 cells, also by those that do not exist.
    spatial = pysteps_verification("spatialscores")
    theirs = spatial.fss_init(1.0, 3)
    spatial.fss_accum(theirs, edge, dry)
    assert theirs["sum_fct_sq"] == pytest.approx(2 * (7 * (3 / 9) ** 2 + 2 * (2 / 9) ** 2))


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 9])
def test_equal_to_loops_over_windows_with_holes_and_edges(size):
    rng = np.random.default_rng(size)
    forecast, observed = rng.gamma(0.5, 2.0, size=(2, 11, 13))
    for field in (forecast, observed):
        field[rng.random(field.shape) < 0.2] = NAN
    sums = fss_sums(forecast, observed, threshold_mm_h=1.0, scales_cells=(size,))
    found = [sums.windows[0], sums.squared_difference[0], sums.reference[0]]
    assert found == pytest.approx(by_loops(forecast, observed, 1.0, size))


def test_many_thresholds_at_once_are_each_alone():
    rng = np.random.default_rng(5)
    said, happened = rng.random((2, 3, 12, 10)) < 0.3
    counted = rng.random((12, 10)) < 0.9
    together = fss_of_events(said, happened, counted, scales_cells=(2, 5))
    assert together.fss.shape == (3, 2)
    for k in range(3):
        alone = fss_of_events(said[k], happened[k], counted, scales_cells=(2, 5))
        assert together.fss[k] == pytest.approx(alone.fss)


@given(FIELD, FIELD)
def test_of_single_cells_it_is_read_off_the_contingency_table(forecast, observed):
    sums = fss_sums(forecast, observed, threshold_mm_h=1.0, scales_cells=(1,))
    table = contingency(forecast, observed, threshold_mm_h=1.0)
    assert sums.windows == table.total
    assert sums.squared_difference == table.misses + table.false_alarms
    assert sums.reference == 2 * table.hits + table.misses + table.false_alarms


@given(FIELD)
def test_a_perfect_forecast_scores_one_or_is_undefined(field):
    fss = fss_sums(field, field, threshold_mm_h=1.0, scales_cells=(1, 3, 4)).fss
    assert np.all((fss == 1) | np.isnan(fss))
    if (field >= 1).any():
        assert fss[0] == 1


def test_a_dry_pair_is_undefined():
    sums = fss_sums(np.zeros((4, 4)), np.zeros((4, 4)), threshold_mm_h=0.1, scales_cells=(3,))
    assert sums.windows[0] > 0
    assert np.isnan(sums.fss[0])


def test_a_window_of_no_cells_is_refused():
    with pytest.raises(UsageError, match=r"FSS scales \[9, 0\] cells, expected 1 or more"):
        fss_sums(np.zeros((4, 4)), np.zeros((4, 4)), threshold_mm_h=0.1, scales_cells=(9, 0))
