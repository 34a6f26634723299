"""The forecast that the echoes only move."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from nowcast.field import schema
from nowcast.forecast.advect import extrapolate
from nowcast.forecast.base import require_history
from nowcast.forecast.motion import motion_m_s, motion_of
from nowcast.forecast.quality import quality_flag

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

SOURCE = "extrapolation: semi-Lagrangian along Lucas-Kanade motion"


@dataclass(frozen=True)
class Extrapolation:
    """The newest frame moved along the motion of the last ``frames``; none where it is dry."""

    frames: int = 4
    name: str = "extrapolation"
    history: int = 2

    def __call__(self, past: schema.Radar, *, steps: int) -> schema.Forecast:
        """The newest frame moved on for ``steps`` leads, NaN where the air was not seen.

        Raises ShortHistoryError, NothingObservedError, and MethodError where no motion is found.
        """
        require_history(past, needed=self.history, method=self.name)
        motion = motion_of(past, frames=self.frames)
        return schema.forecast_dataset(
            moved_on(past, motion, steps=steps),
            past=past,
            source=SOURCE,
            extra={
                **motion_variables(past, motion),
                "quality_flag": (schema.CELL_DIMS, quality_flag(past, frames=self.frames)),
            },
        )


def moved_on(past: schema.Radar, motion: NDArray[np.float32], *, steps: int) -> NDArray[np.float32]:
    """The newest rates moved along the motion: (steps, H, W), NaN where the air was not seen."""
    newest = torch.tensor(past["rainfall_rate"].values[-1])  # a copy: it may be read-only
    forecast: NDArray[np.float32] = extrapolate(
        newest, torch.from_numpy(motion), steps=steps
    ).numpy()
    return forecast


def motion_variables(
    past: schema.Radar, motion: NDArray[np.float32]
) -> dict[str, tuple[tuple[str, ...], ArrayLike]]:
    """The forecast's variables ``motion_x`` and ``motion_y``."""
    x, y = motion_m_s(motion, grid=schema.grid_of(past), step=schema.cadence(past))
    return {"motion_x": (schema.CELL_DIMS, x), "motion_y": (schema.CELL_DIMS, y)}
