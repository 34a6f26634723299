"""A folder of files as a source of sequences."""

from __future__ import annotations

import os
import pickle
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from numpy.typing import NDArray

from config.feed import FEEDS, FeedProfile
from nowcast.field.errors import (
    FormatError,
    FutureTimeError,
    GridMismatchError,
    MissingFramesError,
    UsageError,
)
from nowcast.field.schema import cadence, grid_of, inherited
from nowcast.ingest.archive import Archive
from nowcast.ingest.base import Source
from nowcast.ingest.cache import Frame, FrameCache

START = np.datetime64("2020-05-01T00:00", "ns")
STEP = np.timedelta64(5, "m")
NOW = np.datetime64("2020-06-01T00:00", "ns")
SHAPE = (40, 50)

Field = NDArray[np.float32]


def rain(step: float) -> Field:
    """A shower that drifts four cells to the east a step; unseen in the west."""
    y, x = np.indices(SHAPE)
    rate = 12 * np.exp(-((y - 20) ** 2 + (x - 10 - 4 * step) ** 2) / 18)
    rate += 6 * np.exp(-((y - 32) ** 2 + (x - 14 - 4 * step) ** 2) / 12)
    rate[rate < 0.05] = 0
    rate[:, :3] = np.nan
    return rate.astype(np.float32)


@dataclass(frozen=True)
class Radar:
    """A folder that frames are written into."""

    folder: Path
    profile: FeedProfile
    write_frame: Callable[..., Path]

    def write(self, *steps: int, **how: Any) -> list[Path]:
        return [
            self.write_frame(self.folder, str(START + step * STEP), rain(step), **how)
            for step in steps
        ]

    @property
    def archive(self) -> Archive:
        return Archive(self.folder, self.profile, now=NOW)


@pytest.fixture
def radar(tmp_path: Path, little: FeedProfile, write_frame: Callable[..., Path]) -> Radar:
    return Radar(tmp_path, little, write_frame)


def test_a_whole_sequence(radar: Radar) -> None:
    paths = radar.write(*range(6))
    source: Source = radar.archive
    sequence = source.read(end=START + 5 * STEP, frames=4)
    assert sequence["time"].values.tolist() == [(START + s * STEP).item() for s in range(2, 6)]
    np.testing.assert_allclose(
        sequence["rainfall_rate"].values, [rain(s) for s in range(2, 6)], rtol=1e-6
    )
    assert not sequence["infilled"].values.any()
    assert grid_of(sequence).extent == (100_000, 150_000, 160_000, 200_000)
    attrs = sequence.attrs
    assert attrs["source_files"] == ", ".join(path.name for path in paths[2:])
    assert (attrs["feed"], attrs["institution"]) == ("little", "Little Weather Service")
    assert (attrs["licence"], attrs["cadence_minutes"]) == ("CC0", 5.0)
    assert len(attrs["input_sha256"]) == 64
    assert "degraded_reason" not in attrs
    assert set(inherited(sequence)) == {"feed", "institution", "licence", "input_sha256"}


def test_the_digest_names_the_bytes_that_were_used(radar: Radar) -> None:
    radar.write(*range(4))
    digest = radar.archive.read(end=START + 3 * STEP, frames=2).attrs["input_sha256"]
    assert radar.archive.read(end=START + 3 * STEP, frames=2).attrs["input_sha256"] == digest
    radar.write_frame(radar.folder, str(START), rain(9))
    assert radar.archive.read(end=START + 3 * STEP, frames=2).attrs["input_sha256"] == digest
    assert radar.archive.read(end=START + 3 * STEP, frames=4).attrs["input_sha256"] != digest
    radar.write_frame(radar.folder, str(START + 2 * STEP), rain(9))
    assert radar.archive.read(end=START + 3 * STEP, frames=2).attrs["input_sha256"] != digest


def test_one_frame_keeps_its_cadence(radar: Radar) -> None:
    radar.write(0, 1)
    one = radar.archive.read(end=START + STEP, frames=1)
    assert one.sizes["time"] == 1
    assert cadence(one) == STEP
    with pytest.raises(UsageError, match="a sequence of 0 frames, expected at least 1"):
        radar.archive.read(end=START, frames=0)


