"""Errors of the rate: on paper, as laws, and against pysteps."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from nowcast.verify.continuous import decibel, error_sums

NAN = np.nan
FIELD = arrays(np.float32, (3, 4), elements=st.sampled_from([NAN, 0.0, 0.05, 0.5, 1.0, 8.0]))


def test_errors_on_paper():
    forecast = [[0.0, 1.0, 4.0], [2.0, NAN, 5.0]]
    observed = [[0.0, 3.0, 1.0], [2.0, 1.0, NAN]]
    sums = error_sums(forecast, observed)  # errors 0, -2, 3, 0
    assert sums.n == 4
    assert sums.mae == 5 / 4
    assert sums.rmse == pytest.approx(np.sqrt(13 / 4))
    assert sums.mean_error == 1 / 4
    assert sums.multiplicative_bias == 7 / 6
    assert sums.nmse == pytest.approx(13 / (0 + 16 + 25 + 16))


def test_decibels_on_paper():
    rates = [0.0, 0.05, 0.1, 1.0, 10.0, NAN]
    assert decibel(rates) == pytest.approx([-15, -15, -10, 0, 10, -15])
    sums = error_sums([0.0, 10.0, 0.02], [1.0, 1.0, 0.09])
    assert sums.rmse_db == pytest.approx(np.sqrt((15**2 + 10**2 + 0) / 3))


def test_equal_to_pysteps_on_the_counted_pixels(pysteps_verification):
    rng = np.random.default_rng(2)
    forecast, observed = rng.gamma(0.5, 2.0, size=(2, 30, 40))
    forecast[3, 4] = observed[5, 6] = NAN
    both = np.where(np.isfinite(forecast + observed), 1.0, NAN)
    expected = pysteps_verification("detcontscores").det_cont_fct(forecast * both, observed * both)
    sums = error_sums(forecast, observed)
    found = {
        "MAE": sums.mae, "RMSE": sums.rmse, "ME": sums.mean_error, "NMSE": sums.nmse,
        "corr_p": sums.correlation,
    }  # fmt: skip
    assert found == pytest.approx({name: float(expected[name]) for name in found}, rel=1e-9)


def test_pysteps_takes_means_over_different_pixels(pysteps_verification):
    # The forecast rains where nobody saw; pysteps' correlation and variances take it in.
    forecast, observed = np.array([[1.0, 2.0, 3.0, 99.0]]), np.array([[1.0, 2.0, 3.5, NAN]])
    cut = error_sums(forecast[:, :3], observed[:, :3])
    assert error_sums(forecast, observed).equals(cut)
    scores = pysteps_verification("detcontscores").det_cont_fct(forecast, observed, "corr_p")
    assert abs(scores["corr_p"] - cut.correlation) > 0.1


def test_nothing_to_count_is_undefined():
    sums = error_sums([NAN, 1.0], [1.0, NAN])
    assert sums.n == 0
    assert np.isnan([sums.mae, sums.rmse, sums.rmse_db, sums.multiplicative_bias]).all()
    dry = error_sums([0.0, 0.0], [0.0, 0.0])
    assert (dry.mae, dry.rmse_db) == (0, 0)
    assert np.isnan([dry.multiplicative_bias, dry.nmse, dry.correlation]).all()


def test_a_constant_field_has_no_correlation():
    rng = np.random.default_rng(3)
    assert np.isnan(error_sums(np.full(1000, 0.3), rng.gamma(1.0, size=1000)).correlation)


@given(FIELD, FIELD, FIELD, FIELD)
def test_sums_add_and_a_perfect_forecast_has_none(f1, o1, f2, o2):
    parts = error_sums(f1, o1) + error_sums(f2, o2)
    pooled = error_sums(np.stack([f1, f2]), np.stack([o1, o2]))
    for name, array in pooled.arrays().items():
        assert parts.arrays()[name] == pytest.approx(array), name
    perfect = error_sums(f1, f1)
    assert perfect.absolute == perfect.squared == perfect.squared_db == 0


@given(FIELD, FIELD, st.integers(0, 11))
def test_masking_a_pixel_is_removing_it(forecast, observed, place):
    forecast, observed = forecast.ravel(), observed.ravel()
    removed = error_sums(np.delete(forecast, place), np.delete(observed, place))
    masked = forecast.copy()
    masked[place] = NAN
    for name, array in error_sums(masked, observed).arrays().items():
        assert removed.arrays()[name] == pytest.approx(array), name
