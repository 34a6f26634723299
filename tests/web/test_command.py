"""``nowcast view`` and ``nowcast export-site`` as users run them, on files and on a service."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from nowcast.cli import view as commands
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


def examples(command: object) -> list[list[str]]:
    """The words after ``nowcast`` of every example in a command's help."""
    lines = re.findall(r"^ *nowcast (.+)$", command.__doc__ or "", re.MULTILINE)
    return [shlex.split(line) for line in lines]


@pytest.mark.slow
def test_every_example_runs(shared_data: Path, tmp_path: Path) -> None:
    """As in the help, on forecasts of the feeds that it names, and a service that has none yet."""
    rain = shared_data / "radar"
    given = {"runs/knmi": ("knmi", rain / "knmi"), "runs/g": ("openmrg", rain / "openmrg/20150827")}
    for out, (feed, archive) in given.items():
        words = ["run", "--feed", feed, "--archive", str(archive), "--out", str(tmp_path / out)]
        words += ["--method", "persistence", "--leads", "2", "--no-maps"]
        assert CliRunner().invoke(app, words).exit_code == 0
    (tmp_path / "service.toml").write_text(
        'schema_version = 1\n[service]\ndata = "data"\n[feed]\nname = "knmi"\nfolder = "incoming"\n'
    )
    gauges = rain / "openmrg/20150827/openMRG_city_gauges_20150827.nc"
    for example in (*examples(commands.view), *examples(commands.export_site)):
        filled = [
            str(gauges) if word == "GAUGES" else word.replace("DATA", str(shared_data))
            for word in example
        ]
        program = [sys.executable, "-m", "nowcast", *filled]
        if example[0] == "export-site":
            subprocess.run(program, cwd=tmp_path, check=True, capture_output=True, timeout=300)
            assert (tmp_path / "runs/site/index.html").is_file()
            continue
        port = int(example[example.index("--port") + 1]) if "--port" in example else 8000
        with subprocess.Popen(program, cwd=tmp_path, stderr=subprocess.PIPE) as running:
            found = _answer(f"http://127.0.0.1:{port}/data/index.json")
            running.terminate()
        assert len(found["forecasts"]) == (0 if "--config" in example else 1)


def _answer(address: str) -> dict[str, Any]:
    until = time.monotonic() + 120
    while time.monotonic() < until:
        try:
            return httpx.get(address, timeout=60).json()
        except httpx.TransportError:
            time.sleep(0.1)
    raise AssertionError(f"no answer from {address}")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["{shelf}/forecasts", "--gauges", "nowhere.csv"], "nowhere.csv: there is no such file"),
        (["{shelf}/forecasts", "--gauges", "{shelf}/frames"], "no file of gauges"),
        (["{shelf}/forecasts", "--stamp", "middle"], "--stamp middle: expected one of end"),
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
    # A page that was opened on the first version goes on with it: it is not listed, but there.
    before = library.find("20260601T1200Z")
    assert before is not None
    assert (before.id, before.rung) == ("20260601T1200Z", "persistence")
    assert library.find("20260601T1205Z") is None
    assert library.find("../published") is None
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
