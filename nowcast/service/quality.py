"""Gates: frames that nothing may rest on, and forecasts that nobody may see.

Both look for what a decoder and a network cannot know to be wrong: a radar that repeats itself, a
field that half vanished, a forecast that dries up while it rains. What they find are values, each
with its kind and the reason in words; a gate raises them as one error.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from nowcast.field import schema
from nowcast.field.errors import UnfitForecastError, UnfitFrameError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import xarray as xr
    from numpy.typing import NDArray

    from nowcast.field.schema import Forecast, Frames, Radar

_MINUTE = np.timedelta64(1, "m")
# Probabilities pass through float32 and sums of it.
_ROUNDING = 1e-4


@dataclass(frozen=True)
class Thresholds:
    """From where on a field is not to be trusted.

    Attributes:
        wet_mm_h: rain begins here.
        highest_mm_h: the strongest rain there is: beyond it a forecast is wrong, and a cell of a
            frame is clutter.
        clutter_share: of the seen cells of a frame, how many may be clutter.
        unseen_most: of all cells of a frame, how many may be unseen.
        unseen_jump: by how much this share may grow from one field to the next.
        memory_minutes: a frame is held against the one before it, of grid and unseen cells, when
            that is no older: a change that lasts is believed after so long.
        stuck_cells: a frame with so many wet cells cannot repeat the one before it.
        header_minutes: by how much the time inside a file may differ from that of its name.
        raining_share: it rains when so many of the seen cells are wet.
        raining_minutes: while it rains, a forecast is not all dry at leads up to this one.

    """

    wet_mm_h: float = 0.1
    highest_mm_h: float = 300.0
    clutter_share: float = 0.001
    unseen_most: float = 0.995
    unseen_jump: float = 0.3
    memory_minutes: float = 30.0
    stuck_cells: int = 50
    header_minutes: float = 15.0
    raining_share: float = 0.01
    raining_minutes: float = 30.0


class Fault(NamedTuple):
    """Something that is wrong: ``grid``, ``stuck``, ``unseen``, ..., and what was found."""

    kind: str
    reason: str


@dataclass(frozen=True)
class Gate:
    """Lets pass what is fit for use."""

    thresholds: Thresholds = Thresholds()

    def check_frames(self, frames: Frames, previous: Frames | None) -> None:
        """Raises UnfitFrameError, with every fault, for frames that nothing may rest on."""
        if faults := frame_faults(frames, previous, thresholds=self.thresholds):
            raise UnfitFrameError(_told(faults))

    def check_times(self, stated: NDArray[np.datetime64], named: np.datetime64) -> None:
        """Raises UnfitFrameError where a file's own times contradict that of its name."""
        if faults := time_faults(stated, named, thresholds=self.thresholds):
            raise UnfitFrameError(_told(faults))

    def check_forecast(self, forecast: Forecast, past: Radar) -> None:
        """Raises UnfitForecastError, with every fault, for a forecast that nobody may see."""
        if faults := forecast_faults(forecast, past, thresholds=self.thresholds):
            raise UnfitForecastError(_told(faults))


def frame_faults(
    frames: Frames, previous: Frames | None, *, thresholds: Thresholds
) -> tuple[Fault, ...]:
    """What is wrong with the frames of a file, each seen beside the one before it.

    ``previous`` holds the frame before the first of them last; None where there is none.
    """
    faults: list[Fault] = []
    before = None if previous is None or not previous.sizes["time"] else previous.isel(time=-1)
    for index in range(frames.sizes["time"]):
        frame = frames.isel(time=index)
        faults += _faults_alone(frame, thresholds)
        if before is not None:
            faults += _faults_beside(frame, before, thresholds)
        before = frame
    return tuple(dict.fromkeys(faults))


def time_faults(
    stated: NDArray[np.datetime64], named: np.datetime64, *, thresholds: Thresholds
) -> tuple[Fault, ...]:
    """What is wrong with the times (UTC) that a file states, of which none may be."""
    if stated.size == 0:
        return ()
    nearest = stated[np.argmin(np.abs(stated - named))]
    minutes = float(abs(nearest - named) / _MINUTE)
    if minutes <= thresholds.header_minutes:
        return ()
    return (
        Fault(
            "time",
            f"the file says {_iso(nearest)} and its name {_iso(named)}, "
            f"expected at most {thresholds.header_minutes:g} min between them",
        ),
    )


def forecast_faults(
    forecast: Forecast, past: Radar, *, thresholds: Thresholds
) -> tuple[Fault, ...]:
    """What is wrong with a forecast, given the frames it rests on."""
    newest = past["rainfall_rate"].values[-1]
    rate = forecast["rainfall_rate"].values
    faults = [
        *_range_faults(forecast, thresholds),
        *_vanishing(newest, rate, thresholds),
        *_drying(newest, rate, forecast["lead_time"].values, thresholds),
    ]
    if "probability_of_exceedance" in forecast:
        faults += _probability_faults(forecast["probability_of_exceedance"])
    return tuple(faults)


