"""Time as a value: the system's clock, one that runs faster, and one that is set by hand."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

import numpy as np


class Clock(Protocol):
    """What time it is, and how time passes."""

    def now(self) -> np.datetime64:
        """The wall clock (UTC, ns); it may be wrong, and it may step."""
        ...

    def monotonic(self) -> float:
        """Seconds that only ever grow, at the pace of the wall clock."""
        ...


@dataclass(frozen=True)
class SystemClock:
    """The machine's."""

    def now(self) -> np.datetime64:
        """The wall clock (UTC, ns)."""
        return np.datetime64(datetime.now(UTC).replace(tzinfo=None), "ns")

    def monotonic(self) -> float:
        """Seconds since some moment."""
        return time.monotonic()


@dataclass
class SimulatedClock:
    """A clock that begins at ``start`` when it is made and runs ``speed`` times as fast.

    It stands while it is held, and at most ``longest_step`` seconds after it was last let go: so a
    replay that is faster than the machine waits for it.
    """

    start: np.datetime64
    speed: float
    longest_step: float = 60.0
    real: Callable[[], float] = time.monotonic
    _passed: float = 0.0
    _since: float | None = None

    def __post_init__(self) -> None:
        self._since = self.real()

    def now(self) -> np.datetime64:
        """The simulated time (UTC, ns)."""
        return _nanoseconds(self.start) + seconds(self.monotonic())

    def monotonic(self) -> float:
        """Simulated seconds since the start."""
        running = 0.0 if self._since is None else (self.real() - self._since) * self.speed
        return self._passed + min(running, self.longest_step)

    def hold(self, held: bool) -> None:  # noqa: FBT001 - what it says is what is done
        """Let time stand, or go on."""
        self._passed, self._since = self.monotonic(), None if held else self.real()


@dataclass
class ManualClock:
    """A clock that stands until it is moved: for replays as fast as can be, and for tests."""

    time: np.datetime64
    passed: float = 0.0

    def now(self) -> np.datetime64:
        """The time it was set to (UTC, ns)."""
        return _nanoseconds(self.time)

    def monotonic(self) -> float:
        """Seconds that it was advanced by."""
        return self.passed

    def advance(self, by_seconds: float) -> None:
        """Let time pass."""
        self.time = self.now() + seconds(by_seconds)
        self.passed += by_seconds

    def step(self, by_seconds: float) -> None:
        """Set the wall clock to another time, as an operator or a time server does."""
        self.time = self.now() + seconds(by_seconds)


def _nanoseconds(time: np.datetime64) -> np.datetime64:
    exact: np.datetime64 = time.astype("datetime64[ns]")
    return exact


def seconds(count: float) -> np.timedelta64:
    """A span of that many seconds, to the nanosecond."""
    return np.timedelta64(round(count * 1e9), "ns")


def in_seconds(span: np.timedelta64) -> float:
    """A span in seconds."""
    return float(span / np.timedelta64(1, "s"))


def iso(moment: np.datetime64) -> str:
    """A time as the ledger and manifests keep it, to the second: ``2026-06-01T12:25:00Z``."""
    return f"{np.datetime_as_string(moment, unit='s')}Z"


def from_iso(text: str) -> np.datetime64:
    """The time (ns) of ``iso``."""
    return np.datetime64(text.removesuffix("Z"), "ns")
