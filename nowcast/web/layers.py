"""What can be laid over the map, and for which times."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from nowcast.web import shading
from nowcast.web.opened import Opened

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nowcast.web.observations import Observations

LAYER_ID = r"^(?:radar|rate|accumulation|growth|error|probability-\d{1,3}(?:\.\d{1,2})?)$"
TIME_ID = r"^\d{8}T\d{4}Z$"
# Of which the page offers probabilities, where the method says them.
THRESHOLDS_MM_H = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
# How far back the page goes.
PAST = np.timedelta64(2, "h")


@dataclass(frozen=True)
class Layer:
    """A field for some times.

    Attributes:
        id: as addresses name it; matches ``LAYER_ID``.
        title: as the page calls it.
        shading: its colours.
        times: for which times (``YYYYmmddTHHMMZ``) it can be shown, ascending.
        values: the field (y, x) at one of them.

    """

    id: str
    title: str
    shading: shading.Shading
    times: tuple[str, ...]
    values: Callable[[str], NDArray[np.float32]]


def layers_of(opened: Opened, seen: Observations) -> dict[str, Layer]:
    """The layers of a forecast that have anything to show, by id."""
    radar = seen.around(opened.issued, past=PAST, ahead=opened.leads[-1])
    ahead = tuple(opened.times)
    came = tuple(time for time in ahead if time in radar)

    def observed(time: str) -> NDArray[np.float32]:
        return seen.rate(radar[time], grid=opened.grid)

    found = [
        Layer("rate", "Rain rate", shading.RATE, ahead, lambda t: opened.rate(opened.lead(t))),
        Layer("radar", "Radar", shading.RATE, tuple(radar), observed),
        *_chances(opened, ahead),
        Layer("accumulation", "Amount", shading.AMOUNT, ahead, partial(_amount, opened)),
        Layer("error", "Error", shading.MISTAKE, came, partial(_error, opened, observed)),
    ]
    if "rainfall_rate_from_differences" in opened.data:
        grown = partial(_growth, opened)
        found.insert(-1, Layer("growth", "Growth", shading.CHANGE, ahead, grown))
    return {layer.id: layer for layer in found if layer.times}


def _chances(opened: Opened, ahead: tuple[str, ...]) -> list[Layer]:
    offered = [value for value in THRESHOLDS_MM_H if value in opened.thresholds]
    return [
        Layer(
            f"probability-{value:g}",
            f"Chance of {value:g} mm/h",
            shading.CHANCE,
            ahead,
            partial(_chance, opened, value),
        )
        for value in offered
    ]


def _chance(opened: Opened, threshold: float, time: str) -> NDArray[np.float32]:
    return opened.probability(threshold, opened.lead(time))


def _growth(opened: Opened, time: str) -> NDArray[np.float32]:
    return opened.growth(opened.lead(time))


def _amount(opened: Opened, time: str) -> NDArray[np.float32]:
    """Rain from issue to a time (mm); NaN where any lead is unseen."""
    hours = float(opened.step / np.timedelta64(1, "h"))
    total = np.zeros(opened.grid.shape, dtype=np.float32)
    for lead in range(opened.lead(time) + 1):
        total += opened.rate(lead) * np.float32(hours)
    return total


def _error(
    opened: Opened, observed: Callable[[str], NDArray[np.float32]], time: str
) -> NDArray[np.float32]:
    """Forecast minus radar (mm h-1); NaN where either is unseen."""
    return opened.rate(opened.lead(time)) - observed(time)
