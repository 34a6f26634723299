"""The part of a file that has come so far, and whether the rest may be joined to it."""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nowcast.field.errors import ProductError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path


@dataclass(frozen=True)
class Part:
    """A file that is being fetched.

    A note beside it says how many bytes are safe on the disk, and of which version of the file.
    There is a note only while nothing is written: after a power cut, or a kill, the part without
    one is begun anew, for its end may be missing or zeros.
    """

    path: Path

    @property
    def note(self) -> Path:
        """The file beside it."""
        return self.path.with_name(f"{self.path.name}.note")

    def kept(self) -> tuple[int, str]:
        """How many bytes there are of which version; ``(0, "")`` where nothing can be joined."""
        try:
            noted = json.loads(self.note.read_text(encoding="utf-8"))
            size, validator = int(noted["bytes"]), str(noted["validator"])
            there = self.path.stat().st_size
        except (OSError, ValueError, KeyError, TypeError):
            return 0, ""
        return (size, validator) if 0 < size <= there and validator else (0, "")

    def write(self, chunks: Iterable[bytes], *, at: int, validator: str) -> int:
        """Write from byte ``at`` on; the size of the file.

        Where the chunks break off, what has come is kept with a note, and the error goes on.
        Raises ProductError where the disk does not take it.
        """
        with _explained(self.path):
            self.note.unlink(missing_ok=True)
            handle = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o644)
        with os.fdopen(handle, "wb", closefd=True) as file:
            try:
                with _explained(self.path):
                    file.truncate(at)
                    file.seek(at)
                for chunk in chunks:
                    with _explained(self.path):
                        file.write(chunk)
            finally:
                with _explained(self.path):
                    file.flush()
                    os.fsync(file.fileno())
                    self._keep(file.tell(), validator)
            return file.tell()

    def _keep(self, size: int, validator: str) -> None:
        if validator:
            noted = {"bytes": size, "validator": validator}
            self.note.write_text(json.dumps(noted), encoding="utf-8")

    def drop(self) -> None:
        """Forget what has come."""
        with contextlib.suppress(OSError):
            self.note.unlink(missing_ok=True)
            self.path.unlink(missing_ok=True)


@contextlib.contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ProductError(
            f"{path}: could not be written: {error.strerror or error}: "
            "free some space or choose another folder"
        ) from error
