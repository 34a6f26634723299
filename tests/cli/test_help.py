"""What the help promises: it is quick, it loads little, and its examples run."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from nowcast.cli.app import app

HEAVY = (
    *("torch", "cartopy", "pysteps", "xarray", "matplotlib", "netCDF4", "pandas"),
    *("httpx", "lxml", "tenacity", "fastapi", "uvicorn"),
)
# The examples of fetch ask servers: they run in tests/fetch, against one on this machine. Those of
# benchmark run in tests/benchmark, those of the service in tests/service/test_skill_command.py and
# test_serve_command.py; the viewer's commands run in tests/web.
OUTSIDE = {"fetch", "benchmark", "skill", "serve", "replay", "view", "export-site"}
# What the examples call files that are too long to name.
NAMES = {
    "PLACES": "stations/locations.csv.gz",
    "GAUGES": "radar/openmrg/20150827/openMRG_city_gauges_20150827.nc",
}


# The commands in the order of their examples, which use what earlier ones of the chain wrote.
FORECASTING = (
    *("feeds", "sources", "inspect", "run", "hindcast", "verify", "verify-gauges"),
    *("render", "points"),
)
LEARNING = ("train", "decide", "doctor", "demo")


def examples(chain: Sequence[str]) -> list[str]:
    """Every ``nowcast ...`` line in the help of the commands, in the order of the commands."""
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    assert set(commands) - OUTSIDE == {*FORECASTING, *LEARNING}
    found = []
    for name in chain:
        lines = re.findall(r"^ *(nowcast .+)$", commands[name].callback.__doc__ or "", re.MULTILINE)
        assert lines, f"{name} has no example in its help"
        found += lines
    return found


def help_texts(group: Any, name: str = "nowcast") -> Iterator[tuple[str, str]]:
    """Every command by its whole name, also those within others, and what its help says."""
    for word, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from help_texts(command, f"{name} {word}")
        else:
            yield f"{name} {word}", command.help or ""


def test_every_command_has_an_example() -> None:
    told = dict(help_texts(typer.main.get_command(app)))
    assert "nowcast serve" in told
    assert "nowcast benchmark list" in told
    without = [
        name
        for name, text in told.items()
        if not re.search(rf"^ *{name}( .+)?$", text, re.MULTILINE)
    ]
    assert without == []


@pytest.mark.parametrize("chain", [FORECASTING, LEARNING], ids=["forecasting", "learning"])
def test_every_example_runs(
    chain: Sequence[str], shared_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("times.txt").write_text("2015-05-15T17:20Z\n")
    for example in examples(chain):
        filled = example.replace("DATA", str(shared_data)).replace("TIMES", "times.txt")
        for word, name in NAMES.items():
            filled = filled.replace(word, str(shared_data / name))
        result = CliRunner().invoke(app, shlex.split(filled)[1:])
        assert result.exit_code == 0, f"{example}\n{result.output}\n{result.exception!r}"
        assert result.stdout.strip(), f"{example} reports nothing"


def test_help_loads_nothing_heavy() -> None:
    code = (
        f"import sys, nowcast.cli.app; print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_importing_any_module_prints_nothing() -> None:
    code = (
        "import importlib, pkgutil, nowcast, mim_core, config, stations\n"
        "for package in (nowcast, mim_core, config, stations):\n"
        "    for module in pkgutil.walk_packages(package.__path__, package.__name__ + '.'):\n"
        "        if not module.name.endswith('__main__'):\n"
        "            importlib.import_module(module.name)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == ""


def test_version() -> None:
    result = CliRunner().invoke(app, ["--version"])
    assert re.fullmatch(r"nowcast \d+\.\d+\.\d+\n", result.stdout)
