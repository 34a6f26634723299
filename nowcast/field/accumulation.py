"""From rain rates at instants to amounts over intervals.

One rule for point forecasts and for scores against gauges: a frame stands for the time from its
own to that of the next one. It was chosen over the trapezoid by what gauges say: in the three
gauge sets of OpenMRG its 15 min amounts correlate better with them (0.81, 0.74 and 0.80 against
0.76, 0.68 and 0.78), for what a radar sees aloft takes about half a step to the ground.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

# Of a minute: forgives the rounding of times.
_SLACK = 1e-6


def amount_mm(
    rate_mm_h: ArrayLike, *, minutes: ArrayLike, hold: float, start: float, end: float
) -> NDArray[np.float64]:
    """The rain (mm) that fell from ``start`` to ``end`` (minutes), of rates (time, ...).

    The rate at ``minutes[i]`` holds until the next one, and for ``hold`` minutes at most. NaN where
    a part of the interval has no rate: missing is not dry.
    """
    rates = np.asarray(rate_mm_h, dtype=np.float64)
    times = np.asarray(minutes, dtype=np.float64)
    until = np.minimum(times + hold, np.append(times[1:], np.inf))
    share = np.clip(np.minimum(until, end) - np.maximum(times, start), 0.0, None)
    if share.sum() < end - start - _SLACK:
        return np.full(rates.shape[1:], np.nan)
    used = share > 0
    return np.asarray(np.tensordot(share[used] / 60.0, rates[used], axes=1))


def accumulated_mm(rate_mm_h: ArrayLike, *, minutes: ArrayLike) -> NDArray[np.float64]:
    """The rain (mm) since the first time, of rates (..., time): 0 at the first, by the same rule.

    NaN from the first unknown rate on.
    """
    rates = np.asarray(rate_mm_h, dtype=np.float64)
    hours = np.diff(np.asarray(minutes, dtype=np.float64)) / 60.0
    total = np.cumsum(rates[..., :-1] * hours, axis=-1)
    start = np.where(np.isnan(rates[..., :1]), np.nan, 0.0)
    return np.concatenate([start, total], axis=-1)
