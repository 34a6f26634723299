"""What the tests do with a hostile file in a child process."""

from __future__ import annotations

import time
from pathlib import Path
from typing import NamedTuple

from config.feed import FeedProfile
from nowcast.field.errors import SourceError
from nowcast.service.look import Look
from nowcast.service.quality import Gate


class Found(NamedTuple):
    """What became of a file: the error's kind and words, the time (s) and memory (MiB) it took."""

    kind: str
    told: str
    seconds: float
    mebibytes: float


def profile(form: str) -> FeedProfile:
    """A feed without names that reads that format."""
    return FeedProfile.model_validate(
        {
            "name": "hostile",
            "title": "Hostile",
            "unit": "any",
            "grid": "any",
            "reader": {"format": form},
        }
    )


def look(form: str, path: Path) -> Found:
    """Read the file as the service does; the peak of memory counts from here."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # forget the peak so far
    before, begun = _peak(), time.monotonic()
    try:
        seen = Look(profile(form), Gate)(path, None, None)
        kind, told = "accepted", str(seen)
    except SourceError as error:
        kind, told = type(error).__name__, str(error)
    return Found(kind, told, time.monotonic() - begun, _peak() - before)


def _peak() -> float:
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024
