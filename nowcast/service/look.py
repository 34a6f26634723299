"""What is done with an arrived file in a child process: it is read and judged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from nowcast.ingest import decode
from nowcast.ingest.series import series_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from config.feed import FeedProfile
    from nowcast.field.schema import Frames
    from nowcast.service.accepted import Input

    Gate = Callable[[Frames, Frames | None], None]


class Seen(NamedTuple):
    """What a file holds: the valid times of its frames, and which series they are of."""

    times: tuple[np.datetime64, ...]
    series: str


@dataclass(frozen=True)
class Look:
    """How files are looked into.

    Attributes:
        profile: how they are read.
        gate: refuses frames that are not fit for use, given those before them; None lets all pass.

    """

    profile: FeedProfile
    gate: Gate | None = None

    def __call__(self, path: Path, stamp: np.datetime64 | None, previous: Input | None) -> Seen:
        """Read a file of which the name says ``stamp``; raises SourceError for what is unfit."""
        reader = decode.reader_of(self.profile)
        frames = reader.read(path, stamp=stamp)
        if self.gate is not None:
            self.gate(frames, self._read(previous) if previous else None)
        times = tuple(np.datetime64(time, "ns") for time in frames["time"].values)
        return Seen(times, "" if stamp is not None else series_of(path, self.profile) or "")

    def _read(self, frame: Input) -> Frames:
        stamp = frame.valid_time if self.profile.time_format else None
        return decode.reader_of(self.profile).read(frame.path, stamp=stamp)
