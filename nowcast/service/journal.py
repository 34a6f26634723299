"""What happens, a line an event, for a person at a terminal."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nowcast.service.hooks import Event


def tell(event: Event) -> None:
    """Write an event to standard error."""
    facts = " ".join(f"{name}={value!s}" for name, value in event.facts.items() if value != "")
    sys.stderr.write(" ".join(filter(None, [event.kind, event.cycle, facts])) + "\n")
