"""Files of gauges, and folders of them, read again when they change."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from nowcast.field.errors import NowcastError
from nowcast.ingest.gauges import Stamp, matches, read_gauges

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from nowcast.field.gauges import Gauges

_LOG = logging.getLogger(__name__)
_Version = tuple[int, int]  # of a file: when it was written, and its size


@dataclass(frozen=True, eq=False)
class GaugeFiles:
    """Where readings of gauges come from; without a path, from nowhere.

    Attributes:
        paths: files, and folders whose files of gauges count, at any depth.
        interval_minutes, stamp: as ``read_gauges`` takes them.

    """

    paths: tuple[Path, ...] = ()
    interval_minutes: float | None = None
    stamp: Stamp = "end"
    _kept: dict[Path, tuple[_Version, Gauges | None]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def sets(self) -> list[Gauges]:
        """The gauges of every file as it is now.

        A file that cannot be read any more counts as it was before: it may be half written. Raises
        what ``read_gauges`` does for a file that never could be read, unless it lies in a folder.
        """
        with self._lock:
            found = [self._read(path, named=path in self.paths) for path in self._files()]
        return [gauges for gauges in found if gauges is not None]

    def _files(self) -> Iterator[Path]:
        for path in self.paths:
            if path.is_dir():
                yield from sorted(one for one in path.rglob("*") if one.is_file())
            else:
                yield path

    def _read(self, path: Path, *, named: bool) -> Gauges | None:
        before, kept = self._kept.get(path, (None, None))
        version = _version(path)
        if version == before:
            return kept
        try:
            gauges = self._gauges(path) if named or matches(path) else None
        except NowcastError as error:
            if named and kept is None:
                raise
            _LOG.warning("gauges not read again: %s", error)
            gauges = kept
        self._kept[path] = version, gauges
        return gauges

    def _gauges(self, path: Path) -> Gauges:
        return read_gauges(path, interval_minutes=self.interval_minutes, stamp=self.stamp)


def _version(path: Path) -> _Version:
    try:
        written = path.stat()
    except OSError:  # it has gone: whoever reads it says so
        return -1, -1
    return written.st_mtime_ns, written.st_size
