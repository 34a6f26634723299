"""How often and when a server is asked again."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, TypeVar

import tenacity

from nowcast.fetch.clocks import Clocks
from nowcast.field.errors import UnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")
_DAY_SECONDS = 86400.0


def retry_after(text: str | None, *, now: dt.datetime) -> float | None:
    """The seconds that a Retry-After header asks for, a day at most; None for no header of use."""
    if not text:
        return None
    if text.strip().isdecimal():
        return min(float(text), _DAY_SECONDS)
    try:
        until = parsedate_to_datetime(text)
        until = until if until.tzinfo else until.replace(tzinfo=dt.UTC)
        return min(max(0.0, (until - now).total_seconds()), _DAY_SECONDS)
    except (ValueError, TypeError, OverflowError):
        return None


@dataclass(frozen=True)
class Patience:
    """Trying again what was unavailable, ever later, a little at random.

    Attributes:
        attempts: in all.
        longest_seconds: of one wait; where a server asks for more, the error is raised at once.
        clocks: let the waits pass.

    """

    attempts: int = 4
    longest_seconds: float = 30.0
    clocks: Clocks = field(default_factory=Clocks)

    def call(self, action: Callable[[], T]) -> T:
        """``action()``; its last UnavailableError where it never answered, others at once."""
        retrying = tenacity.Retrying(
            stop=tenacity.stop_after_attempt(self.attempts),
            wait=self._wait,
            retry=tenacity.retry_if_exception(self._is_worth_it),
            sleep=self.clocks.sleep,
            reraise=True,
        )
        return retrying(action)

    def _is_worth_it(self, error: BaseException) -> bool:
        return (
            isinstance(error, UnavailableError)
            and (error.retry_after_seconds or 0) <= self.longest_seconds
        )

    def _wait(self, state: tenacity.RetryCallState) -> float:
        backoff = tenacity.wait_exponential_jitter(initial=1, max=self.longest_seconds, jitter=1)
        error = state.outcome.exception() if state.outcome else None
        asked = error.retry_after_seconds if isinstance(error, UnavailableError) else None
        return max(float(asked or 0), float(backoff(state)))


@dataclass
class Pace:
    """At most so many requests a minute of one host, and none while it wants to be left alone.

    Attributes:
        requests_per_minute: of one host.
        longest_seconds: what is waited for a host; where it takes longer, an error is raised.
        clocks: tell the seconds, and let some pass.

    """

    requests_per_minute: float = 120.0
    longest_seconds: float = 30.0
    clocks: Clocks = field(default_factory=Clocks)
    _free: dict[str, float] = field(default_factory=dict, repr=False)

    def wait(self, host: str) -> None:
        """Return when the host may be asked; raises UnavailableError where that is far off."""
        now = self.clocks.seconds()
        wait = self._free.get(host, now) - now
        if wait > self.longest_seconds:
            raise UnavailableError(
                f"{host}: wants no request for another {wait:.0f} s", retry_after_seconds=wait
            )
        if wait > 0:
            self.clocks.sleep(wait)
        self._free[host] = max(now, self._free.get(host, now)) + 60 / self.requests_per_minute

    def hold(self, host: str, seconds: float) -> None:
        """Leave the host alone for some time."""
        self._free[host] = max(self._free.get(host, 0.0), self.clocks.seconds() + seconds)
