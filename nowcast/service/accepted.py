"""The accepted frames as an archive: forecasts and verification read these and no others."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from nowcast.field.errors import MissingFramesError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from config.feed import FeedProfile
    from nowcast.ingest.archive import Archive
    from nowcast.service.frames import Frame


class Input(NamedTuple):
    """A frame that a forecast may rest on: its time, its file's digest, and where that lies."""

    valid_time: np.datetime64
    sha256: str
    path: Path


@dataclass(frozen=True)
class Feed:
    """What the frames are of.

    Attributes:
        profile: how the files are read.
        series: which of several series of the feed.
        cadence_minutes: the time between frames.

    """

    profile: FeedProfile
    series: str
    cadence_minutes: float

    @property
    def cadence(self) -> np.timedelta64:
        """The time between frames."""
        return np.timedelta64(round(self.cadence_minutes * 60e9), "ns")


def inputs(frames: Sequence[Frame], root: Path) -> tuple[Input, ...]:
    """The frames of the ledger as inputs; ``root`` is the service's folder."""
    return tuple(Input(frame.valid_time, frame.sha256, root / frame.path) for frame in frames)


def archive_of(frames: Sequence[Input], feed: Feed, *, folder: Path, now: np.datetime64) -> Archive:
    """An archive of exactly these frames; raises MissingFramesError where there is none."""
    from nowcast.ingest.archive import Archive  # noqa: PLC0415 - loads xarray
    from nowcast.ingest.catalogue import Catalogue, Entry  # noqa: PLC0415

    if not frames:
        raise MissingFramesError(f"{folder}: no accepted frame of feed {feed.profile.name}")
    ordered = sorted(frames)
    named = bool(feed.profile.time_format)
    listed = Catalogue(
        folder=folder,
        series=feed.series,
        times=np.array([frame.valid_time for frame in ordered], dtype="datetime64[ns]"),
        entries=tuple(Entry(0, frame.path, named) for frame in ordered),
    )
    stated = feed.profile.model_copy(update={"cadence_minutes": feed.cadence_minutes})
    return Archive(folder, stated, series=feed.series or None, now=now, listed=listed)
