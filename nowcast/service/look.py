"""What is done with an arrived file in a child process: it is read and judged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from nowcast.field.errors import SourceError
from nowcast.field.schema import Frames
from nowcast.ingest import decode
from nowcast.ingest.series import series_of

if TYPE_CHECKING:
    from pathlib import Path

    from config.feed import FeedProfile
    from nowcast.service.accepted import Input
    from nowcast.service.quality import Gate


class Seen(NamedTuple):
    """What a file holds: the valid times of its frames, and which series they are of."""

    times: tuple[np.datetime64, ...]
    series: str


@dataclass(frozen=True)
class Look:
    """How files are looked into.

    Attributes:
        profile: how they are read.
        gate: refuses frames that are not fit for use, given the one before; None lets all pass.

    """

    profile: FeedProfile
    gate: Gate | None = None

    def __call__(self, path: Path, stamp: np.datetime64 | None, previous: Input | None) -> Seen:
        """Read a file of which the name says ``stamp``; raises SourceError for what is unfit."""
        reader = decode.reader_of(self.profile)
        frames = reader.read(path, stamp=stamp)
        if self.gate is not None:
            if stamp is not None:
                self.gate.check_times(reader.times(path), stamp)
            self.gate.check_frames(frames, self._before(previous))
        times = tuple(np.datetime64(time, "ns") for time in frames["time"].values)
        return Seen(times, "" if stamp is not None else series_of(path, self.profile) or "")

    def _before(self, frame: Input | None) -> Frames | None:
        """The frame to hold new ones against; none where its file is gone or damaged by now."""
        if frame is None:
            return None
        stamp = frame.valid_time if self.profile.time_format else None
        try:
            frames = decode.reader_of(self.profile).read(frame.path, stamp=stamp)
        except SourceError:
            return None
        return Frames(frames.isel(time=frames["time"].values == frame.valid_time))
