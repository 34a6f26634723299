"""Which frames a folder holds."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.feed import FEEDS, FeedProfile
from nowcast.field.errors import MissingFramesError, UsageError
from nowcast.field.schema import forecast_dataset
from nowcast.ingest import catalogue
from nowcast.ingest.archive import Archive
from nowcast.ingest.catalogue import Catalogue

START = np.datetime64("2020-05-01T00:00", "ns")
STEP = np.timedelta64(5, "m")
NOW = np.datetime64("2020-06-01T00:00", "ns")

# Feed, folder, frames, first and last, cadence (min), files of other products beside them.
REAL = [
    ("knmi", "knmi", 92, "2010-08-26T00:00", "2010-08-26T07:35", 5, 1),
    ("fmi", "fmi", 40, "2016-09-28T14:45", "2016-09-28T18:00", 5, 2),
    ("fmi-geotiff", "fmi", 2, "2016-09-28T14:45", "2016-09-28T14:50", 5, 40),
    ("mch", "mch", 80, "2015-05-15T15:45", "2017-01-31T13:00", 5, 0),
    ("bom", "bom", 144, "2020-10-31T00:00", "2020-10-31T23:50", 10, 0),
    ("opera", "opera", 24, "2018-08-24T18:00", "2018-08-24T23:45", 15, 4),
    ("opera-cirrus", "opera", 2, "2024-11-26T01:00", "2024-11-26T01:05", 5, 26),
    ("opera-nimbus", "opera", 1, "2024-11-26T01:00", "2024-11-26T01:00", None, 27),
    ("mrms", "mrms", 36, "2019-06-10T00:00", "2019-06-10T01:10", 2, 1),
    ("dwd-radolan", "dwd", 12, "2017-08-16T00:55", "2017-08-16T01:50", 5, 3),
    ("dwd-rv", "dwd", 1, "2025-09-23T08:55", "2025-09-23T08:55", None, 14),
    ("meteonet", "meteonet", 45, "2016-08-21T00:10", "2016-08-31T00:30", 5, 3),
    ("openmrg", "openmrg", 176, "2015-07-25T12:30", "2015-08-27T12:00", 5, 4),
]


@pytest.mark.parametrize("whole", [False, True], ids=["own folder", "all radars"])
@pytest.mark.parametrize("row", REAL, ids=[row[0] for row in REAL])
def test_real_folders(shared_data: Path, row: tuple[object, ...], *, whole: bool) -> None:
    name, folder, frames, first, last, minutes, others = row
    root = shared_data / "radar"
    found = Catalogue.scan(root if whole else root / str(folder), FEEDS.named(str(name)))
    assert found.times.size == frames == len(found.entries)
    assert (found.times[0], found.times[-1]) == (
        np.datetime64(str(first)),
        np.datetime64(str(last)),
    )
    if minutes is not None:
        assert found.spacing == np.timedelta64(minutes, "m")  # type: ignore[call-overload]
    ignored = {item.reason: item.count for item in found.ignored}
    if whole:
        assert ignored[catalogue.OTHER] > 300
    else:
        assert ignored.get(catalogue.OTHER, 0) == others
    assert set(ignored) <= {catalogue.OTHER, catalogue.SERIES}


def test_real_zones_are_two_series(shared_data: Path) -> None:
    folder = shared_data / "radar" / "meteonet"
    found = Catalogue.scan(folder, FEEDS.named("meteonet"))
    assert (found.series, found.others) == ("zone NW", {"zone SE": 45})
    assert Catalogue.scan(folder, FEEDS.named("meteonet"), series="SE").series == "zone SE"
    one = Catalogue.scan(folder / "rainfall_SE_2016_08.3.npz", FEEDS.named("meteonet"))
    assert (one.series, one.times.size, one.ignored) == ("zone SE", 45, ())
    runs = one.runs(STEP)
    assert [run.frames for run in runs if run.frames > 5] == [15, 12]
    assert sum(run.frames for run in runs) == 45
    assert len(one.gaps(STEP)) == len(runs) - 1


def test_real_odim_files_are_told_apart_by_content(shared_data: Path) -> None:
    found = Catalogue.scan(shared_data / "radar" / "opera", FEEDS.named("odim"))
    assert found.series.startswith("RATE COMP 2200x1900")
    assert found.times.size == 24
    assert sorted(found.others.values()) == [1, 1, 2]
    cirrus = Catalogue.scan(shared_data / "radar" / "opera", FEEDS.named("odim"), series="DBZH")
    assert cirrus.times.size == 2
    with pytest.raises(UsageError, match=r"series 'RATE' fits 2; found: ACRR PPI 60 min"):
        Catalogue.scan(shared_data / "radar" / "opera", FEEDS.named("odim"), series="RATE")


def name_of(time: np.datetime64) -> str:
    return f"little_{time.astype('datetime64[s]').item():%Y%m%d%H%M}.h5"


def touch(path: Path, *, written: int = 1_600_000_000) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    os.utime(path, (written, written))
    return path


def scan(folder: Path, profile: FeedProfile, *, series: str | None = None) -> Catalogue:
    return Catalogue.scan(folder, profile, series=series, now=NOW)


@given(st.lists(st.tuples(st.integers(0, 30), st.sampled_from("abc")), min_size=1, max_size=25))
def test_law_order_and_duplicates_do_no_harm(
    little: FeedProfile, files: list[tuple[int, str]]
) -> None:
    """Whatever is written when and where: each time once, in order, every file accounted for."""
    with tempfile.TemporaryDirectory() as name:
        written: dict[int, list[Path]] = {}
        for order, (step, folder) in enumerate(files):
            path = Path(name) / folder / name_of(START + step * STEP)
            written[step] = [p for p in written.get(step, []) if p != path]
            written[step].append(touch(path, written=1_600_000_000 + order))
        found = scan(Path(name), little)
        assert found.times.tolist() == [(START + s * STEP).item() for s in sorted(written)]
        assert [e.path for e in found.entries] == [written[step][-1] for step in sorted(written)]
        left = sum(item.count for item in found.ignored)
        assert left == sum(len(paths) for paths in written.values()) - len(written)
        gaps = found.gaps(STEP)
        assert sum(gap.missing for gap in gaps) == max(written) - min(written) + 1 - len(written)
        assert [run.start for run in found.runs(STEP)][1:] == [gap.before for gap in gaps]
        assert sum(run.frames for run in found.runs(STEP)) == len(written)


def test_the_file_written_last_wins(little: FeedProfile, tmp_path: Path) -> None:
    revised = touch(tmp_path / "a" / name_of(START), written=1_600_000_900)
    touch(tmp_path / "b" / name_of(START), written=1_600_000_000)
    found = scan(tmp_path, little)
    assert found.entries[0].path == revised
    assert str(found.ignored[0]) == (f"1 frames that a newer file gives too ({name_of(START)})")


def test_what_is_left_aside_is_counted_and_named(little: FeedProfile, tmp_path: Path) -> None:
    for step in range(4):
        touch(tmp_path / name_of(START + step * STEP))
    touch(tmp_path / "little_201013450000.h5")
    touch(tmp_path / name_of(NOW + STEP))
    for number in range(5):
        touch(tmp_path / f"other_{number}.h5")
    touch(tmp_path / ".little_202005010000.h5")
    (tmp_path / "little_202005010100.h5").mkdir()
    os.mkfifo(tmp_path / "little_202005010200.h5")
    found = scan(tmp_path, little)
    assert found.times.size == 4
    assert {item.reason: (item.count, item.examples) for item in found.ignored} == {
        catalogue.AHEAD: (1, (name_of(NOW + STEP),)),
        catalogue.MISNAMED: (1, ("little_201013450000.h5",)),
        catalogue.OTHER: (5, ("other_0.h5", "other_1.h5", "other_2.h5")),
        catalogue.UNREADABLE: (1, ("little_202005010200.h5",)),
    }
    assert "5 files of other products (other_0.h5, other_1.h5, other_2.h5, ...)" in map(
        str, found.ignored
    )


def test_a_clock_two_minutes_late_is_borne(little: FeedProfile, tmp_path: Path) -> None:
    touch(tmp_path / name_of(START))
    for late, frames in ((120, 1), (121, 0)):
        now = START - np.timedelta64(late, "s")
        if frames:
            assert Catalogue.scan(tmp_path, little, now=now).times.size == frames
        else:
            with pytest.raises(MissingFramesError, match="1 frames ahead of the clock"):
                Catalogue.scan(tmp_path, little, now=now)


def test_links_that_lead_out_are_not_followed(little: FeedProfile, tmp_path: Path) -> None:
    inside, outside = tmp_path / "in", tmp_path / "out"
    touch(outside / name_of(START))
    touch(outside / "deep" / name_of(START + STEP))
    kept = touch(inside / "store" / name_of(START + 2 * STEP))
    (inside / name_of(START)).symlink_to(outside / name_of(START))
    (inside / "deep").symlink_to(outside / "deep")
    (inside / name_of(START + 3 * STEP)).symlink_to(kept)
    found = scan(inside, little)
    assert found.times.tolist() == [(START + s * STEP).item() for s in (2, 3)]
    assert [(item.reason, item.count) for item in found.ignored] == [
        ("links that lead out of the folder", 2)
    ]


def test_the_folder_itself_may_be_a_link(little: FeedProfile, tmp_path: Path) -> None:
    touch(tmp_path / "in" / name_of(START))
    (tmp_path / "link").symlink_to(tmp_path / "in")
    assert scan(tmp_path / "link", little).times.size == 1


def test_the_series_with_most_frames_is_taken_and_the_first_among_equals(
    little: FeedProfile, tmp_path: Path
) -> None:
    profile = little.model_copy(update={"pattern": (r"(?P<radar>[a-z]+)_(?P<time>\d{12})\.h5",)})
    for radar, frames in (("north", 2), ("south", 3), ("east", 3)):
        for step in range(frames):
            touch(tmp_path / name_of(START + step * STEP).replace("little", radar))
    found = scan(tmp_path, profile)
    assert found.series == "radar east"
    assert found.others == {"radar north": 2, "radar south": 3}
    assert found.ignored[0].count == 5
    assert scan(tmp_path, profile, series="north").times.size == 2
    with pytest.raises(UsageError, match=r"series 'th' fits 2; found: radar east \(3 frames\)"):
        scan(tmp_path, profile, series="th")
    with pytest.raises(UsageError, match="series 'west' is not there"):
        scan(tmp_path, profile, series="west")


def test_names_alone_are_looked_at_where_they_hold_the_time(
    little: FeedProfile, tmp_path: Path
) -> None:
    """The files are empty: to open one would fail."""
    for step in range(3):
        touch(tmp_path / name_of(START + step * STEP))
    assert scan(tmp_path, little).spacing == STEP


def test_nothing_there(little: FeedProfile, tmp_path: Path) -> None:
    with pytest.raises(MissingFramesError, match=r"absent: no such file or folder"):
        scan(tmp_path / "absent", little)
    with pytest.raises(
        MissingFramesError, match=r"no frame of feed little among 0 files: expected"
    ):
        scan(tmp_path, little)
    touch(tmp_path / "RAD_NL25.h5")
    touch(tmp_path / "little_201013450000.h5")
    with pytest.raises(MissingFramesError) as caught:
        scan(tmp_path, little)
    assert r"among 2 files: expected names like little_(?P<time>\d{12})\.h5" in str(caught.value)
    assert "1 files of other products (RAD_NL25.h5)" in str(caught.value)
    assert "1 names that hold no valid time (little_201013450000.h5)" in str(caught.value)
    with pytest.raises(MissingFramesError, match="expected files that are odim inside"):
        scan(tmp_path, FEEDS.named("odim"))


def test_generic_feeds_go_by_content(tmp_path: Path, write_frame: Callable[..., Path]) -> None:
    rain = np.ones((20, 30), np.float32)
    for step in range(3):
        write_frame(tmp_path, str(START + step * STEP), rain, name="x%H%M.h5")
    write_frame(tmp_path, str(START), rain, name="far%H%M.h5", west=500_000.0)
    write_frame(tmp_path, str(START), rain, name="dbz%H%M.h5", quantity="DBZH")
    (tmp_path / "notes.txt").write_text("no radar")
    broken = write_frame(tmp_path, str(START + 5 * STEP), rain, name="broken.h5")
    broken.write_bytes(broken.read_bytes()[:3000])
    found = scan(tmp_path, FEEDS.named("odim"))
    assert found.times.tolist() == [(START + s * STEP).item() for s in range(3)]
    assert found.spacing == STEP
    assert len(found.others) == 2
    assert {item.reason: item.count for item in found.ignored} == {
        catalogue.SERIES: 2,
        catalogue.OTHER: 2,
    }


def test_our_own_forecasts_are_no_observations(
    little: FeedProfile, write_frame: Callable[..., Path], tmp_path: Path
) -> None:
    """A folder of CF files in which forecasts lie beside the frames they were made from."""
    rain = np.ones((20, 30), np.float32)
    for step in range(3):
        write_frame(tmp_path / "odim", str(START + step * STEP), rain)
    past = Archive(tmp_path / "odim", little, now=NOW).read(end=START + 2 * STEP, frames=3)
    (tmp_path / "cf").mkdir()
    for step in range(3):
        frame = past.isel(time=[step]).drop_vars("infilled")
        frame.to_netcdf(tmp_path / "cf" / f"{step}.nc", engine="netcdf4")
    forecast = forecast_dataset(np.stack([rain] * 12), past=past, source="persistence")
    forecast.to_netcdf(tmp_path / "cf" / "forecast.nc", engine="netcdf4")
    found = scan(tmp_path / "cf", FEEDS.named("cf"))
    assert found.times.tolist() == past["time"].values.tolist()
    assert found.series.startswith("rainfall_rate 20x30 ")
    assert found.others == {}
    assert [(item.reason, item.examples) for item in found.ignored] == [
        (catalogue.OTHER, ("forecast.nc",))
    ]
    archive = Archive(tmp_path / "cf", FEEDS.named("cf"), now=NOW)
    again = archive.read(end=START + 2 * STEP, frames=3)
    np.testing.assert_array_equal(again["rainfall_rate"], past["rainfall_rate"])


def test_most_common_spacing_and_frames_near_a_time(little: FeedProfile, tmp_path: Path) -> None:
    for minute in (0, 10, 20, 25, 30, 40, 50, 55):
        touch(tmp_path / name_of(START + np.timedelta64(minute, "m")))
    found = scan(tmp_path, little)
    assert found.spacing == np.timedelta64(10, "m")
    second = np.timedelta64(1, "s")
    assert found.index(START + 99 * second, within=99 * second) == 0
    assert found.index(START + 99 * second, within=98 * second) is None
    assert found.index(START - STEP, within=STEP) == 0
    assert found.index(found.times[-1] + STEP, within=STEP) == 7
    alone = scan(tmp_path / name_of(START), little)
    assert alone.spacing is None
    assert alone.gaps(STEP) == ()
    assert [run.frames for run in alone.runs(STEP)] == [1]
