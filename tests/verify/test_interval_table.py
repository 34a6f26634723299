"""Scores with intervals: the rows of the score table, and what the bootstrap says of each."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from nowcast.field.errors import UsageError
from nowcast.verify.bootstrap import Resampling, score_interval
from nowcast.verify.interval_table import interval_table
from nowcast.verify.scores import SCORES
from nowcast.verify.scoring import verify_forecast
from nowcast.verify.table import score_table
from nowcast.verify.tally import total


@pytest.fixture
def cycles(forecast_of, observed_frames):
    """Nine forecasts of two methods, one of which errs more."""
    random = np.random.default_rng(3)
    found = {"good": [], "bad": []}
    for _ in range(9):
        truth = random.gamma(0.5, 3.0, (2, 12, 12))
        for name, error in (("good", 0.5), ("bad", 2.0)):
            rate = np.abs(truth + random.normal(0, error, truth.shape))
            tally = verify_forecast(
                forecast_of(rate), observed_frames(truth), scales_cells=(3,), thresholds_mm_h=(1,)
            )
            found[name].append(tally.named(name))
    return found


def test_the_rows_are_those_of_the_score_table_with_an_interval(cycles) -> None:
    table = interval_table(cycles, scores=["csi", "mae", "fss"])
    plain = pd.concat([score_table([total(tallies)]) for tallies in cycles.values()])
    for name in ("csi", "mae", "fss"):
        mine, theirs = (rows[rows["score"] == name] for rows in (table, plain))
        pd.testing.assert_frame_equal(
            mine.drop(columns=["low", "high"]).reset_index(drop=True),
            theirs.reset_index(drop=True),
        )
    assert (table["low"] <= table["value"]).all()
    assert (table["value"] <= table["high"]).all()
    assert (table["low"] < table["high"]).all()
    # Each row holds the interval of its own lead.
    rows = table[(table["score"] == "mae") & (table["method"] == "bad")].sort_values("lead_minutes")
    interval = score_interval(cycles["bad"], SCORES["mae"])
    np.testing.assert_array_equal(rows["low"], interval.low)
    np.testing.assert_array_equal(rows["high"], interval.high)


def test_of_few_forecasts_no_interval_is_claimed(cycles) -> None:
    few = {name: tallies[:7] for name, tallies in cycles.items()}
    table = interval_table(few, scores=["mae"], resampling=Resampling(draws=20))
    assert table["low"].isna().all()
    assert table["high"].isna().all()
    assert table["value"].notna().all()


def test_an_unknown_score(cycles) -> None:
    with pytest.raises(UsageError, match="no score skill: known are mae, "):
        interval_table(cycles, scores=["mae", "skill"])
