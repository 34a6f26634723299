"""The service's time: the wall clock as long as it can be believed.

A clock that steps must not make the service skip what is due, nor issue what is not. Between ticks
the monotonic clock says how much time passed. Where the wall clock disagrees it is in doubt, and
the service keeps its own time until frames that arrive tell which of the two is right. Where they
fit neither, as after a start with a wrong clock, the frames themselves are the clock.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from nowcast.service.clock import in_seconds, seconds

if TYPE_CHECKING:
    from collections.abc import Iterable

    from nowcast.service.clock import Clock

# More than this between two ticks is no drift but a step.
STEP = np.timedelta64(30, "s")
# A radar's clock may be ahead of ours by this much.
AHEAD = np.timedelta64(2, "m")
# So near to the frames the wall clock is taken again.
NEAR = np.timedelta64(10, "m")
# Frames that follow each other within this are one story, and no stray names.
TOGETHER = np.timedelta64(45, "m")


@dataclass
class SteadyClock:
    """The time of a service.

    Attributes:
        clock: the machine's.
        late: how late a frame may come.
        suspect: what makes the wall clock doubtful; empty where nothing does.

    """

    clock: Clock
    late: np.timedelta64
    suspect: str = ""
    _time: np.datetime64 = field(init=False)
    _passed: float = field(init=False)
    _odd: np.datetime64 | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self._time, self._passed = self.clock.now(), self.clock.monotonic()

    def now(self) -> np.datetime64:
        """The time (UTC); to be asked once a tick."""
        wall, passed = self.clock.now(), self.clock.monotonic()
        self._time = self._time + seconds(passed - self._passed)
        self._passed = passed
        apart = wall - self._time
        if abs(apart) <= STEP:
            self._time, self.suspect = wall, ""
        elif not self.suspect:
            self.suspect = f"the wall clock stepped by {in_seconds(apart):+.0f} s"
        return self._time

    def hear(self, arrived: Iterable[np.datetime64]) -> None:
        """Take the valid times of frames that have just arrived as evidence of what time it is."""
        for time in sorted(arrived):
            self._weigh(time)

    def _weigh(self, time: np.datetime64) -> None:
        wall = self.clock.now()
        if self.suspect and self._fits(wall, time):
            nearer = wall - time < self._time - time or not self._fits(self._time, time)
            if nearer or abs(wall - self._time) < NEAR:
                self._time, self.suspect, self._odd = wall, "", None
                return
        if self._fits(self._time, time):
            self._odd = None
        elif self._odd is not None and abs(time - self._odd) <= TOGETHER and time != self._odd:
            # The second one in a row: no stray name.
            self._time, self._odd = max(time, self._odd), None
            self.suspect = "the wall clock fits no frame: their times are the clock"
        else:
            self._odd = time

    def _fits(self, now: np.datetime64, time: np.datetime64) -> bool:
        """Whether a frame of that time may arrive now."""
        return bool(-AHEAD <= now - time <= self.late)
