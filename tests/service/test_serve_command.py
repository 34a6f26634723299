"""``nowcast serve`` and ``nowcast replay``: the examples of their help run, on a small feed."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from feed_samples import CADENCE, LIVE_SETTINGS, write_frames
from typer.testing import CliRunner

from nowcast import build_viewer
from nowcast.cli import serve as commands
from nowcast.cli.app import app
from nowcast.service import published
from nowcast.service.layout import Layout


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the settings that the examples name."""
    monkeypatch.chdir(tmp_path)
    Path("service.toml").write_text(LIVE_SETTINGS.format(data="nowcast-data", leads=2))
    return tmp_path


def examples(command: object) -> list[list[str]]:
    """The words after ``nowcast`` of every example in a command's help."""
    lines = re.findall(r"^ *nowcast (.+)$", command.__doc__ or "", re.MULTILINE)
    return [shlex.split(line) for line in lines]


def program(words: list[str]) -> list[str]:
    return [sys.executable, "-m", "nowcast", *words]


def test_the_live_example_serves_until_it_is_told_to_stop(home: Path) -> None:
    live, _ = examples(commands.serve)
    now = np.datetime64(int(time.time()) // 300 * 300, "s").astype("datetime64[ns]")
    write_frames(home / "incoming", count=2, size=16, start=now - CADENCE)
    layout = Layout(home / "nowcast-data")
    with subprocess.Popen(program(live), stderr=subprocess.PIPE, text=True) as running:
        until = time.monotonic() + 60
        while time.monotonic() < until and running.poll() is None:
            latest = published.latest(layout)
            if latest is not None and latest.id.issue_time == now:
                break
            time.sleep(0.1)
        running.terminate()
        _, said = running.communicate(timeout=30)
    assert running.returncode == 0, said
    assert "Traceback" not in said
    found = published.latest(layout)
    assert found is not None
    assert (found.id.issue_time, found.problems()) == (now, [])


def test_the_example_of_a_replay_plays_the_archive(home: Path) -> None:
    _, played = examples(commands.serve)
    start = np.datetime64("2010-08-26T03:00", "ns")
    frames = write_frames(home / "incoming", count=2, size=16, start=start)
    done = subprocess.run(program(played), capture_output=True, text=True, check=False, timeout=90)
    assert done.returncode == 0, done.stderr
    assert "playing 2010-08-26T03:00Z to 2010-08-26T04:00Z" in done.stderr
    cycles = published.cycles(Layout(home / "nowcast-data-replay"))
    assert [cycle.issue_time for cycle in cycles] == [when for when, _ in frames]
    assert not (home / "nowcast-data").exists()


def test_a_published_forecast_is_made_once_more(home: Path) -> None:
    """Played as fast as can be, made again as in the example, and seen by the viewer."""
    when = ("2026-06-01T12:20Z", "2026-06-01T12:25Z")
    write_frames(home / "incoming", count=2, size=16, start=np.datetime64(when[0][:-1], "ns"))
    words = ["serve", "--config", "service.toml", "--replay", *when, "--speed", "0"]
    done = subprocess.run(program(words), capture_output=True, text=True, check=False, timeout=90)
    assert done.returncode == 0, done.stderr
    Path("service.toml").write_text(LIVE_SETTINGS.format(data="nowcast-data-replay", leads=2))
    (again,) = examples(commands.replay)
    result = CliRunner().invoke(app, again)
    assert result.exit_code == 0, f"{result.output}\n{result.exception!r}"
    assert re.search(r"^rainfall_rate [0-9a-f]{16} the same$", result.stdout, re.MULTILINE)
    assert "differs" not in result.stdout

    shown = build_viewer.gallery(None, config=Path("service.toml"))
    names = [one.id for one in shown.library.listed()]
    assert sorted(names) == ["20260601T1220Z", "20260601T1225Z"]
