"""``nowcast view`` and ``nowcast export-site`` as users run them, on files and on a service."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from nowcast.cli.app import app
from nowcast.service.layout import MANIFEST, Layout
from nowcast.service.manifest import FileSum, Manifest
from nowcast.web.library import PublishedLibrary, feed_of, library_of
from tests.web.conftest import FORECAST, LEADS


def test_the_server_answers_until_it_is_ended(shelf: Path, tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        sys.executable,
        "-m",
        "nowcast",
        "view",
        str(shelf / "forecasts"),
        "--port",
        str(port),
    ]
    command += ["--feed", "cf", "--archive", str(shelf / "frames")]
    (tmp_path / "places.csv").write_text("id,name,lon,lat\n1,Mill,5.1,52.1\n2,Weir,6.2,53.0\n")
    command += ["--stations", str(tmp_path / "places.csv")]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as running:
        until = time.monotonic() + 60
        while time.monotonic() < until:
            try:
                found = httpx.get(f"http://127.0.0.1:{port}/data/index.json").json()
                break
            except httpx.TransportError:
                time.sleep(0.1)
        asked = f"http://127.0.0.1:{port}/data/{FORECAST}/point.json?lon=5&lat=52"
        near = httpx.get(asked, timeout=60).json()["stations"]
        running.terminate()
        _, said = running.communicate(timeout=30)
    assert [one["id"] for one in found["forecasts"]] == [FORECAST, "extrapolation-20260601T1200Z"]
    assert [one["name"] for one in near] == ["Mill", "Weir"]
    assert near[0]["km"] == pytest.approx(13.1, abs=0.2)
    assert f"http://127.0.0.1:{port}/" in said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "give a folder of forecasts, or --config FILE"),
        (["nowhere"], "nowhere: no such folder"),
        (["{shelf}/forecasts", "--feed", "cf"], "--feed and --archive go together"),
        (["{shelf}/forecasts", "--host", "0.0.0.0"], "--token-file FILE"),
        (["{shelf}/forecasts", "--token-file", "{shelf}/short"], "expected at least 16"),
    ],
)
def test_wrong_use_is_told(shelf: Path, words: list[str], message: str) -> None:
    (shelf / "short").write_text("secret")
    filled = [word.format(shelf=shelf) for word in words]
    result = CliRunner().invoke(app, ["view", *filled])
    assert result.exception is not None
    assert message in str(result.exception)


def test_a_site_holds_the_newest_forecast_whole(shelf: Path, tmp_path: Path) -> None:
    out = tmp_path / "runs" / "site"
    words = ["export-site", str(out), "--forecasts", str(shelf / "forecasts")]
    for _ in range(2):  # the second takes the place of the first
        result = CliRunner().invoke(app, words)
        assert result.exit_code == 0, result.output
        assert result.stdout.strip() == str(out / "index.html")
    index = json.loads((out / "data/index.json").read_text())
    assert index["static"] is True
    assert [one["id"] for one in index["forecasts"]] == [FORECAST]
    assert len(list((out / "data" / FORECAST / "rate").iterdir())) == LEADS
    assert list(tmp_path.glob("runs/.*")) == []


def test_what_a_service_has_published_is_shown_in_its_latest_version(
    shelf: Path, tmp_path: Path
) -> None:
    layout = Layout(tmp_path)
    for folder in layout.folders:
        folder.mkdir(parents=True)
    for cycle, rung in (("20260601T1200Z", "persistence"), ("20260601T1200Z.v2", "mim")):
        _publish(layout, cycle, rung, shelf / "forecasts/mim/20260601T1200Z.nc")
    layout.latest.symlink_to("published/20260601T1200Z.v2")
    (layout.published / "20260601T1205Z").mkdir()  # without a manifest: not whole
    library = library_of(tmp_path)
    assert isinstance(library, PublishedLibrary)
    assert [(one.id, one.rung) for one in library.listed()] == [("20260601T1200Z.v2", "mim")]
    assert feed_of(library) == "cf"


def _publish(layout: Layout, cycle: str, rung: str, file: Path) -> None:
    folder = layout.published / cycle
    folder.mkdir()
    shutil.copy(file, folder)
    told = Manifest(
        cycle=cycle,
        version=int(cycle.partition(".v")[2] or 1),
        issued="2026-06-01T12:00:00Z",
        created="2026-06-01T12:01:00Z",
        domain="test",
        feed="cf",
        source=f"{rung}: for tests",
        rung=rung,
        degraded_reason="",
        input_sha256="",
        model_sha256="",
        config_sha256="",
        inputs={},
        files={file.name: FileSum(file.stat().st_size, "")},
    )
    (folder / MANIFEST).write_text(told.to_json())
