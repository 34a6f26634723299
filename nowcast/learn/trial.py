"""Forecasts of episodes by weights that are to be judged, and their sums."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nowcast.field import schema
from nowcast.verify.scoring import verify_forecast

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from nowcast.forecast.mim import Mim
    from nowcast.learn.episodes import Episode
    from nowcast.verify.tally import Tally

# A window this wide (cells), where it rains most, stands for a larger grid.
WINDOW = 1024


def judged(nowcaster: Mim, episode: Episode, issue: int) -> Tally:
    """The sums of the forecast at frame ``issue``, at the thresholds that the weights speak of."""
    first, stop = issue + 1 - episode.history, issue + 1 + episode.leads
    window = _wettest(episode.rate_mm_h[issue])
    radar = episode.radar.isel(time=slice(first, stop), y=window[0], x=window[1])
    past = schema.Radar(radar.isel(time=slice(0, episode.history)))
    return verify_forecast(
        nowcaster(past, steps=episode.leads),
        radar["rainfall_rate"],
        thresholds_mm_h=nowcaster.thresholds_mm_h,
        scales_cells=(1,),
    )


def _wettest(rate_mm_h: NDArray[np.float32]) -> tuple[slice, slice]:
    """The window of a grid with the most rain, of those half a window apart."""
    height, width = rate_mm_h.shape
    rain = np.nan_to_num(rate_mm_h)
    places = [
        (slice(top, top + WINDOW), slice(left, left + WINDOW))
        for top in _starts(height)
        for left in _starts(width)
    ]
    return max(places, key=lambda place: float(rain[place].sum()))


def _starts(length: int) -> Iterator[int]:
    last = max(length - WINDOW, 0)
    yield from range(0, last, WINDOW // 2)
    yield last
