"""Yes/no scores: on paper, as laws, and against pysteps where it asks the same question."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from nowcast.field.event import reached
from nowcast.verify.categorical import contingency

NAN = np.nan
FIELD = arrays(np.float32, (4, 5), elements=st.sampled_from([NAN, 0.0, 0.5, 1.0, 2.5, 10.0]))


def test_a_table_on_paper():
    forecast = [[0.0, 1.0, 2.0], [3.0, NAN, 5.0]]
    observed = [[0.0, 2.0, 0.0], [0.4, 1.0, NAN]]
    # said:     no    yes  yes / yes  -    -
    # happened: no    yes  no  / no   -    -
    table = contingency(forecast, observed, threshold_mm_h=1.0)
    assert [table.hits, table.misses, table.false_alarms, table.correct_negatives] == [1, 0, 2, 1]
    assert table.total == 4
    assert table.csi == pytest.approx(1 / 3)
    assert table.pod == 1
    assert table.far == pytest.approx(2 / 3)
    assert table.pofd == pytest.approx(2 / 3)
    assert table.frequency_bias == 3
    assert table.accuracy == pytest.approx(1 / 2)
    # Hits by chance: 3 said x 1 happened / 4 pixels = 3/4.
    assert table.ets == pytest.approx((1 - 0.75) / (3 - 0.75))
    assert table.hss == pytest.approx(2 * (1 * 1 - 2 * 0) / (1 * 1 + 3 * 3))


@pytest.mark.parametrize(
    ("forecast", "observed", "csi", "pod", "far", "frequency_bias"),
    [
        ([0.0, 0.0], [0.0, 0.0], NAN, NAN, NAN, NAN),  # it was never said and never happened
        ([0.0, 0.0], [2.0, 0.0], 0.0, 0.0, NAN, 0.0),  # missed
        ([2.0, 0.0], [0.0, 0.0], 0.0, NAN, 1.0, NAN),  # false alarm
        ([2.0, 2.0], [2.0, 0.0], 0.5, 1.0, 0.5, 2.0),  # half right
        ([NAN, NAN], [2.0, 0.0], NAN, NAN, NAN, NAN),  # nothing said
    ],
)
def test_undefined_is_nan_and_nothing_else_is(forecast, observed, csi, pod, far, frequency_bias):
    table = contingency(forecast, observed, threshold_mm_h=1.0)
    found = [table.csi, table.pod, table.far, table.frequency_bias]
    assert found == pytest.approx([csi, pod, far, frequency_bias], nan_ok=True)


def test_a_rate_at_the_threshold_is_an_event_also_after_packing():
    assert reached(np.float32([0.5, 0.49999997, 0.4999, NAN]), 0.5).tolist() == [1, 1, 0, 0]
    assert reached(np.float32([0.1]), 0.1).all()
    assert reached(np.float32([0.1]), np.float64(0.1)).all()


def test_equal_to_pysteps_where_no_rate_equals_the_threshold(pysteps_verification):
    rng = np.random.default_rng(1)
    forecast, observed = rng.gamma(0.5, 2.0, size=(2, 40, 50))
    expected = pysteps_verification("detcatscores").det_cat_fct(forecast, observed, 1.0)
    table = contingency(forecast, observed, threshold_mm_h=1.0)
    names = {
        "CSI": "csi", "POD": "pod", "FAR": "far", "FA": "pofd", "BIAS": "frequency_bias",
        "ACC": "accuracy", "GSS": "ets", "HSS": "hss",
    }  # fmt: skip
    found = {theirs: getattr(table, ours) for theirs, ours in names.items()}
    assert found == pytest.approx({theirs: expected[theirs] for theirs in names})


def test_pysteps_asks_for_more_than_the_threshold_and_counts_missing_as_dry(pysteps_verification):
    scores = pysteps_verification("detcatscores")
    # Gauge-like steps of 0.5: the one observation of exactly 0.5 mm/h happened, and was said.
    forecast, observed = np.array([[0.5, 1.0, 0.0]]), np.array([[0.5, 1.0, 0.0]])
    table = scores.det_cat_fct_init(0.5)
    scores.det_cat_fct_accum(table, forecast, observed)
    assert table["hits"] == 1
    assert contingency(forecast, observed, threshold_mm_h=0.5).hits == 2
    # A missing pixel is a correct negative to pysteps, whose docstring says that NaN are ignored.
    forecast, observed = np.array([[1.0, NAN]]), np.array([[1.0, NAN]])
    assert scores.det_cat_fct(forecast, observed, 0.5, "ACC")["ACC"] == 1
    table = scores.det_cat_fct_init(0.5)
    scores.det_cat_fct_accum(table, forecast, observed)
    assert table["correct_negatives"] == 1
    assert contingency(forecast, observed, threshold_mm_h=0.5).total == 1


@given(FIELD, FIELD, FIELD, FIELD)
def test_sums_of_two_fields_are_the_sums_of_both_together(f1, o1, f2, o2):
    parts = contingency(f1, o1, threshold_mm_h=1) + contingency(f2, o2, threshold_mm_h=1)
    pooled = contingency(np.stack([f1, f2]), np.stack([o1, o2]), threshold_mm_h=1)
    assert parts.equals(pooled)


@given(FIELD, FIELD, st.integers(0, 19))
def test_masking_a_pixel_is_removing_it(forecast, observed, place):
    forecast, observed = forecast.ravel(), observed.ravel()
    removed = contingency(np.delete(forecast, place), np.delete(observed, place), threshold_mm_h=1)
    for side in (forecast.copy(), forecast), (observed.copy(), observed):
        masked, original = side
        masked[place] = NAN
        fields = (masked, observed) if original is forecast else (forecast, masked)
        assert contingency(*fields, threshold_mm_h=1).equals(removed)


@given(FIELD)
def test_a_perfect_forecast_has_no_error(field):
    table = contingency(field, field, threshold_mm_h=0.5)
    assert table.misses == table.false_alarms == 0
    if (field >= 0.5).any():
        assert table.csi == table.pod == table.frequency_bias == 1