def _faults_alone(frame: xr.Dataset, limits: Thresholds) -> Iterator[Fault]:
    rate = frame["rainfall_rate"].values
    seen = int(np.isfinite(rate).sum())
    unseen = 1 - seen / rate.size
    if unseen > limits.unseen_most:
        yield Fault(
            "unseen",
            f"{unseen:.2%} of the cells are unseen, expected at most {limits.unseen_most:.2%}",
        )
    clutter = int((rate > limits.highest_mm_h).sum())
    if clutter > limits.clutter_share * seen:
        yield Fault(
            "range",
            f"{clutter} of {seen} seen cells exceed {limits.highest_mm_h:g} mm/h (the highest: "
            f"{np.nanmax(rate):g}), expected at most {limits.clutter_share:.2%} of them",
        )


def _faults_beside(frame: xr.Dataset, before: xr.Dataset, limits: Thresholds) -> Iterator[Fault]:
    rate, earlier = frame["rainfall_rate"].values, before["rainfall_rate"].values
    grid, other = schema.grid_of(frame), schema.grid_of(before)
    age = float(abs(_time(frame) - _time(before)) / _MINUTE)
    is_recent = age <= limits.memory_minutes
    if not grid.same_as(other):
        if is_recent:
            yield Fault("grid", f"lies on {grid}, expected {other}, as the frame before it")
        return
    # After a change that lasts the last good frame grows old; a radar that is stuck stays stuck.
    wet = int((rate >= limits.wet_mm_h).sum())
    if wet >= limits.stuck_cells and np.array_equal(rate, earlier, equal_nan=True):
        yield Fault(
            "stuck",
            f"the same in every cell as the frame of {_iso(_time(before))}, {wet} wet "
            "cells among them: the radar or its feed repeats itself",
        )
    unseen, known = np.isnan(rate).mean(), np.isnan(earlier).mean()
    if is_recent and unseen - known > limits.unseen_jump:
        yield Fault(
            "unseen",
            f"{unseen:.1%} of the cells are unseen, {known:.1%} in the frame before it, "
            f"expected at most {limits.unseen_jump:.0%} more",
        )


def _range_faults(forecast: Forecast, limits: Thresholds) -> Iterator[Fault]:
    for name in ("rainfall_rate", "rainfall_rate_member"):
        if name not in forecast:
            continue
        values = forecast[name].values
        if _beyond(values, 0, limits.highest_mm_h):
            lowest, highest = np.nanmin(values), np.nanmax(values)
            yield Fault(
                "range",
                f"{name} reaches from {lowest:g} to {highest:g} mm/h, "
                f"expected 0 to {limits.highest_mm_h:g}",
            )


def _vanishing(
    newest: NDArray[np.float32], rate: NDArray[np.float32], limits: Thresholds
) -> Iterator[Fault]:
    """Air from outside brings unseen cells little by little; numbers that break, at once."""
    shares = [float(np.isnan(field).mean()) for field in (newest, *rate)]
    for lead, (before, now) in enumerate(pairwise(shares), start=1):
        if now - before > limits.unseen_jump:
            yield Fault(
                "unseen",
                f"{now:.1%} of the cells are unseen at lead {lead}, {before:.1%} one step before, "
                f"expected at most {limits.unseen_jump:.0%} more",
            )
            return


def _drying(
    newest: NDArray[np.float32],
    rate: NDArray[np.float32],
    leads: NDArray[np.timedelta64],
    limits: Thresholds,
) -> Iterator[Fault]:
    seen = max(int(np.isfinite(newest).sum()), 1)
    wet = int((newest >= limits.wet_mm_h).sum()) / seen
    if wet < limits.raining_share:
        return
    for field, lead in zip(rate, leads / _MINUTE, strict=True):
        if lead <= limits.raining_minutes and not (field >= limits.wet_mm_h).any():
            yield Fault(
                "dry",
                f"no rain anywhere at +{lead:g} min, while it rains on {wet:.1%} of the seen "
                "cells at issue time",
            )
            return


def _probability_faults(probability: xr.DataArray) -> Iterator[Fault]:
    values = probability.transpose("threshold", ...).values  # (threshold, ...)
    if _beyond(values, -_ROUNDING, 1 + _ROUNDING):
        lowest, highest = np.nanmin(values), np.nanmax(values)
        yield Fault(
            "probability", f"probabilities reach from {lowest:g} to {highest:g}, expected 0 to 1"
        )
    ascending = np.argsort(probability["threshold"].values)
    rise, steepest = np.empty_like(values[0]), 0.0
    for lower, higher in pairwise(ascending):
        np.subtract(values[higher], values[lower], out=rise)
        if _beyond(rise, -np.inf, _ROUNDING):
            steepest = max(steepest, float(np.nanmax(rise)))
    if steepest:
        yield Fault(
            "probability",
            f"the probability of a higher threshold exceeds that of a lower one by {steepest:g}",
        )


def _beyond(values: NDArray[np.floating], lowest: float, highest: float) -> bool:
    """Whether a value lies outside; NaN does not. Comparisons are quicker than extremes.

    Part by part: what is made on the way is then small enough to be used again.
    """
    return any(bool(((part < lowest) | (part > highest)).any()) for part in values)


def _time(frame: xr.Dataset) -> np.datetime64:
    time: np.datetime64 = frame["time"].values.reshape(1)[0]
    return time


def _iso(time: np.datetime64) -> str:
    return f"{np.datetime_as_string(time, unit='s')}Z"


def _told(faults: Iterable[Fault]) -> str:
    return "; ".join(fault.reason for fault in faults)
