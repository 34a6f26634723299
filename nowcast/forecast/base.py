"""What a nowcasting method is, and how methods stand in for each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from nowcast.field.errors import MethodError, NothingObservedError, ShortHistoryError
from nowcast.field.schema import Forecast

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nowcast.field.schema import Radar


class Nowcaster(Protocol):
    """A method: radar frames up to now in, a forecast out; same input, same output."""

    @property
    def name(self) -> str:
        """The method as files and tables show it: ``extrapolation``."""
        ...

    @property
    def history(self) -> int:
        """How many frames the method needs at the least."""
        ...

    def __call__(self, past: Radar, *, steps: int) -> Forecast:
        """The forecast for ``steps`` leads; raises MethodError where the method cannot answer."""
        ...


@dataclass(frozen=True)
class FirstOf:
    """The first of several methods that answers; the file says which, and why no earlier one."""

    nowcasters: Sequence[Nowcaster]

    @property
    def name(self) -> str:
        """The name of the method that is tried first."""
        return self.nowcasters[0].name

    @property
    def history(self) -> int:
        """What the least demanding method needs."""
        return min(nowcaster.history for nowcaster in self.nowcasters)

    def __call__(self, past: Radar, *, steps: int) -> Forecast:
        """The forecast of the first method that can; raises the last MethodError where none can."""
        reasons: list[str] = []
        for nowcaster in self.nowcasters:
            try:
                forecast = nowcaster(past, steps=steps)
            except MethodError as error:
                reasons.append(f"{nowcaster.name}: {error}")
                continue
            if not reasons:
                return forecast
            earlier = forecast.attrs.get("degraded_reason")
            reason = "; ".join([*([earlier] if earlier else []), *reasons])
            return Forecast(forecast.assign_attrs(degraded_reason=reason))
        raise MethodError(f"no method could answer: {'; '.join(reasons)}")


def require_history(past: Radar, *, needed: int, method: str) -> None:
    """Refuse a sequence that is too short, or whose newest frame shows nothing.

    Raises ShortHistoryError and NothingObservedError.
    """
    found = past.sizes["time"]
    if found < needed:
        raise ShortHistoryError(
            f"{method} needs {needed} frames, found {found} up to {past['time'].values[-1]}"
        )
    if not np.isfinite(past["rainfall_rate"].values[-1]).any():
        raise NothingObservedError(
            f"no pixel was observed at {past['time'].values[-1]}: the newest frame is all missing"
        )
