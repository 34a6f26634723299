"""Whatever is wrong gets one clear sentence, an exit code, and leaves nothing half-written."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from nowcast.field.grid import Grid
from nowcast.ingest.readers.odim_writer import write_odim
from nowcast.ingest.simulated import Storm, low_countries

GRID = low_countries(64)
START = np.datetime64("2026-06-01T12:00", "ns")


class Outcome(NamedTuple):
    code: int
    stderr: str


def nowcast(*arguments: str | Path) -> Outcome:
    """Run the program as a user does, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "nowcast", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in done.stderr
    return Outcome(done.returncode, done.stderr)


def frame_path(folder: Path, index: int) -> Path:
    return folder / f"composite_{index:02d}.h5"


def write_frame(folder: Path, index: int, rate: np.ndarray, *, grid: Grid = GRID) -> None:
    time = START + index * np.timedelta64(5, "m")
    write_odim(frame_path(folder, index), rate, grid=grid, time=time)


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """Six frames of a storm as ODIM files."""
    folder = tmp_path / "archive"
    folder.mkdir()
    storm = Storm(grid=GRID)
    for index in range(6):
        write_frame(folder, index, storm.rate_mm_h(5.0 * index))
    return folder


def run(archive: Path, out: Path, *more: str | Path) -> Outcome:
    options = ["--method", "extrapolation"] if "--method" not in more else []
    return nowcast(
        "run", "--feed", "odim", "--archive", archive, "--out", out, "--leads", "2", "--no-maps",
        *options, *more,
    )  # fmt: skip


