"""Decoded frames, kept as long as there is room."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Hashable

    import numpy as np
    from numpy.typing import NDArray

    from nowcast.field.grid import Grid

HALF_A_GIBIBYTE = 512 * 2**20


class Frame(NamedTuple):
    """A decoded frame: its rain rate (mm h-1), (y, x), not to be written to; grid; attributes."""

    rate: NDArray[np.float32]
    grid: Grid
    attrs: dict[str, Any]


class FrameCache:
    """The frames used last, of at most ``limit_bytes`` together; a larger frame is not kept.

    Safe to share between threads. A copy sent to another process starts empty.
    """

    def __init__(self, limit_bytes: int = HALF_A_GIBIBYTE) -> None:
        self.limit_bytes = limit_bytes
        self._frames: OrderedDict[Hashable, Frame] = OrderedDict()
        self._size = 0
        self._lock = threading.Lock()

    def get(self, key: Hashable) -> Frame | None:
        """The frame kept under that key, if it still is."""
        with self._lock:
            frame = self._frames.get(key)
            if frame is not None:
                self._frames.move_to_end(key)
            return frame

    def put(self, key: Hashable, frame: Frame) -> None:
        """Keep a frame, at the cost of those not used for the longest time."""
        frame.rate.flags.writeable = False
        with self._lock:
            replaced = self._frames.pop(key, None)
            self._size += frame.rate.nbytes - (replaced.rate.nbytes if replaced else 0)
            self._frames[key] = frame
            while self._size > self.limit_bytes:
                _, oldest = self._frames.popitem(last=False)
                self._size -= oldest.rate.nbytes

    def __len__(self) -> int:
        return len(self._frames)

    def __reduce__(self) -> tuple[type[FrameCache], tuple[int]]:
        return FrameCache, (self.limit_bytes,)
