"""What is in a file or folder."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from config.feed import FEEDS, FeedProfile
from nowcast.field.errors import FormatError, MissingFramesError, UsageError
from nowcast.ingest.inspection import inspect_path

START = np.datetime64("2020-05-01T00:00", "ns")
STEP = np.timedelta64(5, "m")


def quarter() -> np.ndarray:
    """20x30 cells: a tenth unseen, a third of the rest wet, one cell beyond all reason."""
    rate = np.zeros((20, 30), np.float32)
    rate[:, :3] = np.nan
    rate[:, 3:12] = 0.4
    rate[0, 3], rate[0, 20] = 8647.0, 0.09
    return rate


def test_by_hand(little: FeedProfile, write_frame: Callable[..., Path], tmp_path: Path) -> None:
    for step in (0, 1, 4, 5, 7):
        write_frame(tmp_path, str(START + step * STEP), quarter())
    (tmp_path / "notes.txt").write_text("nothing")
    found = inspect_path(tmp_path, profile=little)
    (frames,) = found.sequences
    assert (len(frames.times), frames.times[0], frames.cadence_minutes) == (
        5,
        "2020-05-01T00:00Z",
        5.0,
    )
    assert frames.gaps == (
        ("2020-05-01T00:05Z", "2020-05-01T00:20Z", 2),
        ("2020-05-01T00:25Z", "2020-05-01T00:35Z", 1),
    )
    assert frames.rain is not None
    assert frames.rain.frames == 5
    assert frames.rain.wet == pytest.approx(180 / 540)
    assert frames.rain.unseen == pytest.approx(0.1)
    assert frames.rain.maximum_mm_h == 8647
    (grid,) = frames.grids
    assert grid.startswith("20x30 cells of 1000x1000 m")
    assert "+proj=laea" in frames.crs[0]
    assert frames.corners_lonlat["NW"] == pytest.approx((11.6, 56.8), abs=0.1)
    assert frames.ignored == ("1 files of other products (notes.txt)",)
    text = "\n".join(found.lines())
    assert "frames   5, 2020-05-01T00:00Z to 2020-05-01T00:35Z, every 5 min" in text
    assert "2 missing between 2020-05-01T00:05Z and 2020-05-01T00:20Z" in text
    assert "wet 33.3% of what is seen, unseen 10.0%, at most 8647 mm/h (in 5 frames)" in text
    assert json.loads(json.dumps(found.to_dict()))["sequences"][0]["rain"]["frames"] == 5


def test_what_does_not_fit_together_is_told_not_hidden(
    little: FeedProfile, write_frame: Callable[..., Path], tmp_path: Path
) -> None:
    write_frame(tmp_path, str(START), quarter())
    write_frame(tmp_path, str(START + STEP), quarter(), west=500_000.0)
    broken = write_frame(tmp_path, str(START + 2 * STEP), quarter())
    broken.write_bytes(b"")
    (frames,) = inspect_path(tmp_path, profiles=[FEEDS.named("knmi"), little]).sequences
    assert len(frames.grids) == 2
    assert frames.rain is not None
    assert frames.rain.frames == 2
    assert len(frames.problems) == 1
    assert str(broken) in frames.problems[0]


def test_a_folder_whose_names_no_feed_knows_is_looked_into(
    little: FeedProfile, write_frame: Callable[..., Path], tmp_path: Path
) -> None:
    for step in range(3):
        write_frame(tmp_path, str(START + step * STEP), quarter(), name="x%H%M.h5")
    (frames,) = inspect_path(tmp_path, profiles=[little, FEEDS.named("odim")]).sequences
    assert (frames.feed, len(frames.times), frames.cadence_minutes) == ("odim", 3, 5.0)


def test_a_single_file_named_or_not(
    little: FeedProfile, write_frame: Callable[..., Path], tmp_path: Path
) -> None:
    path = write_frame(tmp_path, str(START), quarter())
    (named,) = inspect_path(path, profiles=[little]).sequences
    assert (named.feed, named.times, named.gaps) == ("little", ("2020-05-01T00:00Z",), ())
    other = path.rename(tmp_path / "other.bin")
    (unnamed,) = inspect_path(other, profiles=[little]).sequences
    assert unnamed.feed == "none by its name"
    assert unnamed.rain is not None
    assert named.rain is not None
    assert unnamed.rain.unseen == pytest.approx(named.rain.unseen)
    assert unnamed.grids == named.grids


def test_nothing_to_inspect(little: FeedProfile, tmp_path: Path) -> None:
    with pytest.raises(MissingFramesError, match="no radar frames that any feed knows among 0"):
        inspect_path(tmp_path, profiles=[little])
    (tmp_path / "a.txt").write_text("text")
    with pytest.raises(MissingFramesError, match=r"among 1 files, such as a\.txt"):
        inspect_path(tmp_path, profiles=FEEDS.all().values())
    with pytest.raises(FormatError, match=r"a\.txt: 4 bytes"):
        inspect_path(tmp_path / "a.txt", profiles=FEEDS.all().values())
    with pytest.raises(MissingFramesError, match="no such file or folder"):
        inspect_path(tmp_path / "absent", profiles=[little])


def test_real_folder_of_several_feeds(shared_data: Path) -> None:
    found = inspect_path(shared_data / "radar" / "fmi", profiles=FEEDS.all().values())
    assert [(item.feed, len(item.times)) for item in found.sequences] == [
        ("fmi", 40),
        ("fmi-geotiff", 2),
    ]
    assert "ETRS89 / TM35FIN(E,N) (EPSG:3067)" in "\n".join(found.lines())


def test_real_zones(shared_data: Path) -> None:
    folder = shared_data / "radar" / "meteonet"
    (frames,) = inspect_path(folder, profile=FEEDS.named("meteonet"), series="SE").sequences
    assert (frames.series, frames.other_series) == ("zone SE", {"zone NW": 45})
    assert len(frames.gaps) == 9
    assert frames.crs == ("WGS 84 (EPSG:4326)",)
    with pytest.raises(UsageError, match="series 'XX' is not there; found: zone NW"):
        inspect_path(folder, profile=FEEDS.named("meteonet"), series="XX")


def test_real_traffic_shows_its_variables(shared_data: Path) -> None:
    path = shared_data / "traffic" / "nyc_taxi_bike" / "data" / "volume_test.npz"
    found = inspect_path(path, profiles=FEEDS.all().values())
    assert found.sequences == ()
    assert found.variables["inflow"].startswith("(time 960, y 10, x 20)")
    assert any(line.startswith("variable inflow (time 960") for line in found.lines())
