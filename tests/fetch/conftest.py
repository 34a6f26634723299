"""A server on loopback that does what servers do wrong, and sources that point at it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from misbehaving import Server
from offers import Start, Time


@pytest.fixture(autouse=True)
def _no_user_profiles(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NOWCAST_FEEDS", "NOWCAST_SOURCES"):
        monkeypatch.delenv(name, raising=False)
    # No proxy of the machine's may see what tests ask for, nor be taken for their server.
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        yield running


@pytest.fixture
def elsewhere() -> Iterator[Server]:
    """Another server, that no source allows."""
    with Server() as running:
        yield running


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    starting = Start(tmp_path, Time())
    yield starting
    starting.stack.close()
