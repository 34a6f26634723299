"""The forecast that nothing changes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nowcast.field import schema
from nowcast.forecast.base import require_history
from nowcast.forecast.quality import quality_flag


@dataclass(frozen=True)
class Persistence:
    """The newest frame at every lead."""

    name: str = "persistence"
    history: int = 1

    def __call__(self, past: schema.Radar, *, steps: int) -> schema.Forecast:
        """The newest frame ``steps`` times; raises ShortHistoryError, NothingObservedError."""
        require_history(past, needed=self.history, method=self.name)
        newest = past["rainfall_rate"].values[-1]
        return schema.forecast_dataset(
            np.repeat(newest[np.newaxis], steps, axis=0),
            past=past,
            source="persistence: the newest frame at every lead",
            extra={"quality_flag": (schema.CELL_DIMS, quality_flag(past, frames=1))},
        )
