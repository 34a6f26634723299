"""Intervals: on paper for two cycles, against cycles added by hand, and as often right as said."""

from __future__ import annotations

import numpy as np
import pytest

from nowcast.field.errors import SchemaError, UsageError
from nowcast.verify.bootstrap import Resampling, difference_interval, score_interval
from nowcast.verify.continuous import error_sums
from nowcast.verify.scores import SCORES
from nowcast.verify.scoring import verify_forecast
from nowcast.verify.sums import stack
from nowcast.verify.tally import total

STEP = np.timedelta64(10, "m")
ISSUED = np.datetime64("2024-05-01T12:00", "ns")


@pytest.fixture(scope="module")
def cycles(forecast_of, observed_frames):
    """Tallies of forecasts whose error (mm/h) at their only lead is given, one a cycle."""

    def build(errors, **asked):
        found = []
        for k, error in enumerate(errors):
            issued = ISSUED + k * STEP
            truth = np.full((1, 2, 2), 2.0)
            forecast = forecast_of(truth + error, issued=issued)
            asked = {"thresholds_mm_h": (1.0,), "scales_cells": (1,)} | asked
            observed = observed_frames(truth, issued=issued)
            found.append(verify_forecast(forecast, observed, **asked))
        return found

    return build


def test_two_cycles_on_paper(cycles):
    # Draws: the first twice, the second twice, or one of each: MAE 1, 3 or 2.
    interval = score_interval(cycles([1.0, 3.0]), SCORES["mae"])
    assert interval.value.tolist() == [2.0]
    assert interval.low.tolist() == [1.0]
    assert interval.high.tolist() == [3.0]
    middle = score_interval(cycles([1.0, 3.0]), SCORES["mae"], resampling=Resampling(level=0.2))
    assert (middle.low, middle.high) == (2.0, 2.0)


def test_cycles_that_agree_leave_no_doubt(cycles):
    interval = score_interval(cycles([0.5] * 9), SCORES["mae"])
    assert interval.low == interval.value == interval.high == 0.5


@pytest.mark.parametrize("count", [1, 2, 3])
def test_too_few_blocks_claim_nothing(cycles, count):
    resampling = Resampling(block_cycles=2)
    interval = score_interval(cycles([1.0, 3.0, 2.0][:count]), SCORES["mae"], resampling=resampling)
    assert interval.value == pytest.approx(np.mean([1.0, 3.0, 2.0][:count]))
    assert np.isnan([interval.low, interval.high]).all()


def test_draws_are_cycles_in_blocks_and_the_same_for_the_same_seed():
    weights = Resampling(draws=50, block_cycles=3).weights(10)
    assert weights.shape == (50, 10)
    assert (weights.sum(axis=1) == 10).all()
    assert (weights == Resampling(draws=50, block_cycles=3).weights(10)).all()
    assert (weights != Resampling(draws=50, block_cycles=3, seed=1).weights(10)).any()
    # Four blocks of three, cut at ten: at least two cycles in a row have been drawn as often.
    starts = Resampling(draws=500, block_cycles=5).weights(10)
    assert set(map(tuple, starts)) >= {(1.0,) * 10}
    # Circular: every cycle is as likely as any other.
    assert Resampling(draws=20000, block_cycles=3).weights(10).mean(axis=0) == pytest.approx(
        np.ones(10), abs=0.03
    )
    assert Resampling().weights(27).shape == (1000, 27)


def test_a_draw_is_the_total_of_its_cycles(forecast_of, observed_frames):
    rng = np.random.default_rng(4)
    tallies = []
    for k in range(6):
        rain = np.maximum(rng.gamma(0.5, 2.0, size=(6, 2, 9, 9)) - 0.5, 0).astype(np.float32)
        issued = ISSUED + k * STEP
        members = rain[2:] if k else None  # the first has no ensemble
        forecast = forecast_of(rain[1], issued=issued, members=members)
        tallies.append(
            verify_forecast(
                forecast,
                observed_frames(rain[0], issued=issued),
                thresholds_mm_h=(0.1, 1.0),
                scales_cells=(3,),
            )
        )
    resampling = Resampling(draws=3, level=1e-9, block_cycles=1, seed=2)
    drawn = [
        total([one for one, times in zip(tallies, row, strict=True) for _ in range(int(times))])
        for row in resampling.weights(6)
    ]
    for name, score in SCORES.items():
        if name.startswith("sal"):
            continue
        interval = score_interval(tallies, score, resampling=resampling)
        # The middle one of three draws.
        expected = np.median([score(one) for one in drawn], axis=0)
        assert interval.low == pytest.approx(expected, nan_ok=True), name
        assert interval.high == pytest.approx(expected, nan_ok=True), name
        assert interval.value == pytest.approx(score(total(tallies)), nan_ok=True), name


def test_an_interval_holds_the_truth_about_as_often_as_it_says(cycles):
    rng = np.random.default_rng(5)
    perfect = cycles([0.0] * 20)
    resampling = Resampling(draws=200, level=0.8)
    held = []
    for _ in range(100):
        tallies = [
            one.with_pieces(one.pieces() | {"errors": stack([error_sums([error], [0.0])])})
            for one, error in zip(perfect, rng.exponential(1.0, size=20), strict=True)
        ]
        interval = score_interval(tallies, SCORES["mae"], resampling=resampling)
        held.append(bool(interval.low[0] <= 1.0 <= interval.high[0]))
    assert 0.65 < np.mean(held) < 0.92


def test_the_difference_of_two_methods_on_the_same_cycles(cycles):
    rng = np.random.default_rng(6)
    weather = rng.exponential(2.0, size=20)  # what makes a cycle hard for both
    better, worse = cycles(weather), cycles(weather + 0.1)
    difference = difference_interval(better, worse, SCORES["mae"])
    assert difference.value == pytest.approx([-0.1])
    assert difference.high[0] < 0  # resolved, though the scores' own intervals overlap
    assert score_interval(better, SCORES["mae"]).high > score_interval(worse, SCORES["mae"]).low
    same = difference_interval(better, better, SCORES["mae"])
    assert same.low == same.value == same.high == 0
    with pytest.raises(SchemaError, match="20 and 19 cycles that are not the same"):
        difference_interval(better, worse[1:], SCORES["mae"])


def test_a_score_undefined_in_some_draws_is_judged_by_the_others(cycles):
    # Nobody ever said 5 mm/h: CSI is undefined throughout; at 1 mm/h it is 1.
    tallies = cycles([0.0] * 8, thresholds_mm_h=(1.0, 5.0))
    interval = score_interval(tallies, SCORES["csi"])
    assert interval.low.tolist()[0] == pytest.approx([1.0, np.nan], nan_ok=True)


@pytest.mark.parametrize("wrong", [{"draws": 0}, {"level": 1.0}, {"block_cycles": -1}])
def test_odd_settings_are_refused(wrong):
    with pytest.raises(UsageError, match="expected at least 1 draw"):
        Resampling(**wrong)
