"""Amounts of rain against gauges: sums that add over cycles, and the table of their scores."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

import numpy as np
import pandas as pd

from nowcast.field.errors import SchemaError
from nowcast.verify.categorical import ContingencyTable, contingency
from nowcast.verify.continuous import ErrorSums, error_sums
from nowcast.verify.sums import stack

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

# The properties of the sums that the table shows. Those in dB are about rates and left out.
ERRORS = ("multiplicative_bias", "mean_error", "mae", "rmse", "correlation")
EVENTS = ("csi", "pod", "far", "frequency_bias")


@dataclass(frozen=True, eq=False)
class GaugeTally:
    """The sums of one method, or of the radar itself, against gauges.

    Attributes:
        method: whose amounts.
        window_minutes: over how long the amounts fell.
        until_minutes: when the windows end, after issue; NaN for a radar that nobody forecast.
        amounts_mm: from which on an amount counts as an event.
        errors: of amounts (mm), (window,).
        contingency: (window, amount).

    """

    method: str
    window_minutes: float
    until_minutes: tuple[float, ...]
    amounts_mm: tuple[float, ...]
    errors: ErrorSums
    contingency: ContingencyTable

    def __add__(self, other: Self) -> Self:
        """Both together; raises SchemaError for another method, other windows or amounts."""
        mine, theirs = self._axes(), other._axes()
        if str(mine) != str(theirs):  # NaN is not NaN
            raise SchemaError(f"cycles do not add: {mine} and {theirs}")
        return replace(
            self,
            errors=self.errors + other.errors,
            contingency=self.contingency + other.contingency,
        )

    def _axes(self) -> tuple[object, ...]:
        return self.method, self.window_minutes, self.until_minutes, self.amounts_mm


def gauge_tally(
    method: str,
    amount_mm: NDArray[np.float64],
    gauge_mm: NDArray[np.float64],
    *,
    until_minutes: Sequence[float],
    window_minutes: float,
    amounts_mm: Sequence[float],
) -> GaugeTally:
    """The sums of a method's amounts and those of the gauges, both (window, station).

    What is NaN in either is not counted.
    """
    pairs = list(zip(amount_mm, gauge_mm, strict=True))
    tables = [
        [contingency(said, fell, threshold_mm_h=amount) for amount in amounts_mm]
        for said, fell in pairs
    ]
    return GaugeTally(
        method=method,
        window_minutes=window_minutes,
        until_minutes=tuple(until_minutes),
        amounts_mm=tuple(amounts_mm),
        errors=stack([error_sums(said, fell) for said, fell in pairs]),
        contingency=stack([stack(row) for row in tables]),
    )


def gauge_table(tallies: Sequence[GaugeTally]) -> pd.DataFrame:
    """All scores, one a row.

    Columns: method, window_minutes, until_minutes (missing where nothing was forecast), score,
    amount_mm (missing where a score has none), value (NaN where undefined) and n (pairs).
    """
    rows = [row for tally in tallies for row in _rows(tally)]
    return pd.DataFrame(rows)


def _rows(tally: GaugeTally) -> list[dict[str, object]]:
    found: list[dict[str, object]] = []
    for window, until in enumerate(tally.until_minutes):
        same = {
            "method": tally.method,
            "window_minutes": tally.window_minutes,
            "until_minutes": until,
        }
        count = int(tally.errors.n[window])
        for score in ERRORS:
            value = float(getattr(tally.errors, score)[window])
            found.append({**same, "score": score, "amount_mm": np.nan, "value": value, "n": count})
        for score in EVENTS:
            values = getattr(tally.contingency, score)[window]
            for amount, value in zip(tally.amounts_mm, values.tolist(), strict=True):
                named = {"score": score, "amount_mm": amount, "value": value, "n": count}
                found.append({**same, **named})
    return found
