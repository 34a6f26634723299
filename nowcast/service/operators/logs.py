"""What happens, a line an event: JSON for machines, colours for a person at a terminal.

Every line of a cycle carries its name, and no line carries a secret.
"""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Any, Literal, TextIO

import structlog

from nowcast.service.operators.redaction import redacted_value

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from structlog.typing import Processor

    from nowcast.service.hooks import Event

Form = Literal["json", "console", "auto"]
# Kinds of events that an operator should see first; the others are told as information.
_ERRORS = frozenset({"cycle failed", "tick failed", "stalled", "hand hung", "disk short"})
_WARNINGS = frozenset(
    {
        "cycle degraded",
        "cycle expired",
        "cycle put off",
        "chore failed",
        "child died",
        "rung failed",
        "frame rejected",
        "fetcher ended",
        "step failed",
        "maps failed",
        "watch failed",
        "lead not scored",
        "rival lacking",
    }
)


def set_up(form: Form = "auto", *, stream: TextIO | None = None) -> None:
    """Let events, and what libraries log, go to ``stream`` (standard error), a line each.

    ``auto`` writes JSON unless the stream is a terminal. To be called once, where the program
    begins: it sets the process's logging.
    """
    target = stream or sys.stderr
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
        structlog.processors.format_exc_info,
        _redact,
    ]
    is_console = form == "console" or (form == "auto" and target.isatty())
    last: Processor = (
        structlog.dev.ConsoleRenderer(timestamp_key="time")
        if is_console
        else structlog.processors.JSONRenderer(default=str)
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(target)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, last],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    # They log addresses at every request.
    for library in ("httpx", "httpcore", "apscheduler"):
        logging.getLogger(library).setLevel(logging.WARNING)


def tell(event: Event) -> None:
    """Write an event, with the cycle that it belongs to."""
    facts = {
        "event_" if name == "event" else name: value
        for name, value in event.facts.items()
        if value != ""
    }
    cycle = {"cycle": event.cycle} if event.cycle else {}
    with structlog.contextvars.bound_contextvars(**cycle):
        structlog.get_logger("nowcast").log(_level(event.kind), event.kind, **facts)


def _level(kind: str) -> int:
    if kind in _ERRORS:
        return logging.ERROR
    return logging.WARNING if kind in _WARNINGS else logging.INFO


def _redact(
    logger: Any,  # noqa: ARG001 - of the seam
    method: str,  # noqa: ARG001
    line: MutableMapping[str, Any],
) -> MutableMapping[str, Any]:
    """Every value as it may be shown; structlog's own keys begin with an underscore."""
    return {
        name: value if name.startswith("_") else redacted_value(value, name=name)
        for name, value in line.items()
    }
