"""What fetching keeps beside the files of a folder, hidden from those who read it."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nowcast.field import atomic
from nowcast.field.lock import only_one

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_PARTS_KEPT_SECONDS = 2 * 86400


@dataclass(frozen=True)
class Room:
    """The corner of a source in the folder that its files go to.

    Attributes:
        folder: of the files.
        source: its name.

    """

    folder: Path
    source: str

    @property
    def history(self) -> Path:
        """The list of fetched files."""
        return self.folder / ".fetch" / f"{self.source}.sqlite"

    @property
    def parts(self) -> Path:
        """The folder of files that are on their way."""
        return self.folder / ".fetch" / self.source

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Have the corner alone; raises BusyError where another process has it, ProductError."""
        atomic.make_folder(self.parts)
        path = self.folder / ".fetch" / f"{self.source}.lock"
        busy = f"{self.folder}: another process fetches {self.source} into it; end it first"
        with only_one(path, busy=busy):
            self._tidy()
            yield

    def _tidy(self) -> None:
        """Remove parts that nobody went on with."""
        for path in self.parts.iterdir():
            with contextlib.suppress(OSError):
                if time.time() - path.stat().st_mtime > _PARTS_KEPT_SECONDS:
                    path.unlink()
