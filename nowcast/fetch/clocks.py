"""Time as a value: what tells it, and what lets it pass."""

from __future__ import annotations

import datetime as dt
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


@dataclass(frozen=True)
class Clocks:
    """The clocks of this machine, or others.

    Attributes:
        now: the time of day (UTC).
        seconds: a clock that nobody sets.
        sleep: lets some of its seconds pass.

    """

    now: Callable[[], dt.datetime] = _now
    seconds: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
