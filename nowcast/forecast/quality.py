"""What a forecast says about itself: what it rests on, and why it is not the best."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nowcast.field.schema import QUALITY_INFILLED, QUALITY_OBSERVED, QUALITY_OUTSIDE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nowcast.field.schema import Radar


def quality_flag(past: Radar, *, frames: int | None = None) -> NDArray[np.int8]:
    """What is known of each cell (y, x) at issue time: 0 observed, 1 infilled, 2 outside.

    Outside is what the newest frame does not show. All else is infilled where one of the last
    ``frames`` frames (all by default), those that the method used, was made up from its
    neighbours.
    """
    newest = past["rainfall_rate"].values[-1]
    used = slice(-frames, None) if frames is not None else slice(None)
    made_up = "infilled" in past.coords and bool(past["infilled"].values[used].any())
    seen = QUALITY_INFILLED if made_up else QUALITY_OBSERVED
    return np.where(np.isfinite(newest), seen, QUALITY_OUTSIDE).astype(np.int8)


def degraded(past: Radar, reason: str | None) -> dict[str, str]:
    """The attribute ``degraded_reason`` of a forecast: that of its input, then its own."""
    reasons = [r for r in (past.attrs.get("degraded_reason"), reason) if r]
    return {"degraded_reason": "; ".join(reasons)} if reasons else {}
