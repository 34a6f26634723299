"""Broken set-ups of a service, one at a time: the doctor names each, and how to mend it."""

from __future__ import annotations

import json
import os
import shutil
import socket
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from nowcast.diagnose_service import examine_service
from nowcast.field.lock import only_one
from nowcast.forecast.shipped import shipped_weights
from nowcast.service.ledger import Ledger

CANARY = "canary-7f3a-not-to-be-seen"
SETTINGS = """
schema_version = 1
[service]
data = "data"
[feed]
name = "odim"
folder = "incoming"
cadence_minutes = 5
[retention]
free_gib = 0
"""
SOURCE = """
title = "A platform"
feed = "odim"
hosts = ["data.example.org"]
local = "{time:%Y%m%d%H%M}.h5"
[listing]
kind = "knmi"
url = "https://data.example.org/files"
key = { file = "KEY" }
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A set-up in which nothing is wrong, but that no frame has come."""
    for name in ("incoming", "data/state", "data/quarantine"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "service.toml").write_text(SETTINGS)
    return tmp_path


def found(home: Path) -> dict[str, tuple[str, str, str]]:
    return {
        one.check: (one.verdict, one.found, one.mend)
        for one in examine_service(home / "service.toml")
    }


def add(home: Path, text: str) -> None:
    path = home / "service.toml"
    path.write_text(path.read_text() + text)


def swap(home: Path, old: str, new: str) -> None:
    path = home / "service.toml"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))


def newer_ledger(home: Path) -> None:
    path = home / "data/state/ledger.sqlite"
    with Ledger.opened(path):
        pass
    database = sqlite3.connect(path)
    database.execute("PRAGMA user_version = 99")
    database.close()


def damaged_weights(home: Path) -> None:
    content = bytearray(shipped_weights().read_bytes())
    content[-100] ^= 1
    (home / "mine.safetensors").write_bytes(content)
    add(home, '[forecast]\nweights = "mine.safetensors"\n')


def torn_forecast(home: Path) -> None:
    (home / "data/published/20260601T1200Z").mkdir(parents=True)
    (home / "data/latest").symlink_to("published/20260601T1200Z")


def source_with_key(home: Path, *, mode: int) -> None:
    key = home / "key"
    key.write_text(CANARY)
    key.chmod(mode)
    (home / "ours.toml").write_text(SOURCE.replace("KEY", str(key)))
    add(home, f'[[fetch]]\nsource = "{home / "ours.toml"}"\n')


BROKEN: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "no settings": ("settings", lambda home: (home / "service.toml").unlink(), "not a readable"),
    "not TOML": ("settings", lambda home: add(home, "[["), "not a readable TOML"),
    "unknown key": ("settings", lambda home: add(home, "\n[skil]\n"), "skil: unknown key"),
    "wrong value": ("settings", lambda home: swap(home, "= 5", "= -5"), "feed.cadence_minutes"),
    "no version": ("settings", lambda home: swap(home, "= 1\n", "= 2\n"), "schema_version"),
    "data is a file": (
        "data folder",
        lambda home: (shutil.rmtree(home / "data"), (home / "data").write_text("")),
        "data",
    ),
    "disk too small": (
        "data disk",
        lambda home: swap(home, "free_gib = 0", "free_gib = 1e9"),
        "GiB free",
    ),
    "ledger damaged": (
        "ledger",
        lambda home: (home / "data/state/ledger.sqlite").write_bytes(b"x" * 9000),
        "ledger.sqlite",
    ),
    "ledger of a later release": ("ledger", newer_ledger, "ledger.sqlite"),
    "sums damaged": (
        "skill store",
        lambda home: (home / "data/state/skill.sqlite").write_bytes(b"x" * 9000),
        "skill.sqlite",
    ),
    "forecast torn": ("latest forecast", torn_forecast, "no whole manifest"),
    "unknown feed": ("feed", lambda home: swap(home, '"odim"', '"odin"'), "unknown feed 'odin'"),
    "no cadence": ("feed", lambda home: swap(home, "cadence_minutes = 5", ""), "states no cadence"),
    "no feed folder": (
        "feed folder",
        lambda home: (home / "incoming").rmdir(),
        "no such folder",
    ),
    "feed folder empty": ("feed age", lambda home: home, "incoming"),
    "weights absent": (
        "service weights",
        lambda home: add(home, '[forecast]\nweights = "none.safetensors"\n'),
        "none.safetensors",
    ),
    "weights damaged": ("service weights", damaged_weights, "damaged"),
    "no stations": (
        "stations",
        lambda home: add(home, '[products]\nstations = "none.csv"\n'),
        "none.csv: cannot be read",
    ),
    "memory": ("memory", lambda home: add(home, "[forecast]\nmemory_gib = 1e6\n"), "GiB in all"),
    "unknown source": (
        "fetch sources",
        lambda home: add(home, '[[fetch]]\nsource = "knni"\n'),
        "unknown source 'knni'",
    ),
    "source of another feed": (
        "fetch sources",
        lambda home: add(home, '[[fetch]]\nsource = "mrms"\n'),
        "brings files of feed mrms",
    ),
    "key that others may read": (
        "secrets",
        lambda home: source_with_key(home, mode=0o644),
        "chmod 600",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_wrong_is_named_with_its_mend(home: Path, name: str) -> None:
    check, breaking, words = BROKEN[name]
    breaking(home)
    verdict, said, mend = found(home)[check]
    assert verdict == "bad"
    assert words in said + mend
    assert mend


def test_a_sound_set_up(home: Path) -> None:
    """All but the age of a feed that has brought nothing yet."""
    every = found(home)
    assert [check for check, (verdict, *_) in every.items() if verdict == "bad"] == ["feed age"]
    assert len(every) >= 20
    assert sorted(path.name for path in home.rglob("*") if path.is_file()) == ["service.toml"]


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_a_port_that_is_taken(home: Path, taken_port: int) -> None:
    add(home, f"[monitor]\nport = {taken_port}\n")
    verdict, said, mend = found(home)["monitor port"]
    assert (verdict, mend) == ("bad", "set another port")
    assert "in use" in said


def test_a_service_that_works_there_is_no_fault(home: Path) -> None:
    with only_one(home / "data/state/lock", busy="busy"):
        verdict, said, _ = found(home)["lock"]
    assert verdict == "note"
    assert str(os.getpid()) in said


def test_many_refused_files_and_an_unknown_zone(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for k in range(150):
        (home / f"data/quarantine/{k}.reason.json").write_text("{}")
    monkeypatch.setenv("TZ", "Mars/Olympus")
    every = found(home)
    assert every["quarantine"][:2] == ("note", "150 refused files")
    assert every["time zone"][0] == "note"


@pytest.mark.parametrize("mode", [0o600, 0o644])
def test_no_key_is_ever_shown(home: Path, mode: int) -> None:
    source_with_key(home, mode=mode)
    assert CANARY not in json.dumps(found(home))
