"""What is done with an arrived file in a child process: it is read and judged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from nowcast.field.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from config.feed import FeedProfile
    from nowcast.field.schema import Frames
    from nowcast.ingest.readers.base import Reader
    from nowcast.service.accepted import Input
    from nowcast.service.quality import Gate


class Seen(NamedTuple):
    """What a file holds: the valid times of its frames, and which series they are of."""

    times: tuple[np.datetime64, ...]
    series: str


def is_whole(seen: object) -> bool:
    """Whether a child's answer has the form of ``Seen``: a file may have taken the child over."""
    return (
        isinstance(seen, Seen)
        and isinstance(seen.series, str)
        and isinstance(seen.times, tuple)
        and bool(seen.times)
        and all(isinstance(time, np.datetime64) and not np.isnat(time) for time in seen.times)
    )


@dataclass(frozen=True)
class Look:
    """How files are looked into.

    Attributes:
        profile: how they are read.
        gate: makes what refuses frames that are not fit for use; None lets all pass.

    """

    profile: FeedProfile
    gate: Callable[[], Gate] | None = None

    def __call__(self, path: Path, stamp: np.datetime64 | None, previous: Input | None) -> Seen:
        """Read a file of which the name says ``stamp``; raises SourceError for what is unfit."""
        reader = self._reader()
        frames = reader.read(path, stamp=stamp)
        if self.gate is not None:
            gate = self.gate()
            if stamp is not None:
                gate.check_times(reader.times(path), stamp)
            gate.check_frames(frames, self._before(previous))
        times = tuple(np.datetime64(time, "ns") for time in frames["time"].values)
        return Seen(times, "" if stamp is not None else self._series(path))

    # Imported in the child: the service itself reads no fields.
    def _reader(self) -> Reader:
        from nowcast.ingest import decode  # noqa: PLC0415

        return decode.reader_of(self.profile)

    def _series(self, path: Path) -> str:
        from nowcast.ingest.series import series_of  # noqa: PLC0415

        return series_of(path, self.profile) or ""

    def _before(self, frame: Input | None) -> Frames | None:
        """The frame to hold new ones against; none where its file is gone or damaged by now."""
        from nowcast.field.schema import as_frames  # noqa: PLC0415

        if frame is None:
            return None
        stamp = frame.valid_time if self.profile.time_format else None
        try:
            frames = self._reader().read(frame.path, stamp=stamp)
        except SourceError:
            return None
        return as_frames(frames.isel(time=frames["time"].values == frame.valid_time))
