"""Scores by lead time with the interval in which they would lie with other weather."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from nowcast.field.errors import UsageError
from nowcast.verify.bootstrap import Resampling, score_interval
from nowcast.verify.scores import SCORES
from nowcast.verify.table import score_table
from nowcast.verify.tally import total

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nowcast.verify.tally import Tally


# Of fewer forecasts the drawn ones are too much alike to tell what others would give.
FEWEST_CYCLES = 8


def interval_table(
    cycles: Mapping[str, Sequence[Tally]],
    *,
    scores: Sequence[str],
    resampling: Resampling | None = None,
) -> pd.DataFrame:
    """The rows of ``score_table`` for some scores, with columns ``low`` and ``high``.

    ``cycles`` are the tallies of each method, one a forecast, in order of time. Low and high are
    NaN for fewer than 8 forecasts. Raises UsageError for an unknown score,
    SchemaError where there are no cycles.
    """
    if unknown := sorted(set(scores) - set(SCORES)):
        raise UsageError(f"no score {', '.join(unknown)}: known are {', '.join(SCORES)}")
    drawn = resampling or Resampling()
    parts = []
    for tallies in cycles.values():
        table = score_table([total(tallies)])
        for name in scores:
            rows = table[table["score"] == name]
            if rows.empty:
                continue
            interval = score_interval(tallies, SCORES[name], resampling=drawn)
            told = np.nan if len(tallies) < FEWEST_CYCLES else 1.0
            parts.append(
                rows.assign(low=interval.low.ravel() * told, high=interval.high.ravel() * told)
            )
    return pd.concat(parts, ignore_index=True)
