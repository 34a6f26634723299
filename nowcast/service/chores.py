"""Work of low priority, a piece at a time: only while nothing live is due."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from nowcast.service.hooks import Event

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

    from nowcast.service.clock import Clock
    from nowcast.service.hands import Hand
    from nowcast.service.hooks import Chore, Listener

# How long a chore is let alone that found nothing to do, and one that failed.
_REST_SECONDS = 10.0
_SULK_SECONDS = 60.0


@dataclass
class Chores:
    """Takes the chores in turns.

    Attributes:
        chores: what there is to do.
        hand: does it.
        clock: for pauses.
        heard: is told of chores that fail.

    """

    chores: Sequence[Chore]
    hand: Hand
    clock: Clock
    heard: Listener
    _turn: int = 0
    _doing: Chore | None = None
    _rests: dict[str, float] = field(default_factory=dict)

    def work(self, now: np.datetime64) -> None:
        """Put the last piece away, and begin the next one if there is one."""
        self._put_away()
        if not self.hand.is_free:
            return
        passed = self.clock.monotonic()
        for offset in range(len(self.chores)):
            chore = self.chores[(self._turn + offset) % len(self.chores)]
            if self._rests.get(chore.name, passed) <= passed:
                self._turn += offset + 1
                self._doing = chore
                self.hand.start(partial(chore.work, now))
                self._put_away()
                return

    def _put_away(self) -> None:
        outcome, chore = self.hand.outcome, self._doing
        if outcome is None or chore is None:
            return
        rest = 0.0
        if outcome.error is not None:
            rest = _SULK_SECONDS
            reason = f"{type(outcome.error).__name__}: {outcome.error}"
            self.heard(Event("chore failed", facts={"chore": chore.name, "reason": reason}))
        elif not outcome.result:
            rest = _REST_SECONDS
        self._rests[chore.name] = self.clock.monotonic() + rest
        self.hand.clear()
        self._doing = None
