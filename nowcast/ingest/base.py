"""What the rest of the project knows of where radar frames come from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np

    from nowcast.field.schema import Radar


class Source(Protocol):
    """Frames up to a time."""

    def read(self, *, end: np.datetime64, frames: int) -> Radar:
        """At most ``frames`` frames, evenly spaced, the last at ``end``; raises SourceError."""
        ...
