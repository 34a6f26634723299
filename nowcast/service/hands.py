"""Hands that work beside the tick, each on one thing at a time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

Wake = Callable[[], None]


class Outcome(NamedTuple):
    """What came of a piece of work: its result, or the error that it ended with."""

    result: Any
    error: Exception | None


class Hand(Protocol):
    """Takes one piece of work; the tick looks now and then whether it is done."""

    @property
    def is_free(self) -> bool:
        """Whether it can take a piece of work: none is being done, and no outcome lies there."""
        ...

    @property
    def outcome(self) -> Outcome | None:
        """What came of the work, until it is cleared; None while there is nothing."""
        ...

    @property
    def busy_seconds(self) -> float:
        """How long the work has been going on, in real time; 0 for none."""
        ...

    def start(self, work: Callable[[], Any]) -> None:
        """Begin a piece of work; only when free."""
        ...

    def clear(self) -> None:
        """Put the outcome away, or give up on work that hangs: its outcome will count no more."""
        ...


@dataclass
class InlineHand:
    """Does the work at once, in the tick: for replays as fast as can be, and for tests."""

    outcome: Outcome | None = None
    busy_seconds: float = 0.0

    @property
    def is_free(self) -> bool:
        """Whether no outcome lies there."""
        return self.outcome is None

    def start(self, work: Callable[[], Any]) -> None:
        """Do it."""
        self.outcome = _done(work)

    def clear(self) -> None:
        """Put the outcome away."""
        self.outcome = None


@dataclass
class ThreadHand:
    """Does the work on a thread, and wakes the service when it is done."""

    name: str
    wake: Wake
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _turn: int = 0
    _began: float | None = None
    _outcome: Outcome | None = None

    @property
    def is_free(self) -> bool:
        """Whether nothing is being done, and no outcome lies there."""
        with self._lock:
            return self._began is None and self._outcome is None

    @property
    def outcome(self) -> Outcome | None:
        """What came of the work."""
        with self._lock:
            return self._outcome

    @property
    def busy_seconds(self) -> float:
        """How long the work has been going on."""
        with self._lock:
            return 0.0 if self._began is None else time.monotonic() - self._began

    def start(self, work: Callable[[], Any]) -> None:
        """Begin it on a thread that does not keep the process alive."""
        with self._lock:
            self._turn += 1
            self._began = time.monotonic()
            turn = self._turn
        thread = threading.Thread(target=self._run, args=(work, turn), name=self.name, daemon=True)
        thread.start()

    def clear(self) -> None:
        """Put the outcome away, or turn away from what is being done."""
        with self._lock:
            self._turn += 1
            self._began = self._outcome = None

    def _run(self, work: Callable[[], Any], turn: int) -> None:
        outcome = _done(work)
        with self._lock:
            if turn != self._turn:
                return
            self._began, self._outcome = None, outcome
        self.wake()


def _done(work: Callable[[], Any]) -> Outcome:
    try:
        return Outcome(work(), None)
    except Exception as error:  # noqa: BLE001 - carried to the tick, which tells of it
        return Outcome(None, error)
