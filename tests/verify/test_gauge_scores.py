"""Amounts against gauges: sums on paper, and against scipy and pandas."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from nowcast.field.errors import SchemaError
from nowcast.verify.gauges import GaugeTally, gauge_table, gauge_tally

NAN = np.nan


def tally(said: object, fell: object, *, method: str = "radar") -> GaugeTally:
    amounts, gauges = np.atleast_2d(np.asarray(said, float)), np.atleast_2d(np.asarray(fell, float))
    until = [15.0 * (window + 1) for window in range(len(amounts))]
    return gauge_tally(
        method, amounts, gauges, until_minutes=until, window_minutes=15, amounts_mm=(0.5, 1.0)
    )


def value(one: GaugeTally, score: str, *, amount: float = NAN, until: float = 15) -> float:
    table = gauge_table([one])
    rows = table[(table["score"] == score) & (table["until_minutes"] == until)]
    rows = rows[rows["amount_mm"].isna() if np.isnan(amount) else rows["amount_mm"] == amount]
    (found,) = rows["value"]
    return float(found)


def test_scores_on_paper() -> None:
    one = tally([[0, 1, 2, 4], [NAN, 1, 0, 0]], [[0, 2, 0.5, NAN], [1, 1, 1, 0]])
    assert value(one, "multiplicative_bias") == pytest.approx(3 / 2.5)
    assert value(one, "mean_error") == pytest.approx(0.5 / 3)
    assert value(one, "mae") == pytest.approx((1 + 1.5) / 3)
    assert value(one, "csi", amount=0.5) == 1.0
    assert value(one, "csi", amount=1.0) == 0.5
    assert value(one, "far", amount=1.0) == 0.5
    assert value(one, "csi", amount=1.0, until=30) == 0.5
    table = gauge_table([one])
    assert set(table.loc[table["until_minutes"] == 15, "n"]) == {3}
    assert set(table["method"]) == {"radar"}


PAIRS = arrays.arrays(np.float64, (2, 12), elements=st.floats(0, 20).map(lambda x: round(x, 1)))


@given(PAIRS, st.integers(1, 11))
def test_sums_of_parts_are_those_of_the_whole_and_scipy_agrees(pairs: np.ndarray, cut: int) -> None:
    said, fell = pairs
    whole = tally(said, fell)
    parts = tally(said[:cut], fell[:cut]) + tally(said[cut:], fell[cut:])
    for score in ("mae", "multiplicative_bias", "correlation"):
        np.testing.assert_allclose(value(parts, score), value(whole, score), rtol=1e-6, atol=1e-9)
    assert value(parts, "csi", amount=1.0) == pytest.approx(
        value(whole, "csi", amount=1.0), nan_ok=True
    )
    if said.std() > 0.1 and fell.std() > 0.1:
        expected = scipy.stats.pearsonr(said, fell).statistic
        assert value(whole, "correlation") == pytest.approx(expected, abs=1e-6)


def test_cycles_of_other_methods_or_windows_do_not_add() -> None:
    one = tally([1], [1])
    with pytest.raises(SchemaError, match=r"cycles do not add: \('radar', 15"):
        _ = one + tally([1], [1], method="mim")
    with pytest.raises(SchemaError, match="cycles do not add"):
        _ = one + tally([[1], [1]], [[1], [1]])
    # A radar that nobody forecast has no lead; its sums add all the same.
    alone = gauge_tally(
        "radar",
        np.ones((1, 2)),
        np.ones((1, 2)),
        until_minutes=[NAN],
        window_minutes=15,
        amounts_mm=(0.5,),
    )
    assert (alone + alone).errors.n.tolist() == [4]
