"""The gates: what is wrong is named, and what is right passes, real archives included."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.feed import FEEDS
from config.service import QualityTable
from nowcast.field import schema
from nowcast.field.errors import UnfitForecastError, UnfitFrameError
from nowcast.field.grid import Grid
from nowcast.ingest import decode
from nowcast.ingest.archive import Archive
from nowcast.service.quality import (
    Gate,
    Thresholds,
    forecast_faults,
    frame_faults,
    time_faults,
)

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from nowcast.field.schema import Forecast, Frames, Radar

LIMITS = Thresholds()
START = np.datetime64("2026-06-01T12:00", "ns")
STEP = np.timedelta64(5, "m")
SHAPE = 20, 30


def grid(*, west: float = 0.0, shape: tuple[int, int] = SHAPE) -> Grid:
    import pyproj

    crs = pyproj.CRS.from_epsg(3035)
    return Grid(crs, west, 3e6, 1000.0, 1000.0, *shape)


def rain(seed: int = 0, *, shape: tuple[int, int] = SHAPE) -> NDArray[np.float32]:
    """Rain on about every third cell, everything seen."""
    field = np.random.default_rng(seed).gamma(0.3, 3.0, shape)
    return np.where(field > 0.5, field, 0).astype(np.float32)


def frame(rate: NDArray[np.float32], *, minute: float = 0, on: Grid | None = None) -> Frames:
    time = START + np.timedelta64(int(minute * 60), "s")
    return schema.frames_dataset(rate[None], times=[time], grid=on or grid(shape=rate.shape))


def kinds(now: Frames, before: Frames | None) -> list[str]:
    return [fault.kind for fault in frame_faults(now, before, thresholds=LIMITS)]


def test_a_frame_like_others_passes() -> None:
    assert kinds(frame(rain(1), minute=5), frame(rain(0))) == []
    assert kinds(frame(rain(1)), None) == []


def test_a_radar_that_repeats_itself_is_stuck_however_long_it_does() -> None:
    same = rain()
    (fault,) = frame_faults(frame(same, minute=5), frame(same), thresholds=LIMITS)
    assert fault.kind == "stuck"
    assert "the same in every cell as the frame of 2026-06-01T12:00:00Z" in fault.reason
    assert kinds(frame(same, minute=500), frame(same)) == ["stuck"]


def test_dry_frames_and_a_few_cells_of_clutter_may_repeat_themselves() -> None:
    dry = np.zeros(SHAPE, np.float32)
    assert kinds(frame(dry, minute=5), frame(dry)) == []
    dry[3, :20] = 1.5
    assert kinds(frame(dry, minute=5), frame(dry)) == []


def test_one_cell_that_moved_is_no_repetition() -> None:
    now = rain()
    now[4, 4] += 0.1
    assert kinds(frame(now, minute=5), frame(rain())) == []


def test_another_grid_is_refused_until_it_lasts() -> None:
    other = frame(rain(1), minute=5, on=grid(west=500.0))
    (fault,) = frame_faults(other, frame(rain()), thresholds=LIMITS)
    assert (fault.kind, "as the frame before it" in fault.reason) == ("grid", True)
    smaller = rain(1, shape=(10, 30))
    assert kinds(frame(smaller, minute=5), frame(rain())) == ["grid"]
    assert kinds(frame(smaller, minute=31), frame(rain())) == []


def test_cells_that_vanish_at_once_are_noticed_until_it_lasts() -> None:
    now = rain(1)
    now[:, :10] = np.nan  # a third of them
    assert kinds(frame(now, minute=5), frame(rain())) == ["unseen"]
    assert kinds(frame(now, minute=31), frame(rain())) == []
    assert kinds(frame(rain(), minute=5), frame(now)) == []  # and may come back
    assert kinds(frame(np.full(SHAPE, np.nan, np.float32)), None) == ["unseen"]


def test_clutter_passes_and_a_wrong_unit_does_not() -> None:
    field = rain(shape=(100, 100))
    field[0, 0] = 2734.0  # as OPERA gives it
    assert kinds(frame(field), None) == []
    assert kinds(frame(field * 100), None) == ["range"]


def test_frames_of_one_file_are_held_against_each_other() -> None:
    stack = np.stack([rain(0), rain(1), rain(1)])
    frames = schema.frames_dataset(stack, times=START + STEP * np.arange(3), grid=grid())
    assert [fault.kind for fault in frame_faults(frames, None, thresholds=LIMITS)] == ["stuck"]


def test_the_time_inside_is_held_against_that_of_the_name() -> None:
    named = START + np.timedelta64(10, "m")
    assert time_faults(np.array([START]), named, thresholds=LIMITS) == ()
    assert time_faults(np.array([], "datetime64[ns]"), named, thresholds=LIMITS) == ()
    (fault,) = time_faults(np.array([START]), named + STEP * 12, thresholds=LIMITS)
    assert fault == (
        "time",
        "the file says 2026-06-01T12:00:00Z and its name 2026-06-01T13:10:00Z, "
        "expected at most 15 min between them",
    )


def test_a_gate_raises_every_fault_at_once() -> None:
    gate, now = Gate(), rain()
    gate.check_frames(frame(rain(1)), None)
    now[:, :10] = np.nan
    now[0, 20:23] = 5000
    with pytest.raises(UnfitFrameError, match=r"3 of 400 seen cells exceed 300 mm/h.*; 33\.3% of"):
        gate.check_frames(frame(now, minute=5), frame(rain()))
    with pytest.raises(UnfitFrameError, match="the file says"):
        gate.check_times(np.array([START]), START + STEP * 12)


def past(rate: NDArray[np.float32] | None = None) -> Radar:
    newest = rain(3) if rate is None else rate
    stack = np.stack([rain(0), rain(1), rain(2), newest])
    times = START + STEP * np.arange(4)
    return schema.as_radar(schema.frames_dataset(stack, times=times, grid=grid()))


def forecast(rate: NDArray[np.float32], *, extra: dict[str, Any] | None = None) -> Forecast:
    """A forecast as a method might give it; unlike ``as_forecast`` nothing is checked."""
    made = schema.forecast_dataset(
        np.zeros_like(rate),
        past=past(),
        source="test",
        extra=(extra or {}).get("extra"),
        coords=(extra or {}).get("coords"),
    )
    return made.assign(rainfall_rate=made["rainfall_rate"].copy(data=rate))  # type: ignore[return-value]


def forecast_kinds(made: Forecast, before: Radar | None = None) -> list[str]:
    return [f.kind for f in forecast_faults(made, before or past(), thresholds=LIMITS)]


def leads(count: int = 12) -> NDArray[np.float32]:
    return np.stack([rain(10 + lead) for lead in range(count)])


def test_a_forecast_like_others_passes() -> None:
    assert forecast_kinds(forecast(leads())) == []


@pytest.mark.parametrize("wrong", [300.5, np.inf, -0.1])
def test_a_rate_that_cannot_be_is_refused(wrong: float) -> None:
    rate = leads()
    rate[5, 3, 3] = wrong
    assert forecast_kinds(forecast(rate)) == ["range"]


def test_air_from_outside_is_unseen_and_numbers_that_break_are_refused() -> None:
    rate = leads()
    for lead in range(12):
        rate[lead, :, : 2 * lead] = np.nan
    assert forecast_kinds(forecast(rate)) == []
    rate = leads()
    rate[7:] = np.nan
    (fault,) = forecast_faults(forecast(rate), past(), thresholds=LIMITS)
    assert fault.reason.startswith("100.0% of the cells are unseen at lead 8, 0.0% one step before")


def test_a_forecast_that_dries_up_while_it_rains_is_refused() -> None:
    rate = leads()
    rate[2] = 0.05
    assert forecast_kinds(forecast(rate)) == ["dry"]
    late = leads()
    late[7:] = 0  # after 40 min
    assert forecast_kinds(forecast(late)) == []


def test_a_dry_forecast_of_a_dry_field_passes() -> None:
    dry = np.zeros(SHAPE, np.float32)
    dry[0, :5] = 3.0  # less than one cell in a hundred
    assert forecast_kinds(forecast(np.zeros((12, *SHAPE), np.float32)), past(dry)) == []


def with_probability(values: NDArray[np.float32], thresholds: list[float]) -> Forecast:
    dims = ("threshold", "lead_time", "y", "x")
    extra = {
        "extra": {"probability_of_exceedance": (dims, values)},
        "coords": {"threshold": thresholds},
    }
    return forecast(leads(2), extra=extra)


def test_probabilities_lie_between_0_and_1_and_fall_with_the_threshold() -> None:
    right = np.stack([np.full((2, *SHAPE), p, np.float32) for p in (0.9, 0.5, 0.5, 0.1)])
    assert forecast_kinds(with_probability(right, [0.1, 0.5, 1.0, 5.0])) == []
    right[:, :, 0, 0] = np.nan
    assert forecast_kinds(with_probability(right, [0.1, 0.5, 1.0, 5.0])) == []
    high, crossing = right.copy(), right.copy()
    high[0, 1, 2, 2] = 1.2
    assert forecast_kinds(with_probability(high, [0.1, 0.5, 1.0, 5.0])) == ["probability"]
    crossing[3, 1, 2, 2] = 0.6
    (fault,) = forecast_faults(
        with_probability(crossing, [0.1, 0.5, 1.0, 5.0]), past(), thresholds=LIMITS
    )
    assert fault.reason.endswith("exceeds that of a lower one by 0.1")


def test_members_of_an_ensemble_are_held_to_the_same_range() -> None:
    members = np.stack([leads(2), leads(2)])
    members[1, 0, 0, 0] = 1e6
    dims = ("realization", "lead_time", "y", "x")
    extra = {"extra": {"rainfall_rate_member": (dims, members)}, "coords": {"realization": [0, 1]}}
    made = forecast(leads(2), extra=extra)
    with pytest.raises(UnfitForecastError, match="rainfall_rate_member reaches from 0 to 1e"):
        Gate().check_forecast(made, past())


@given(st.integers(0, 2**32 - 1), st.integers(0, 19), st.integers(0, 29))
def test_whatever_the_rain_one_broken_cell_is_found(seed: int, row: int, column: int) -> None:
    rate = np.stack([rain(seed), rain(seed + 1)])
    assert "range" not in forecast_kinds(forecast(rate))
    rate[1, row, column] = 400.0
    assert "range" in forecast_kinds(forecast(rate))


def test_the_settings_are_the_thresholds() -> None:
    assert Thresholds(**QualityTable().model_dump()) == Thresholds()


@pytest.mark.parametrize(
    ("feed", "folder", "count"),
    [
        ("knmi", "knmi", 8),
        ("fmi", "fmi/pgm", 8),
        ("mch", "mch", 12),
        ("bom", "bom", 6),
        ("dwd-rv", "dwd", 1),
        ("meteonet", "meteonet", 2),
        ("openmrg", "openmrg/20150725", 4),
        ("opera", "opera", 2),
    ],
)
def test_real_frames_pass(shared_data: Path, feed: str, folder: str, count: int) -> None:
    profile = FEEDS.named(feed)
    archive = Archive(shared_data / "radar" / folder, profile)
    reader, gate, before = decode.reader_of(profile), Gate(), None
    for entry, time in list(zip(archive.catalogue.entries, archive.times, strict=True))[:count]:
        frames = reader.read(entry.path, stamp=time if entry.named else None)
        if entry.named:
            gate.check_times(reader.times(entry.path), time)
        gate.check_frames(frames, before)
        before = frames if frames.sizes["time"] == 1 else None


def test_real_rain_that_a_feed_sends_again_under_the_next_name_is_refused(
    shared_data: Path,
) -> None:
    profile = FEEDS.named("knmi")
    archive = Archive(shared_data / "radar" / "knmi", profile)
    reader, entries, times = decode.reader_of(profile), archive.catalogue.entries, archive.times
    first = reader.read(entries[0].path, stamp=times[0])
    again = reader.read(entries[0].path, stamp=times[1])
    with pytest.raises(UnfitFrameError, match="repeats itself"):
        Gate().check_frames(again, first)
    with pytest.raises(UnfitFrameError, match="the file says"):
        Gate().check_times(reader.times(entries[0].path), times[6])
