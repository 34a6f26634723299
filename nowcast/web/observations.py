"""What the radar saw: before a forecast was issued, and after, as far as it has come."""

from __future__ import annotations

import dataclasses
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from nowcast.field import schema
from nowcast.field.errors import MissingFramesError, SourceError
from nowcast.products.description import stamp
from nowcast.web.remembered import Remembered

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from nowcast.field.grid import Grid
    from nowcast.ingest.archive import Archive

_RESCAN_SECONDS = 10.0
_FRAMES_BYTES = 256 * 2**20
_NEVER = np.datetime64(0, "ns")


@dataclass
class Observations:
    """The frames of an archive, scanned anew now and then; without an archive, none.

    Attributes:
        archive: where frames are read from.
        find: asked for an archive while there is none: a service's feed is known when it has
            published a forecast.
        monotonic: seconds that only grow.

    """

    archive: Archive | None = None
    find: Callable[[], Archive | None] = lambda: None
    monotonic: Callable[[], float] = time.monotonic
    _scanned: float = -np.inf
    _issued: np.datetime64 = _NEVER
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _rates: Remembered[NDArray[np.float32]] = field(
        default_factory=lambda: Remembered(_FRAMES_BYTES, size=lambda rate: rate.nbytes)
    )

    def around(
        self, issued: np.datetime64, *, past: np.timedelta64, ahead: np.timedelta64
    ) -> dict[str, np.datetime64]:
        """The frames around an issue time, both ends included: time as addresses write it -> time.

        All frames that had come when the forecast was issued are among them, however new it is.
        """
        with self._lock:
            self._look(issued)
            if self.archive is None:
                return {}
            try:
                times = self.archive.times
            except SourceError:  # none has come yet
                return {}
        inside = times[(times >= issued - past) & (times <= issued + ahead)]
        return {stamp(moment): moment for moment in inside}

    def rate(self, moment: np.datetime64, *, grid: Grid) -> NDArray[np.float32]:
        """Rain rate (mm h-1) seen at a time, (y, x) on ``grid``.

        Raises MissingFramesError where there is no such frame, or it lies on another grid.
        """
        return self._rates.get((moment, grid), lambda: self._read(moment, grid))

    def _read(self, moment: np.datetime64, grid: Grid) -> NDArray[np.float32]:
        with self._lock:
            if self.archive is None:
                raise MissingFramesError("no radar frames beside these forecasts")
            frames = self.archive.frames_between(moment, moment)
        if not schema.grid_of(frames).same_as(grid):
            raise MissingFramesError(f"the frame of {stamp(moment)} lies on another grid")
        return np.asarray(frames["rainfall_rate"].values[0])

    def _look(self, issued: np.datetime64) -> None:
        # A page asks once for what a forecast shows: a scan from before its frames came would
        # leave a gap in its past for as long as it is shown.
        is_recent = self.monotonic() - self._scanned <= _RESCAN_SECONDS
        if is_recent and issued <= self._issued:
            return
        self._issued = max(issued, self._issued)
        self._scanned = self.monotonic()
        if self.archive is None:
            self.archive = self.find()
        else:
            self.archive = dataclasses.replace(self.archive)  # keeps decoded frames
