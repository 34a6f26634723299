"""How good the forecasts of late were: for ``nowcast skill``, the viewer and tables of the days."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nowcast.field.errors import MissingFramesError
from nowcast.verify.bootstrap import Resampling
from nowcast.verify.interval_table import interval_table
from nowcast.verify.table import reliability_table
from nowcast.verify.tally import total

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from nowcast.service.skill.store import SkillStore
    from nowcast.verify.tally import Tally

PUBLISHED = "published"
SCORES = ("csi", "fss", "mae", "frequency_bias", "multiplicative_bias", "brier")
_SECOND = np.timedelta64(1, "s")
_DAY = np.timedelta64(1, "D")


@dataclass(frozen=True)
class SkillReport:
    """The sums of the forecasts that were issued in (start, stop].

    Attributes:
        start, stop: issue times (UTC).
        cycles: the tallies of each method, one an issue time, oldest first. ``published`` is what
            users got, whichever method it was; the methods are all on the same issue times, leads
            and pixels.

    """

    start: np.datetime64
    stop: np.datetime64
    cycles: Mapping[str, Sequence[Tally]]

    @property
    def is_empty(self) -> bool:
        """Whether nothing has been scored."""
        return not any(self.cycles.values())

    def scores(self, *, resampling: Resampling | None = None) -> pd.DataFrame:
        """A row a method, lead, score, threshold and scale.

        Columns: method, lead_minutes, score (of ``SCORES``), threshold_mm_h, scale_cells, value,
        n (pixels or windows), cycles, low and high (the interval of a block bootstrap; NaN where
        there are too few cycles). Raises MissingFramesError where nothing has been scored.
        """
        lean = {
            method: [_without_probabilities(tally) for tally in tallies]
            for method, tallies in self._some().items()
        }
        return interval_table(lean, scores=SCORES, resampling=resampling)

    def reliability(self) -> pd.DataFrame:
        """What was said with which probability, and how often it happened.

        Columns as in ``nowcast.verify.table.reliability_table``. Raises MissingFramesError.
        """
        return reliability_table([total(tallies) for tallies in self._some().values()])

    def _some(self) -> dict[str, Sequence[Tally]]:
        if self.is_empty:
            raise MissingFramesError(
                f"no forecast issued from {_minute(self.start)} to {_minute(self.stop)} has been "
                "scored: a lead is scored when its frame has come"
            )
        return {method: tallies for method, tallies in self.cycles.items() if tallies}


def read_skill(store: SkillStore, *, now: np.datetime64, hours: float = 24.0) -> SkillReport:
    """The skill of the forecasts issued in the last hours; raises StoreError."""
    return _between(store, now - np.timedelta64(round(hours * 3600), "s"), now)


def read_day(store: SkillStore, day: np.datetime64) -> SkillReport:
    """The skill of the forecasts issued on a day (UTC); raises StoreError."""
    return _between(store, *bounds(day))


def _between(store: SkillStore, start: np.datetime64, stop: np.datetime64) -> SkillReport:
    published = store.published_tallies(start=start, stop=stop)
    return SkillReport(start, stop, {PUBLISHED: published, **store.tallies(start=start, stop=stop)})


def _without_probabilities(tally: Tally) -> Tally:
    """The sums that the scores rest on: bins of probability are many, drawn a thousand times."""
    left_out = ("probabilities", "crps")
    pieces = {name: piece for name, piece in tally.pieces().items() if name not in left_out}
    return tally.with_pieces(pieces)


def bounds(day: np.datetime64) -> tuple[np.datetime64, np.datetime64]:
    """The issue times of a day (UTC) as a window (start, stop]."""
    midnight = day.astype("datetime64[D]").astype("datetime64[s]")
    return midnight - _SECOND, midnight + _DAY - _SECOND


def _minute(time: np.datetime64) -> str:
    return f"{time.astype('datetime64[m]')}Z"
