"""``nowcast render``: each kind of picture of a file or a folder of forecasts; its refusals."""

from __future__ import annotations

import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from nowcast import build, scorecard
from nowcast.cli.app import app
from nowcast.field.errors import NowcastError, SourceError, UsageError
from nowcast.forecast.persistence import Persistence
from nowcast.hindcast import Hindcast
from nowcast.ingest.readers.odim_writer import OdimDetails, write_odim
from nowcast.ingest.simulated import Storm, low_countries
from nowcast.products.map_data import MapData

METHODS = ("fine", "persistence")


@pytest.fixture(autouse=True)
def _without_geography(monkeypatch: pytest.MonkeyPatch) -> None:
    """Maps without coastlines, which take seconds."""
    monkeypatch.setattr("nowcast.products.panels.find_map_data", MapData)
    monkeypatch.setattr("nowcast.products.sheet.find_map_data", MapData)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive of a simulated storm, and forecasts of two methods at two times."""
    folder = tmp_path_factory.mktemp("runs")
    (folder / "archive").mkdir()
    storm = Storm(grid=low_countries(40), motion_m_s=(12.0, 6.0), radar_range_km=40)
    radar = storm.radar(start=np.datetime64("2026-06-01T12:00"), frames=7)
    details = OdimDetails(source="CMT:simulated storm", product_name="rain", simulated=True)
    for time, rate in zip(radar["time"].values, radar["rainfall_rate"].values, strict=True):
        path = folder / "archive" / f"{time.astype('datetime64[m]')}.h5".replace(":", "")
        write_odim(path, rate, grid=storm.grid, time=time, details=details)
    source = build.archive("odim", folder / "archive")
    nowcasters = dict.fromkeys(METHODS, Persistence())
    work = Hindcast(source=source, nowcasters=nowcasters, steps=2, out=folder / "past")
    assert all(not one.problem for one in work.run(radar["time"].values[3:5]))
    return folder


def render(runs: Path, arguments: str, out: Path) -> list[str]:
    """The pictures of a command, by their names; its errors are raised."""
    filled = arguments.replace("RUNS", str(runs))
    result = CliRunner().invoke(app, ["render", *shlex.split(filled), "--out", str(out)])
    if isinstance(result.exception, NowcastError):
        raise result.exception
    assert result.exit_code == 0, result.output
    written = [Path(line) for line in result.stdout.splitlines()]
    assert all(path.exists() for path in written)
    return [path.name for path in written]


def test_of_a_file_maps_and_what_was_observed(runs: Path, tmp_path: Path) -> None:
    names = render(
        runs,
        "RUNS/past/fine/20260601T1215Z.nc --kind maps,comparison --beside "
        "RUNS/past/persistence/20260601T1215Z.nc --feed odim --archive RUNS/archive --past 1",
        tmp_path,
    )
    assert names == [
        "20260601T1215Z_observed",
        "20260601T1215Z_maps",
        "20260601T1215Z_comparison.png",
    ]
    assert len(list((tmp_path / "20260601T1215Z_maps").iterdir())) == 2
    with Image.open(tmp_path / "20260601T1215Z_comparison.png") as picture:
        # The observation and two methods.
        assert picture.size[1] > 88 + 3 * 200


def test_of_a_folder_scores_anew_or_as_they_were_stored(runs: Path, tmp_path: Path) -> None:
    archive = "--feed odim --archive RUNS/archive"
    with pytest.raises(SourceError, match=r"scores.csv: no such file: score the forecasts with"):
        render(runs, "RUNS/past", tmp_path)
    names = render(runs, f"RUNS/past --kind skill,spectra --thresholds 1 {archive}", tmp_path)
    assert names == ["skill.png", "spectra.png"]
    source = build.archive("odim", runs / "archive")
    scorecard.score(scorecard.forecast_files(runs / "past"), source).write(runs / "past")
    stored = render(
        runs, "RUNS/past --kind roc,reliability --thresholds 0.1 --leads 1 --format svg", tmp_path
    )
    assert stored == ["roc.svg", "reliability.svg"]


def test_one_issue_time_of_a_folder(runs: Path, tmp_path: Path) -> None:
    archive = "--feed odim --archive RUNS/archive"
    for at, name in (("", "20260601T1220Z"), ("--at 2026-06-01T12:15Z", "20260601T1215Z")):
        made = render(runs, f"RUNS/past --kind comparison {at} {archive}", tmp_path)
        assert made == [f"{name}_comparison.png"]
    with pytest.raises(UsageError, match=r"no 20260601T1300Z.nc, there are 20260601T1215Z.nc to"):
        render(runs, f"RUNS/past --kind comparison --at 2026-06-01T13:00Z {archive}", tmp_path)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--kind map", r"--kind map: expected one of maps, film, .*Did you mean maps\?"),
        ("--format jpg", "--format jpg: expected one of png, svg"),
        ("--thresholds one", "--thresholds one: expected numbers separated by commas"),
        ("--kind comparison", "shows what was observed: give --feed and --archive"),
        ("--kind spectra,maps", "--kind spectra shows what was observed"),
        ("--kind probability", "no probabilities in the forecast by persistence"),
        ("--feed odim", "--feed and --archive go together"),
    ],
)
def test_what_cannot_be_drawn_is_said_at_once(
    runs: Path, tmp_path: Path, arguments: str, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        render(runs, f"RUNS/past/fine/20260601T1215Z.nc {arguments}", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_truth_that_has_not_come_is_no_error(runs: Path, tmp_path: Path) -> None:
    (tmp_path / "archive").mkdir()
    for path in sorted((runs / "archive").iterdir()):
        if path.stem[-4:] <= "1215":
            (tmp_path / "archive" / path.name).symlink_to(path)
    result = CliRunner().invoke(
        app,
        [
            *("render", str(runs / "past/fine/20260601T1215Z.nc"), "--kind", "comparison"),
            *("--feed", "odim", "--archive", str(tmp_path / "archive")),
            *("--out", str(tmp_path / "out")),
        ],
    )
    assert result.exit_code == 0, result.output
    assert result.stdout == ""
    assert "nothing observed to compare with: " in result.stderr
