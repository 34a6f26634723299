"""A service that writes down how long its parts take, in itself and in its children.

    NOWCAST_PROBE=parts.jsonl python -m benchmarks.probe serve --config service.toml

It is ``nowcast`` itself; some functions are timed. A line a call: its part, when it began (seconds
of the wall clock), and how long it took.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from functools import wraps
from importlib import import_module
from typing import Any, NamedTuple

VARIABLE = "NOWCAST_PROBE"


class Part(NamedTuple):
    """A function that is timed: where it is found, and what its time is called."""

    name: str
    module: str
    holder: str
    function: str


# The same in the service and in its children, where each is called.
_PARTS = (
    Part("tick", "nowcast.service.reconcile", "Service", "tick"),
    Part("copy", "nowcast.service.spool", "Spool", "take"),
    Part("publish", "nowcast.service.publish", "Publisher", "publish"),
    Part("look", "nowcast.service.look", "Look", "__call__"),
    Part("make", "nowcast.service.forecasting", "", "make"),
    Part("follow", "nowcast.service.slow", "", "follow"),
)
_PARTS_OF_CHILDREN = (
    Part("history", "nowcast.ingest.archive", "Archive", "read"),
    Part("method", "nowcast.forecast.mim", "Mim", "__call__"),
    Part("method", "nowcast.forecast.extrapolation", "Extrapolation", "__call__"),
    Part("network", "nowcast.forecast.rollout", "", "at_issue_time"),
    Part("gate", "nowcast.service.quality", "Gate", "check_forecast"),
    Part("netcdf", "nowcast.products.netcdf", "NetCdf", "write"),
)


class Spent(NamedTuple):
    """A call: its part, when it began (s, wall clock), and how long it took (s)."""

    part: str
    began: float
    seconds: float

    @property
    def ended(self) -> float:
        """When it was done."""
        return self.began + self.seconds


def read(text: str) -> list[Spent]:
    """The calls of a file that a probed service wrote, in order of their ends."""
    return [Spent(**json.loads(line)) for line in text.splitlines()]


def _note(part: str, began: float, seconds: float) -> None:
    line = json.dumps({"part": part, "began": began, "seconds": seconds}) + "\n"
    with open(os.environ[VARIABLE], "a", encoding="utf-8") as file:  # noqa: PTH123 - one write a line
        file.write(line)


def _timed(part: str, function: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(function)
    def timed(*given: Any, **named: Any) -> Any:
        began, start = time.time(), time.perf_counter()
        result = function(*given, **named)
        if isinstance(result, Iterator):
            return _timed_steps(part, result, began)
        _note(part, began, time.perf_counter() - start)
        return result

    return timed


def _timed_steps(part: str, steps: Iterator[Any], began: float) -> Iterator[Any]:
    """The same steps; the time between them, which is the caller's, does not count."""
    spent = 0.0
    try:
        while True:
            start = time.perf_counter()
            try:
                step = next(steps)
            except StopIteration:
                return
            finally:
                spent += time.perf_counter() - start
            yield step
    finally:  # also where the caller has had enough of them
        _note(part, began, spent)


def watch(parts: tuple[Part, ...]) -> None:
    """Time these functions from now on."""
    for part in parts:
        holder = import_module(part.module)
        holder = getattr(holder, part.holder) if part.holder else holder
        function = getattr(holder, part.function)
        if not hasattr(function, "__wrapped__"):
            setattr(holder, part.function, _timed(part.name, function))


def main() -> None:
    """Be ``nowcast``, with the probe in this process and in the children."""
    from nowcast.service import child  # noqa: PLC0415

    prepare = child.prepare
    child.prepare = lambda *modules, lean=False: prepare(
        *modules, "benchmarks.probe_children", lean=lean
    )
    child.call = _called(child.call)
    watch(_PARTS)
    from nowcast.cli.app import main as nowcast  # noqa: PLC0415

    nowcast()


def watch_in_child() -> None:
    """Time what children do; a child inherits it from the fork server."""
    watch((*_PARTS, *_PARTS_OF_CHILDREN))


def _called(call: Callable[..., Any]) -> Callable[..., Any]:
    """``child.call``, timed under the name of what is called."""

    @wraps(call)
    def called(function: Callable[..., Any], *given: Any, **named: Any) -> Any:
        name = getattr(function, "__name__", type(function).__name__.lower())
        return _timed(f"child {name}", call)(function, *given, **named)

    return called


if __name__ == "__main__":
    main()
