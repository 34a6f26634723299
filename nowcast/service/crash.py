"""Named places at which a test may kill the process, to see that the next one goes on.

``NOWCAST_CRASH_AT=publish.after_rename`` kills at the first passage, ``...:3`` at the third.
"""

from __future__ import annotations

import os
import signal

VARIABLE = "NOWCAST_CRASH_AT"
# In the order in which a frame and its cycle pass them.
POINTS = (
    "frame.copied",
    "frame.kept",
    "frame.accepted",
    "cycle.planned",
    "cycle.claimed",
    "forecast.made",
    "publish.before_manifest",
    "publish.after_manifest",
    "publish.after_sync",
    "publish.after_rename",
    "publish.before_latest",
    "publish.after_latest",
    "cycle.finished",
    "maps.before_manifest",
    "maps.after_manifest",
    "maps.after_sync",
    "maps.after_rename",
    "retention.set_aside",
)
_passed: dict[str, int] = {}


def at(point: str) -> None:
    """Die here, without a word or a finally, where the environment says so."""
    name, _, count = os.environ.get(VARIABLE, "").partition(":")
    if name != point:
        return
    _passed[point] = _passed.get(point, 0) + 1
    if _passed[point] == int(count or 1):
        os.kill(os.getpid(), signal.SIGKILL)
