"""Brier, reliability and ROC: on paper, as laws, and against pysteps."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from nowcast.field.errors import SchemaError
from nowcast.verify.categorical import contingency_of_events
from nowcast.verify.probability import (
    CUTS,
    bins_of_yes_or_no,
    brier_of_yes_or_no,
    brier_sums,
    probability_bins,
)

NAN = np.nan
PROBABILITY = arrays(
    np.float32, 30, elements=st.sampled_from([NAN, 0.0, 0.05, 0.3, 0.31, 0.5, 0.95, 1.0])
)
EVENTS = arrays(np.bool_, 30)


def test_brier_on_paper():
    probability, happened = np.array([0.0, 0.5, 1.0, 0.25, NAN]), np.array([0, 1, 1, 0, 1], bool)
    sums = brier_sums(probability, happened)
    assert sums.n == 4
    assert sums.brier == pytest.approx((0 + 0.25 + 0 + 0.0625) / 4)
    assert np.isnan(sums.fair_brier)
    # Of 4 members: less p (1 - p) / 3.
    fair = brier_sums(probability, happened, members=4).fair_brier
    assert fair == pytest.approx((0.3125 - (0.25 + 0.1875) / 3) / 4)
    # One member of five is no ensemble: that pixel is left out of the fair score alone.
    several = brier_sums(probability, happened, members=np.array([4, 4, 1, 4, 4]))
    assert (several.n, several.fair_n) == (4, 3)


def test_fair_brier_is_that_of_endless_members():
    rng = np.random.default_rng(1)
    chance = rng.random(200000)
    happened = rng.random(200000) < chance
    of_three = (rng.random((3, 200000)) < chance).mean(axis=0)
    endless = brier_sums(chance, happened).brier
    assert brier_sums(of_three, happened, members=3).fair_brier == pytest.approx(endless, abs=2e-3)
    assert brier_sums(of_three, happened, members=3).brier > endless + 0.04


def test_bins_and_cuts_on_paper():
    probability = np.array([0.0, 0.04, 0.05, 0.3, 0.3, 1.0])
    happened = np.array([False, False, True, False, True, True])
    bins = probability_bins(probability, happened)
    assert len(CUTS) == bins.n.size == 21
    assert bins.n[[0, 1, 6, 20]].tolist() == [2, 1, 2, 1]
    assert bins.n.sum() == bins.total == 6
    assert bins.mean_probability[[0, 6]] == pytest.approx([0.02, 0.3])
    assert bins.observed_frequency[[0, 1, 6, 20]].tolist() == [0, 1, 0.5, 1]
    assert np.isnan(bins.observed_frequency[7])
    # From 0.3 on it is said three times, and happens twice of three.
    assert (bins.hits[6], bins.false_alarms[6]) == (2, 1)
    assert (bins.pod[6], bins.pofd[6]) == pytest.approx((2 / 3, 1 / 3))
    assert bins.csi_by_cut[6] == pytest.approx(2 / 4)
    # From 0.05 on: all three hits, one false alarm.
    assert bins.best_csi == pytest.approx(3 / 4)
    # The curve runs (1, 1), (1/3, 1), (1/3, 2/3), (0, 1/3), (0, 0).
    assert bins.roc_area == pytest.approx((2 / 3) * 1 + (1 / 3) * (2 / 3 + 1 / 3) / 2)


@pytest.mark.parametrize("members", range(1, 21))
def test_a_frequency_of_twenty_members_reaches_its_own_cut(members):
    for kind in (np.float32, np.float64):
        bins = probability_bins(np.array([members / 20], dtype=kind), np.array([True]))
        assert bins.n[members] == 1
        assert bins.hits[members] == 1


def test_equal_to_pysteps_where_no_probability_lies_on_an_edge(pysteps_verification):
    scores = pysteps_verification("probscores")
    rng = np.random.default_rng(2)
    probability = rng.random((60, 70))
    observed = np.where(rng.random((60, 70)) < probability**2, 3.0, 0.2)
    probability[0, 0] = NAN
    bins = probability_bins(probability, observed >= 1.0)
    expected_x, expected_y = scores.reldiag(probability, observed, 1.0, n_bins=20, min_count=1)
    assert bins.mean_probability[:20] == pytest.approx(expected_x)
    assert bins.observed_frequency[:20] == pytest.approx(expected_y)
    pofd, pod, area = scores.ROC_curve(
        probability, observed, 1.0, n_prob_thrs=21, compute_area=True
    )
    assert bins.pofd == pytest.approx(pofd)
    assert bins.pod == pytest.approx(pod)
    assert bins.roc_area == pytest.approx(area)


def test_pysteps_drops_bins_with_few_pixels(pysteps_verification):
    probability, observed = np.full(9, 0.33), np.full(9, 2.0)
    with np.errstate(invalid="ignore"):
        _, frequency = pysteps_verification("probscores").reldiag(probability, observed, 1.0)
    assert np.isnan(frequency).all()
    assert probability_bins(probability, observed >= 1.0).observed_frequency[6] == 1


def test_the_area_of_chance_and_of_knowledge():
    rng = np.random.default_rng(3)
    happened = rng.random(50000) < 0.2
    assert probability_bins(rng.random(50000), happened).roc_area == pytest.approx(0.5, abs=0.01)
    assert probability_bins(happened.astype(float), happened).roc_area == 1
    never = probability_bins(np.zeros(5), np.zeros(5, dtype=bool))
    assert np.isnan([never.roc_area, never.best_csi]).all()


@given(PROBABILITY, EVENTS)
def test_best_csi_is_the_best_of_all_cuts(probability, happened):
    counted = np.isfinite(probability)
    tables = [
        contingency_of_events(probability >= cut - 1e-6, happened, counted=counted)
        for cut in CUTS[1:-1]
    ]
    csi = [float(table.csi) for table in tables if np.isfinite(table.csi)]
    best = probability_bins(probability, happened).best_csi
    assert best == pytest.approx(max(csi, default=NAN), nan_ok=True)


@given(PROBABILITY, EVENTS, PROBABILITY, EVENTS)
def test_sums_add_and_order_means_nothing(p1, e1, p2, e2):
    both = np.concatenate([p1, p2]), np.concatenate([e1, e2])
    for sums in (brier_sums, probability_bins):
        parts = (sums(p1, e1) + sums(p2, e2)).arrays()
        for name, array in sums(both[0][::-1], both[1][::-1]).arrays().items():
            assert parts[name] == pytest.approx(array), name


@given(EVENTS, EVENTS)
def test_yes_and_no_as_probabilities_agree_with_the_table(said, happened):
    table = contingency_of_events(said, happened, counted=np.ones(30, dtype=bool))
    brier, bins = brier_of_yes_or_no(table), bins_of_yes_or_no(table)
    assert brier.equals(brier_sums(said.astype(float), happened))
    assert bins.equals(probability_bins(said.astype(float), happened))
    assert brier.brier == pytest.approx(1 - table.accuracy)
    assert bins.best_csi == pytest.approx(float(table.csi), nan_ok=True)


def test_percentages_are_refused():
    with pytest.raises(SchemaError, match="probabilities from 10 to 90, expected 0 to 1"):
        probability_bins(np.array([10.0, 90.0]), np.array([True, False]))