def test_story_a_missing_frame_is_made_of_its_neighbours_and_flagged(radar: Radar) -> None:
    radar.write(0, 1, 3, 4)
    sequence = radar.archive.read(end=START + 4 * STEP, frames=4)
    assert sequence["infilled"].values.tolist() == [False, True, False, False]
    made, truth = sequence["rainfall_rate"].values[1], rain(2)
    seen = np.isfinite(truth) & np.isfinite(made)
    assert seen[:, 6:].mean() > 0.95
    error = np.abs(made - truth)[seen].mean()
    assert error < 0.4 * np.abs(rain(1) - truth)[seen].mean()
    assert error < 0.4 * np.abs(rain(3) - truth)[seen].mean()
    assert sequence.attrs["degraded_reason"] == "1 missing frame(s) infilled: 2020-05-01T00:10Z"
    assert inherited(sequence)["degraded_reason"]


def test_a_neighbour_before_the_sequence_counts_as_input(radar: Radar) -> None:
    paths = radar.write(0, 1, 3, 4)
    sequence = radar.archive.read(end=START + 4 * STEP, frames=3)
    assert sequence["infilled"].values.tolist() == [True, False, False]
    assert sequence.attrs["source_files"] == ", ".join(path.name for path in paths[1:])


def test_two_missing_in_a_row_cut_the_history_short(radar: Radar) -> None:
    radar.write(0, 1, 4, 5)
    archive = radar.archive
    sequence = archive.read(end=START + 5 * STEP, frames=6)
    assert sequence.sizes["time"] == 2
    assert sequence.attrs["degraded_reason"] == (
        "2 of 6 frames of history: 2 frames missing from 2020-05-01T00:10Z to 2020-05-01T00:15Z"
    )
    assert archive.gaps() == ((START + STEP, START + 4 * STEP, 2),)
    assert [run.frames for run in archive.runs()] == [2, 2]


def test_the_newest_frame_is_never_made_up(radar: Radar) -> None:
    radar.write(0, 1, 3)
    with pytest.raises(MissingFramesError) as caught:
        radar.archive.read(end=START + 2 * STEP, frames=2)
    assert str(caught.value) == (
        f"{radar.folder}: no frame of feed little at 2020-05-01T00:10Z; "
        "the nearest: 2020-05-01T00:05Z and 2020-05-01T00:15Z"
    )
    with pytest.raises(MissingFramesError, match=r"the nearest: 2020-05-01T00:15Z$"):
        radar.archive.read(end=START + 9 * STEP, frames=2)


def test_a_time_that_has_not_come(radar: Radar) -> None:
    radar.write(0, 1)
    with pytest.raises(
        FutureTimeError, match=r"2020-06-01T00:03Z has not come yet: the clock says"
    ):
        radar.archive.read(end=NOW + np.timedelta64(3, "m"), frames=2)
    with pytest.raises(MissingFramesError, match="no frame of feed little at 2020-06-01T00:02Z"):
        radar.archive.read(end=NOW + np.timedelta64(2, "m"), frames=2)


def test_without_a_given_clock_the_machines_counts(radar: Radar) -> None:
    radar.write(0, 1)
    archive = replace(radar.archive, now=None)
    assert archive.read(end=archive.latest, frames=2).sizes["time"] == 2
    with pytest.raises(FutureTimeError, match="2200-01-01T00:00Z has not come yet"):
        archive.read(end=np.datetime64("2200-01-01T00:00", "ns"), frames=2)


