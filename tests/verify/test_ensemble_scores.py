"""CRPS and rank histogram: on paper, by the integral, and against pysteps where nothing ties."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from nowcast.field.errors import SchemaError
from nowcast.verify.continuous import error_sums
from nowcast.verify.ensemble import crps_sums, rank_histogram

NAN = np.nan
STEPS = st.sampled_from([0.0, 0.0, 0.0, 1.0, 1.5, 4.0])
MEMBERS = arrays(np.float32, (5, 6), elements=STEPS)
OBSERVED = arrays(np.float32, 6, elements=STEPS)


def by_integral(members, observed):
    """The integral of (F(x) - [observed <= x])**2 between all steps of F, of one pixel."""
    edges = np.unique([*members, observed]).astype(float)
    total = 0.0
    for left, right in itertools.pairwise(edges):
        below = np.mean(np.asarray(members) <= left)
        total += (right - left) * (below - (observed <= left)) ** 2
    return total


def rainy(shape, seed):
    rng = np.random.default_rng(seed)
    rain = rng.gamma(0.7, 2.0, size=shape)
    rain[rng.random(shape) < 0.5] = 0.0
    return rain.astype(np.float32)


def test_a_tie_on_paper(pysteps_verification):
    # F is 3/4 from 0 to 1, where it should be 1: (1/4)**2 over a length of 1.
    members, observed = np.array([[0.0], [0.0], [0.0], [1.0]]), np.array([0.0])
    assert crps_sums(members, observed).mean_crps == 0.0625
    assert pysteps_verification("probscores").CRPS(members, observed) == 0.0
    # Fair: mean error 1/4, mean distance of two different members 1/2, half of it 1/4.
    assert crps_sums(members, observed).mean_fair_crps == 0.0


@pytest.mark.parametrize(
    ("members", "observed", "crps", "fair"),
    [
        ([2.0], 5.0, 3.0, NAN),  # one member: its absolute error, and no pair to be fair with
        ([1.0, 3.0], 2.0, 0.5, 0.0),  # 1 - 2/4, 1 - 2/2
        ([0.0, 0.0], 0.0, 0.0, 0.0),
        ([0.0, 4.0], 4.0, 1.0, 0.0),  # 2 - 4/4, 2 - 4/2
        ([1.0, NAN, 3.0], 2.0, 0.5, 0.0),  # a silent member is none
        ([NAN, 2.0], 5.0, 3.0, NAN),
        ([NAN, NAN], 5.0, NAN, NAN),
        ([1.0, 3.0], NAN, NAN, NAN),
    ],
)
def test_one_pixel_on_paper(members, observed, crps, fair):
    sums = crps_sums(np.array(members)[:, None], np.array([observed]))
    assert [sums.mean_crps, sums.mean_fair_crps] == pytest.approx([crps, fair], nan_ok=True)


@given(MEMBERS, OBSERVED)
def test_equal_to_the_integral_whatever_ties(members, observed):
    expected = sum(by_integral(members[:, k], observed[k]) for k in range(6))
    assert crps_sums(members, observed).crps == pytest.approx(expected, abs=1e-12)


def test_equal_to_pysteps_where_nothing_ties(pysteps_verification):
    rng = np.random.default_rng(6)
    members, observed = rng.gamma(1.0, 2.0, size=(10, 20, 30)), rng.gamma(1.0, 2.0, size=(20, 30))
    members[:, 3, 3] = observed[4, 4] = NAN
    expected = pysteps_verification("probscores").CRPS(members, observed)
    assert crps_sums(members, observed).mean_crps == pytest.approx(expected, rel=1e-12)


def test_pysteps_loses_a_part_where_rain_is_mostly_dry(pysteps_verification):
    members, observed = rainy((20, 50, 50), 7), rainy((50, 50), 8)
    exact = np.mean([
        by_integral(members[:, row, column], observed[row, column])
        for row, column in np.ndindex(10, 10)
    ])  # fmt: skip
    ours = crps_sums(members[:, :10, :10], observed[:10, :10]).mean_crps
    theirs = pysteps_verification("probscores").CRPS(members[:, :10, :10], observed[:10, :10])
    assert ours == pytest.approx(exact, rel=1e-6)
    assert theirs < 0.99 * exact


def test_more_pixels_than_are_taken_at_once():
    members, observed = rainy((7, 150, 140), 9), rainy((150, 140), 10)
    x, o = members.astype(float), observed.astype(float)
    spread = sum(np.abs(a - b) for a in x for b in x)
    error = np.abs(x - o).mean(axis=0)
    sums = crps_sums(members, observed)
    assert sums.n == 150 * 140
    assert sums.crps == pytest.approx((error - spread / (2 * 49)).sum(), rel=1e-12)
    assert sums.fair_crps == pytest.approx((error - spread / (2 * 42)).sum(), rel=1e-12)


@given(MEMBERS, OBSERVED, st.permutations(range(5)))
def test_the_order_of_members_means_nothing(members, observed, order):
    mixed = members[list(order)]
    assert crps_sums(mixed, observed).equals(crps_sums(members, observed))
    assert rank_histogram(mixed, observed).equals(rank_histogram(members, observed))


@given(MEMBERS, OBSERVED, st.integers(0, 5))
def test_masking_a_pixel_is_removing_it_and_parts_add(members, observed, place):
    masked = observed.copy()
    masked[place] = NAN
    rest = np.delete(members, place, axis=1), np.delete(observed, place)
    alone = members[:, [place]], observed[[place]]
    for sums in (crps_sums, rank_histogram):
        for name, array in sums(*rest).arrays().items():
            assert sums(members, masked).arrays()[name] == pytest.approx(array, abs=1e-12)
            parts = (sums(*rest) + sums(*alone)).arrays()[name]
            assert sums(members, observed).arrays()[name] == pytest.approx(parts, abs=1e-12)


@given(OBSERVED)
def test_a_perfect_ensemble_has_no_crps_and_one_member_its_absolute_error(observed):
    assert crps_sums(np.stack([observed] * 4), observed).crps == 0
    other = observed[::-1]
    assert crps_sums(other[None], observed).crps == pytest.approx(
        error_sums(other, observed).absolute
    )


def test_ranks_on_paper():
    members = np.array([[1.0, 0.0, 0.0, 2.0, NAN], [3.0, 0.0, 2.0, 2.0, 1.0]])
    observed = np.array([2.0, 0.0, 2.0, 9.0, 1.0])
    # One below; two ties share ranks 0 to 2; one below and one tie share 1 and 2; all below;
    # one is silent.
    ranks = rank_histogram(members, observed)
    assert ranks.counts == pytest.approx([1 / 3, 1 + 1 / 3 + 1 / 2, 1 / 3 + 1 / 2 + 1])
    assert ranks.n == pytest.approx(4)
    assert ranks.frequencies.sum() == pytest.approx(1)
    assert ranks.outliers == pytest.approx((1 / 3 + 1 / 3 + 1 / 2 + 1) / 4)


def test_ranks_equal_pysteps_where_nothing_ties(pysteps_verification):
    rng = np.random.default_rng(11)
    members, observed = rng.random((9, 20, 20)), rng.random((20, 20))
    members[2, 5, 5] = observed[6, 6] = NAN
    expected = pysteps_verification("ensscores").rankhist(members, observed, normalize=False)
    assert rank_histogram(members, observed).counts == pytest.approx(expected)


def test_ranks_with_ties_are_what_pysteps_draws_in_the_mean(pysteps_verification):
    members, observed = rainy((4, 15, 15), 12), rainy((15, 15), 13)
    # What pysteps takes for dry has to tie with nothing else.
    state = np.random.get_state()  # noqa: NPY002  # pysteps draws from the global generator
    try:
        np.random.seed(1)  # noqa: NPY002
        rankhist = pysteps_verification("ensscores").rankhist
        drawn = [rankhist(members, observed, 0.1, normalize=False) for _ in range(200)]
    finally:
        np.random.set_state(state)  # noqa: NPY002
    ours = rank_histogram(members, observed, wet_from_mm_h=0.1)
    assert ours.n == pytest.approx(drawn[0].sum())
    assert ours.n < 225
    # The mean of 200 draws of some 30 ties has a standard error below 0.4.
    assert np.mean(drawn, axis=0) == pytest.approx(ours.counts, abs=1.6)
    assert rank_histogram(members, observed, wet_from_mm_h=0.1).equals(ours)


def test_an_ensemble_drawn_from_the_truths_distribution_is_flat():
    rng = np.random.default_rng(14)
    members, observed = rng.gamma(0.6, size=(9, 20000)), rng.gamma(0.6, size=20000)
    flat = rank_histogram(members, observed).frequencies
    assert flat == pytest.approx(np.full(10, 0.1), abs=0.01)
    narrow = rank_histogram(0.5 * members + 0.3, observed)
    assert narrow.outliers > 0.3


def test_members_of_another_shape_are_refused():
    with pytest.raises(SchemaError, match=r"members of shape \(3, 4\), expected \(member, 5\)"):
        crps_sums(np.zeros((3, 4)), np.zeros(5))
