"""The commands of the README run, in its order, on real data."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from nowcast.cli.app import app

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def commands() -> list[str]:
    """The ``nowcast`` and ``echo`` lines of the README's code blocks."""
    blocks = re.findall(r"^```\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    lines = [line.strip() for block in blocks for line in block.splitlines()]
    return [line for line in lines if line.startswith(("nowcast ", "echo "))]


def test_every_command_runs(
    shared_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ran = []
    for command in commands():
        words = shlex.split(command.replace("DATA", str(shared_data)))
        if words[0] == "echo":
            text, _, name = words[1:]
            Path(name).write_text(f"{text}\n", encoding="utf-8")
            continue
        result = CliRunner().invoke(app, words[1:])
        assert result.exit_code == 0, f"{command}\n{result.output}\n{result.exception!r}"
        ran.append(words[1])
    assert {"feeds", "inspect", "run", "render", "hindcast", "verify", "train"} <= set(ran)
    assert (tmp_path / "runs/past/scores.csv").is_file()


def test_the_python_example_runs(shared_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(shared_data / "radar/knmi/2010/08")
    (code,) = re.findall(r"^```python\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    names: dict[str, object] = {}
    exec(code, names)
    assert names["radar"]["rainfall_rate"].dims == ("time", "y", "x")  # type: ignore[index]


def test_the_profile_example_is_a_profile(tmp_path: Path) -> None:
    from config.feed import FEEDS

    (text,) = re.findall(r"^```toml\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    path = tmp_path / "ours.toml"
    path.write_text(text, encoding="utf-8")
    assert FEEDS.read(path).match("composite_202606011200.h5")


def test_pictures_and_pages_that_the_readme_names_are_there() -> None:
    targets = re.findall(r"\]\((?!http)([^)#]+)\)", README)
    assert targets
    assert [target for target in targets if not (ROOT / target).exists()] == []
