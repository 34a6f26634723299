"""``nowcast skill``: the examples of its help run, and say what the sums say."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from skill_samples import NOON, STEP, field, invented
from typer.testing import CliRunner

from config.service import read_settings
from nowcast.build_operators import store_of
from nowcast.cli.app import app
from nowcast.cli.skill import skill
from nowcast.field.errors import MissingFramesError, UsageError
from nowcast.service.skill.store import Decision

SETTINGS = (
    'schema_version = 1\n[service]\ndata = "nowcast-data"\n'
    '[feed]\nname = "knmi"\nfolder = "incoming"\n'
)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which a service has scored four cycles."""
    monkeypatch.chdir(tmp_path)
    Path("service.toml").write_text(SETTINGS)
    data = read_settings(tmp_path / "service.toml").service.data
    (data / "state").mkdir(parents=True)
    for k in range(4):
        truth = np.stack([field(3 * k), field(3 * k + 1)])
        rates = {"mim": truth * 0.5, "persistence": truth * 0}
        store_of(data).add(invented(NOON + k * STEP, rates, truth))
    return tmp_path


@pytest.mark.usefixtures("home")
def test_its_examples_run() -> None:
    examples = re.findall(r"^ *(nowcast skill .+)$", skill.__doc__ or "", re.MULTILINE)
    assert len(examples) == 2
    for example in examples:
        result = CliRunner().invoke(app, shlex.split(example)[1:])
        assert result.exit_code == 0, f"{example}\n{result.output}\n{result.exception!r}"
        assert "mim" in result.stdout


def test_it_says_what_is_preferred_and_why(home: Path) -> None:
    store_of(home / "nowcast-data").decide(Decision(NOON, "extrapolation", "it was worse"))
    result = CliRunner().invoke(app, ["skill", "--data", "nowcast-data", "--json"])
    told = json.loads(result.stdout)
    assert (told["preferred"], told["why"]) == ("extrapolation", "it was worse")
    rows = [row for row in told["scores"] if row["score"] == "mae" and row["method"] == "mim"]
    assert [row["lead_minutes"] for row in rows] == [5.0, 10.0]
    assert all(row["cycles"] == 4 and row["value"] > 0 for row in rows)


def test_nothing_to_say(tmp_path: Path) -> None:
    with pytest.raises(MissingFramesError, match="nothing has been scored yet"):
        CliRunner().invoke(app, ["skill", "--data", str(tmp_path)], catch_exceptions=False)
    with pytest.raises(UsageError, match="give --config FILE or --data DIR"):
        CliRunner().invoke(app, ["skill"], catch_exceptions=False)