def test_a_frame_on_another_grid(radar: Radar) -> None:
    radar.write(0, 2)
    moved = radar.write(1, west=101_000.0)[0]
    with pytest.raises(GridMismatchError) as caught:
        radar.archive.read(end=START + 2 * STEP, frames=3)
    assert str(caught.value).startswith(f"{moved}: the frame of 2020-05-01T00:05Z lies on 40x50")
    assert "as in little_202005010010.h5" in str(caught.value)
    assert radar.archive.read(end=START + 2 * STEP, frames=1).sizes["time"] == 1
    with pytest.raises(GridMismatchError):
        radar.archive.frames_between(START, START + STEP)
    with pytest.raises(GridMismatchError):
        radar.archive.observed([START, START + STEP])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty"),
        (b"<html>404 Not Found</html>", "html"),
        (None, "truncated or damaged"),
    ],
    ids=["empty", "foreign", "truncated"],
)
def test_a_broken_file_is_named_where_it_is_needed(
    radar: Radar, content: bytes | None, message: str
) -> None:
    paths = radar.write(*range(4))
    broken = paths[1]
    broken.write_bytes(broken.read_bytes()[:5000] if content is None else content)
    archive = radar.archive
    assert archive.read(end=START + 3 * STEP, frames=2).sizes["time"] == 2
    with pytest.raises(FormatError, match=f"{broken}.*{message}"):
        archive.read(end=START + 3 * STEP, frames=3)


def test_impossible_rates_are_capped_and_unseen_stays_unseen(radar: Radar) -> None:
    wild = rain(0)
    wild[5, 5], wild[6, 6] = 8647.0, 199.0
    radar.write_frame(radar.folder, str(START), wild)
    values = radar.archive.read(end=START, frames=1)["rainfall_rate"].values[0]
    assert (values[5, 5], values[6, 6]) == (200, 199)
    assert np.isnan(values[:, :3]).all()
    free = Archive(radar.folder, radar.profile.model_copy(update={"maximum_rate_mm_h": None}))
    assert free.read(end=START, frames=1)["rainfall_rate"].values[0, 5, 5] == 8647


@pytest.mark.parametrize("value", [0.0, np.nan], ids=["dry", "unseen"])
def test_dry_and_unseen_frames_are_frames(radar: Radar, value: float) -> None:
    for step in (0, 1, 3):
        field = np.full(SHAPE, value, np.float32)
        radar.write_frame(radar.folder, str(START + step * STEP), field)
    sequence = radar.archive.read(end=START + 3 * STEP, frames=4)
    np.testing.assert_array_equal(sequence["rainfall_rate"].values, np.full((4, *SHAPE), value))


def test_truth_is_nan_where_nothing_was_observed(radar: Radar) -> None:
    radar.write(0, 1, 3)
    wanted = START + STEP * np.arange(1, 6)
    seen = radar.archive.observed(wanted)
    assert seen.dims == ("time", "y", "x")
    assert seen["time"].values.tolist() == wanted.tolist()
    there = np.isfinite(seen.values).any(axis=(1, 2))
    assert there.tolist() == [True, False, True, False, False]
    np.testing.assert_allclose(seen.values[2], rain(3), rtol=1e-6)
    with pytest.raises(MissingFramesError, match=r"no frame of feed little from 2020-05-01T01:00Z"):
        radar.archive.observed([START + 12 * STEP])


def test_frames_between_two_times(radar: Radar) -> None:
    radar.write(0, 1, 3, 7)
    frames = radar.archive.frames_between(START + STEP, START + 7 * STEP)
    thinned = radar.archive.frames_between(START + STEP, START + 7 * STEP, every=2)
    xr.testing.assert_equal(thinned["rainfall_rate"], frames["rainfall_rate"][::2])
    assert frames["time"].values.tolist() == [(START + s * STEP).item() for s in (1, 3, 7)]
    assert frames.attrs["feed"] == "little"
    with pytest.raises(MissingFramesError, match=r"there are 4 from 2020-05-01T00:00Z to"):
        radar.archive.frames_between(START + 4 * STEP, START + 6 * STEP)


def test_cadence_comes_from_the_files_where_the_feed_states_none(radar: Radar) -> None:
    profile = radar.profile.model_copy(update={"cadence_minutes": None})
    radar.write(0, 3, 6, 7)
    assert Archive(radar.folder, profile).cadence == 3 * STEP
    alone = Archive(radar.folder / "little_202005010000.h5", profile)
    with pytest.raises(MissingFramesError, match="2 frames are needed to tell the time step"):
        _ = alone.cadence


