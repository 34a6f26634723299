"""What a cycle is called: ``20260601T1225Z``, and ``20260601T1225Z.v2`` when it is issued again."""

from __future__ import annotations

import re
from typing import NamedTuple

import numpy as np

_NAME = re.compile(r"(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)Z(?:\.v([1-9]\d{0,3}))?")


class CycleId(NamedTuple):
    """Which forecast: its issue time (UTC) and its version; they sort from old to new."""

    issue_time: np.datetime64
    version: int = 1

    def __str__(self) -> str:
        """The cycle as folders are named for it."""
        stamp = f"{self.issue_time.astype('datetime64[s]').item():%Y%m%dT%H%MZ}"
        return stamp if self.version == 1 else f"{stamp}.v{self.version}"


def parse(name: str) -> CycleId | None:
    """The cycle of a folder's name; None for any other name."""
    match = _NAME.fullmatch(name)
    if match is None or match[6] == "1":
        return None
    year, month, day, hour, minute, version = match.groups()
    try:
        time = np.datetime64(f"{year}-{month}-{day}T{hour}:{minute}", "ns")
    except ValueError:
        return None
    return CycleId(time, int(version or 1))
