"""A simulated storm as an episode to learn from."""

from __future__ import annotations

import numpy as np

from nowcast.field import schema
from nowcast.ingest.simulated import Storm
from nowcast.learn.episodes import Episode, episodes_of

START = np.datetime64("2026-06-01T12:00", "ns")
FIVE_MINUTES = np.timedelta64(5, "m")


def episode(storm: Storm, *, frames: int = 12, leads: int = 4) -> Episode:
    """The storm seen every five minutes; samples of three frames and ``leads`` more."""
    radar = storm.radar(start=START, frames=frames)
    (made,) = episodes_of(
        schema.Frames(radar), name="storm", cadence=FIVE_MINUTES, history=3, leads=leads
    )
    return made
