"""Settings of the service: the example that ships, and what wrong ones are told."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from config.load import ConfigError
from config.service import FetchTable, ServiceSettings, read_settings

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "config" / "service.example.toml"
DOCUMENTED = ROOT / "docs" / "service.md"
SHORTEST = (
    'schema_version = 1\n[service]\ndata = "nowcast-data"\ndomain = "nl"\n'
    '[feed]\nname = "knmi"\nfolder = "incoming"\n'
)


def written(folder: Path, text: str) -> Path:
    path = folder / "service.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_example_is_good_and_its_paths_lie_beside_it() -> None:
    settings = read_settings(EXAMPLE)
    assert settings.service.data == EXAMPLE.parent / "nowcast-data"
    assert settings.feed.folder == EXAMPLE.parent / "incoming"
    assert settings.forecast.methods == ("mim", "extrapolation", "persistence")


def test_the_example_shows_the_defaults(tmp_path: Path) -> None:
    """As it says of itself: what is left out has the value shown."""
    shortest = read_settings(written(tmp_path, SHORTEST))
    example = read_settings(written(tmp_path, EXAMPLE.read_text(encoding="utf-8")))
    assert example == shortest


def test_every_key_is_documented_with_its_default() -> None:
    lines = re.findall(
        r"^\| `(\w+\.\w+)` \| (.+?) \|", DOCUMENTED.read_text(encoding="utf-8"), re.MULTILINE
    )
    assert sorted(key for key, _ in lines) == sorted(known())
    said = {key: default_of(words) for key, words in lines}
    assert said == {
        key: "must" if info.is_required() else info.default for key, info in known().items()
    }


def known() -> dict[str, FieldInfo]:
    """Every ``table.key`` of the settings."""
    tables = {name: info.annotation for name, info in ServiceSettings.model_fields.items()}
    tables["fetch"] = FetchTable
    return {
        f"{name}.{key}": info
        for name, table in tables.items()
        if isinstance(table, type) and issubclass(table, BaseModel)
        for key, info in table.model_fields.items()
    }


def default_of(words: str) -> object:
    """What a cell of the documentation says: ``must``, ``none``, or a value of TOML."""
    if words in ("must", "none"):
        return None if words == "none" else words
    value = tomllib.loads(f"value = {words.strip('`')}")["value"]
    return tuple(value) if isinstance(value, list) else value


def test_what_the_example_only_hints_at_is_a_setting(tmp_path: Path) -> None:
    hinted = re.sub(r"^# (?=\w+ = )", "", EXAMPLE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    settings = read_settings(written(tmp_path, hinted))
    assert settings.products.stations == tmp_path / "stations.csv"


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ("[servce]\n", "servce: unknown key; did you mean service?"),
        ("[forecast]\nleads = 0\n", "forecast.leads: expected: greater than or equal to 1"),
        ('[forecast]\nmethods = ["mimm"]\n', "forecast.methods.0: expected: 'mim', "),
        ("[forecast]\nlead = 3\n", "forecast.lead: unknown key; did you mean leads?"),
        ("[retention\n", "not a readable TOML file"),
    ],
)
def test_a_wrong_key_is_named(tmp_path: Path, wrong: str, told: str) -> None:
    path = written(tmp_path, SHORTEST + wrong)
    with pytest.raises(ConfigError, match=re.escape(told)) as caught:
        read_settings(path)
    assert str(caught.value).startswith(str(path))


def test_a_secret_in_the_wrong_place_is_not_shown(tmp_path: Path) -> None:
    path = written(tmp_path, SHORTEST + '[monitor]\nport = "eyJvcmciOiI1ZTU1NGUx"\n')
    with pytest.raises(ConfigError, match=r"monitor\.port") as caught:
        read_settings(path)
    assert "eyJ" not in str(caught.value)


def test_one_folder_for_both_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, SHORTEST.replace("incoming", "nowcast-data"))
    with pytest.raises(ConfigError, match="are the same folder: give two"):
        read_settings(path)
