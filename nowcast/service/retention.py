"""What goes when it is old, or when the disk is nearly full; the newest forecast never does."""

from __future__ import annotations

import shutil
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nowcast.service import published
from nowcast.service.hooks import Event
from nowcast.service.names import parse
from nowcast.service.spool import REASON

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from nowcast.service.cycles import Cycles
    from nowcast.service.frames import Frames
    from nowcast.service.hooks import Listener
    from nowcast.service.names import CycleId
    from nowcast.service.publish import Publisher

# So many folders go at a time: a tick must be short.
_AT_A_TIME = 20


@dataclass
class Retention:
    """Takes away what is too old.

    Attributes:
        publisher: holds the folders.
        frames, cycles: the ledger's pages.
        keep: the age at which forecasts, maps and frames go.
        keep_rows: the age at which rows of the ledger go.
        quarantine_files: how many refused files are kept.
        free_bytes: below so much free space forecasts go earlier, oldest first.
        reach: how far before a forecast its frames lie.
        heard: is told of what goes for want of space.

    """

    publisher: Publisher
    frames: Frames
    cycles: Cycles
    keep: np.timedelta64
    keep_rows: np.timedelta64
    quarantine_files: int
    free_bytes: int
    reach: np.timedelta64
    heard: Listener

    def tidy(self, now: np.datetime64) -> None:
        """Take away what is too old; raises ProductError and LedgerError."""
        layout = self.publisher.layout
        there = published.cycles(layout)
        going = list(self._going(there, now))
        for cycle in going:
            self.publisher.remove(layout.maps / str(cycle))
            self.publisher.remove(layout.published / str(cycle))
        kept = [cycle.issue_time for cycle in there if cycle not in set(going)]
        self._drop_frames(before=min([now - self.keep, *kept]) - self.reach)
        self._drop_maps_without_forecast()
        self._thin_quarantine()
        self.cycles.forget(now - self.keep_rows)
        self.frames.forget(now - self.keep_rows)

    def _going(self, there: list[CycleId], now: np.datetime64) -> Iterable[CycleId]:
        """The forecasts to take away, oldest first; never the newest."""
        old = [cycle for cycle in there[:-1] if now - cycle.issue_time > self.keep]
        if old or not there:
            return old[:_AT_A_TIME]
        free = shutil.disk_usage(self.publisher.layout.root).free
        if free >= self.free_bytes:
            return []
        early = there[:-1][:_AT_A_TIME]
        if early:
            facts = {"free_bytes": free, "forecasts": len(early)}
            self.heard(Event("disk short", facts=facts))
        return early

    def _drop_frames(self, *, before: np.datetime64) -> None:
        gone = [path for path in self._folder("frames") if _time(path.name) < before]
        for path in sorted(gone)[:_AT_A_TIME]:
            self.publisher.remove(path)

    def _drop_maps_without_forecast(self) -> None:
        layout = self.publisher.layout
        for path in self._folder("maps"):
            if not (layout.published / path.name).is_dir():
                self.publisher.remove(path)

    def _thin_quarantine(self) -> None:
        notes = sorted(path for path in self._folder("quarantine") if path.name.endswith(REASON))
        for note in notes[: max(0, len(notes) - self.quarantine_files)]:
            for path in (note.with_name(note.name.removesuffix(REASON)), note):
                self.publisher.remove(path)

    def _folder(self, name: str) -> list[Path]:
        folder: Path = getattr(self.publisher.layout, name)
        with suppress(FileNotFoundError):
            return list(folder.iterdir())
        return []


def _time(name: str) -> np.datetime64:
    """The time that a folder of ``frames`` is named for; never, for a foreign name."""
    found = parse(name.partition(".")[0])
    return found.issue_time if found else np.datetime64("9999-01-01", "s")
