"""What plugs into the service from outside: listeners, what follows a tick, and chores."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Event:
    """Something that happened.

    Attributes:
        kind: two words, as ``frame accepted``, ``cycle published``, ``child died``; all kinds are
            listed in docs/service.md.
        cycle: the cycle it belongs to (``20260601T1225Z``), empty for none.
        facts: what else there is to say, by name.

    """

    kind: str
    cycle: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Status:
    """How the service stands after a tick; what health answers and metrics are made from.

    Attributes:
        now: the service's time (UTC).
        tick: the monotonic time (s) at which the tick was done, and ``tick_seconds`` it took.
        newest_frame: valid time of the newest accepted frame, None before the first.
        last_cycle: the newest published cycle, empty before the first.
        last_publish: the service's time at which something was published last in this process.
        rung: the step of the ladder that the newest published cycle came from.
        states: cycles by state; frames: frames by status.
        waiting_files: files that are seen but not yet taken or refused.
        clock_suspect: what makes the wall clock doubtful, empty where nothing does.
        busy: the cycle that is being forecast, empty for none.
        looking: whether a file is being looked into.

    """

    now: np.datetime64
    tick: float
    tick_seconds: float
    newest_frame: np.datetime64 | None = None
    last_cycle: str = ""
    last_publish: np.datetime64 | None = None
    rung: str = ""
    states: Mapping[str, int] = field(default_factory=dict)
    frames: Mapping[str, int] = field(default_factory=dict)
    waiting_files: int = 0
    clock_suspect: str = ""
    busy: str = ""
    looking: bool = False


Listener = Callable[[Event], None]
AfterTick = Callable[[Status], None]


class Chore(Protocol):
    """Work of low priority: it is asked one piece at a time while no live cycle is due."""

    @property
    def name(self) -> str:
        """The chore in logs: ``maps``."""
        ...

    def work(self, now: np.datetime64) -> bool:
        """Do one piece of work, in seconds rather than minutes; whether there was any to do.

        It runs on a thread of its own, so what is heavy or dangerous belongs in ``child.call``. A
        NowcastError is told to the listeners and the chore is asked again after a pause.
        """
        ...


class Preference(Protocol):
    """Which method the skill of late speaks for."""

    def __call__(self, now: np.datetime64) -> tuple[str, str]:
        """The method that the ladder should begin with, and why; two empty texts for no opinion."""
        ...