def test_a_frame_is_decoded_once(radar: Radar) -> None:
    paths = radar.write(*range(3))
    archive = radar.archive
    first = archive.read(end=START + 2 * STEP, frames=3)
    for path in paths:
        state = path.stat()
        path.write_bytes(b"x" * state.st_size)
        os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    again = archive.read(end=START + 2 * STEP, frames=3)
    np.testing.assert_array_equal(again["rainfall_rate"], first["rainfall_rate"])
    with pytest.raises(FormatError):
        replace(archive, cache=FrameCache()).read(end=START + 2 * STEP, frames=3)


def test_what_was_read_may_be_written_to(radar: Radar) -> None:
    radar.write(0, 1)
    archive = radar.archive
    first = archive.read(end=START + STEP, frames=2)
    first["rainfall_rate"].values[:] = 77
    np.testing.assert_allclose(
        archive.read(end=START + STEP, frames=2)["rainfall_rate"].values[1], rain(1), rtol=1e-6
    )


def test_the_cache_forgets_what_was_not_used_for_longest() -> None:
    def frame() -> Frame:
        return Frame(np.zeros(25, np.float32), None, {})  # type: ignore[arg-type]

    cache = FrameCache(limit_bytes=300)
    for key in "abc":
        cache.put(key, frame())
    assert cache.get("a") is not None
    cache.put("d", frame())
    assert [key for key in "abcd" if cache.get(key)] == ["a", "c", "d"]
    cache.put("d", frame())
    assert len(cache) == 3
    cache.put("huge", Frame(np.zeros(1000, np.float32), None, {}))  # type: ignore[arg-type]
    assert len(cache) == 0


def test_an_archive_travels_and_is_scanned_anew(radar: Radar) -> None:
    radar.write(0, 1)
    archive = radar.archive
    archive.read(end=START, frames=1)
    copy = pickle.loads(pickle.dumps(archive))
    assert (copy.latest, len(copy.cache)) == (archive.latest, 0)
    radar.write(2)
    assert archive.latest == START + STEP
    fresh = replace(archive)
    assert fresh.latest == START + 2 * STEP
    assert fresh.cache is archive.cache


def test_real_knmi_with_a_hole(shared_data: Path, tmp_path: Path) -> None:
    """The filled frame is nearer to the one that was taken out than either neighbour is."""
    names = [f"RAD_NL25_RAP_5min_2010082602{minute:02d}.h5" for minute in (0, 5, 10, 15)]
    real = shared_data / "radar" / "knmi"
    for name in names:
        if name != names[2]:
            shutil.copy(next(real.rglob(name)), tmp_path)
    end = np.datetime64("2010-08-26T02:15", "ns")
    truth = Archive(real, FEEDS.named("knmi")).read(end=end, frames=4)["rainfall_rate"].values
    sequence = Archive(tmp_path, FEEDS.named("knmi")).read(end=end, frames=4)
    assert sequence["infilled"].values.tolist() == [False, False, True, False]
    made = sequence["rainfall_rate"].values
    np.testing.assert_array_equal(made[[0, 1, 3]], truth[[0, 1, 3]])
    seen = np.isfinite(truth).all(axis=0) & np.isfinite(made[2])
    errors = [np.abs(field - truth[2])[seen].mean() for field in (made[2], truth[1], truth[3])]
    assert errors[0] < 0.7 * min(errors[1:])
    assert (np.isfinite(made[2]) == np.isfinite(truth[2])).mean() > 0.99


def test_real_meteonet_reads_runs_inside_one_file(shared_data: Path) -> None:
    archive = Archive(shared_data / "radar", FEEDS.named("meteonet"))
    run = next(run for run in archive.runs() if run.frames == 15)
    sequence = archive.read(end=run.stop, frames=15)
    assert sequence.sizes["time"] == 15
    assert "degraded_reason" not in sequence.attrs
    short = archive.read(end=archive.latest, frames=8)
    assert short.sizes["time"] == 3
    assert short.attrs["degraded_reason"].startswith("3 of 8 frames of history: 2 frames missing")