def test_a_good_archive_is_forecast(archive: Path, tmp_path: Path) -> None:
    assert run(archive, tmp_path / "out").code == 0
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["20260601T1225Z.nc"]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("run", "--feed", "knmy", "--archive", ".", "--out", "o"), 2, "unknown feed 'knmy'"),
        (("run", "--feed", "odim", "--archive", "nowhere", "--out", "o"), 66, "nowhere"),
        (("verify", "--feed", "odim", "--archive", ".", "--forecasts", "nowhere"), 65, "nowhere"),
        (("render", "absent.nc", "--out", "o"), 65, "absent.nc: there is no such file"),
        (("run", "--no-such-option"), 2, "No such option"),
        (("train", "--out", "w.safetensors"), 2, "give --feed and --archive, or --recipe"),
        (("train", "--recipe", "rodar", "--out", "w"), 2, "unknown recipe 'rodar'"),
        (("inspect", "absent.h5"), 66, "absent.h5: no such file"),
    ],
)
def test_wrong_names(
    arguments: tuple[str, ...], code: int, message: str, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    outcome = nowcast(*arguments)
    assert (outcome.code, message in outcome.stderr) == (code, True), outcome.stderr
    assert not list(tmp_path.iterdir())


def test_an_unknown_method_names_the_nearest(archive: Path, tmp_path: Path) -> None:
    outcome = run(archive, tmp_path / "out", "--method", "extrapolate")
    assert outcome.code == 2
    assert "Did you mean extrapolation?" in outcome.stderr


@pytest.mark.parametrize("content", [b"", b"this is no radar file\n" * 20])
def test_a_file_that_is_not_what_its_feed_says(
    content: bytes, shared_data: Path, tmp_path: Path
) -> None:
    names = [f"RAD_NL25_RAP_5min_20100826{clock}.h5" for clock in ("0300", "0305", "0310")]
    (tmp_path / "archive").mkdir()
    for name in names[:2]:
        shutil.copy(shared_data / "radar/knmi/2010/08" / name, tmp_path / "archive")
    (tmp_path / "archive" / names[2]).write_bytes(content)
    outcome = nowcast(
        "run", "--feed", "knmi", "--archive", tmp_path / "archive", "--out", tmp_path / "out",
        "--method", "extrapolation", "--leads", "2",
    )  # fmt: skip
    assert outcome.code == 65
    assert names[2] in outcome.stderr
    assert not list((tmp_path / "out").iterdir())


def test_a_truncated_file(shared_data: Path, tmp_path: Path) -> None:
    source = shared_data / "radar/fmi/pgm/20160928"
    files = sorted(source.iterdir())[:3]
    (tmp_path / "archive").mkdir()
    for path in files[:2]:
        shutil.copy(path, tmp_path / "archive")
    cut = tmp_path / "archive" / files[2].name
    cut.write_bytes(files[2].read_bytes()[:2000])
    outcome = nowcast(
        "run", "--feed", "fmi", "--archive", tmp_path / "archive", "--out", tmp_path / "out",
        "--method", "extrapolation", "--leads", "2",
    )  # fmt: skip
    assert outcome.code == 65
    assert cut.name in outcome.stderr


def test_a_frame_on_another_grid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    profile = tmp_path / "feeds/ours.toml"
    profile.parent.mkdir()
    profile.write_text(
        'title = "Ours"\nunit = "mm h-1"\ngrid = "64x64"\ncadence_minutes = 5\n'
        "pattern = 'ours_(?P<time>\\d{12})\\.h5'\ntime_format = \"%Y%m%d%H%M\"\n"
        'reader = { format = "odim" }\n'
    )
    monkeypatch.setenv("NOWCAST_FEEDS", str(profile.parent))
    folder = tmp_path / "archive"
    folder.mkdir()
    for index, size in enumerate((64, 48, 64)):
        grid = low_countries(size)
        name = f"ours_2026060112{5 * index:02d}.h5"
        time = START + index * np.timedelta64(5, "m")
        write_odim(folder / name, Storm(grid=grid).rate_mm_h(0), grid=grid, time=time)
    outcome = nowcast(
        "run", "--feed", "ours", "--archive", folder, "--out", tmp_path / "out",
        "--method", "extrapolation", "--leads", "2",
    )  # fmt: skip
    assert outcome.code == 65
    assert "ours_202606011205.h5" in outcome.stderr
    assert "48x48" in outcome.stderr
    assert "expected 64x64" in outcome.stderr
    assert not list((tmp_path / "out").iterdir())


def test_a_frame_of_the_future(archive: Path, tmp_path: Path) -> None:
    rate = Storm(grid=GRID).rate_mm_h(0)
    later = np.datetime64("2099-01-01T00:00", "ns")
    write_odim(archive / "later.h5", rate, grid=GRID, time=later)
    outcome = run(archive, tmp_path / "out")
    assert outcome.code == 65
    assert "later.h5" in outcome.stderr
    assert run(archive, tmp_path / "out", "--at", "2026-06-01T12:25Z").code == 0


def test_a_time_in_the_future_or_none_at_all(archive: Path, tmp_path: Path) -> None:
    ahead = run(archive, tmp_path / "out", "--at", "2099-01-01T00:00Z")
    assert ahead.code == 65
    assert "2099-01-01T00:00Z has not come yet" in ahead.stderr
    wrong = run(archive, tmp_path / "out", "--at", "noon")
    assert wrong.code == 2
    assert "'noon' is no UTC time" in wrong.stderr


def test_a_time_without_a_frame(archive: Path, tmp_path: Path) -> None:
    outcome = run(archive, tmp_path / "out", "--at", "2026-06-01T13:00Z")
    assert outcome.code == 66
    assert "no frame of feed odim at 2026-06-01T13:00Z" in outcome.stderr


def test_an_all_missing_frame(archive: Path, tmp_path: Path) -> None:
    write_frame(archive, 6, np.full(GRID.shape, np.nan))
    outcome = run(archive, tmp_path / "out")
    assert outcome.code == 69
    assert "no pixel was observed" in outcome.stderr
    assert not list((tmp_path / "out").iterdir())


@pytest.mark.parametrize("method", ["mim", "extrapolation", "sprog", "persistence"])
def test_dry_in_dry_out(method: str, tmp_path: Path) -> None:
    import xarray as xr

    folder = tmp_path / "dry"
    folder.mkdir()
    for index in range(4):
        write_frame(folder, index, np.zeros(GRID.shape))
    assert run(folder, tmp_path / "out", "--method", method).code == 0
    with xr.open_dataset(tmp_path / "out/20260601T1215Z.nc", decode_timedelta=True) as made:
        assert float(made["rainfall_rate"].max()) == 0


def test_fewer_frames_than_a_method_needs(archive: Path, tmp_path: Path) -> None:
    for index in range(2, 6):
        frame_path(archive, index).unlink()
    asked = run(archive, tmp_path / "out", "--method", "mim")
    assert asked.code == 69
    assert "mim needs 4 frames, found 2" in asked.stderr


def test_without_a_method_another_stands_in_and_says_so(archive: Path, tmp_path: Path) -> None:
    import xarray as xr

    for index in range(2, 6):
        frame_path(archive, index).unlink()
    outcome = nowcast(
        "run", "--feed", "odim", "--archive", archive, "--out", tmp_path / "out", "--no-maps",
        "--leads", "2",
    )  # fmt: skip
    assert outcome.code == 0
    assert "degraded: " in outcome.stderr
    with xr.open_dataset(tmp_path / "out/20260601T1205Z.nc", decode_timedelta=True) as made:
        assert made.attrs["source"].startswith("extrapolation")
        assert "mim needs 4 frames, found 2" in made.attrs["degraded_reason"]


def test_weights_that_are_none(archive: Path, tmp_path: Path) -> None:
    wrong = tmp_path / "weights.safetensors"
    wrong.write_bytes(b"no weights")
    outcome = run(archive, tmp_path / "out", "--method", "mim", "--weights", wrong)
    assert outcome.code == 78
    assert str(wrong) in outcome.stderr


def test_a_place_that_cannot_be_written(archive: Path, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file, no folder")
    outcome = run(archive, tmp_path / "out")
    assert outcome.code == 73
    assert str(tmp_path / "out") in outcome.stderr


def test_no_disk_space(archive: Path, tmp_path: Path) -> None:
    """A file size limit stands for a full disk: the write fails half-way either way."""
    command = (
        f"ulimit -f 8; exec {sys.executable} -m nowcast run --feed odim --archive {archive} "
        f"--out {tmp_path / 'out'} --leads 2 --no-maps --method persistence"
    )
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert done.returncode == 73, done.stderr
    assert "Traceback" not in done.stderr
    assert "20260601T1225Z.nc" in done.stderr
    assert not list((tmp_path / "out").iterdir())


def test_issue_times_that_cannot_be_read(archive: Path, tmp_path: Path) -> None:
    times = tmp_path / "times.txt"
    times.write_text("2026-06-01T12:25Z\nyesterday\n")
    outcome = nowcast(
        "hindcast", "--feed", "odim", "--archive", archive, "--issue-times", times,
        "--out", tmp_path / "out", "--methods", "persistence",
    )  # fmt: skip
    assert outcome.code == 2
    assert f"{times}, line 2: 'yesterday' is no UTC time" in outcome.stderr
