"""One process at a time: a lock that dies with its process."""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from nowcast.field.atomic import make_folder
from nowcast.field.errors import BusyError, ProductError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def only_one(path: Path, *, busy: str) -> Iterator[None]:
    """Hold the lock file ``path``; raises BusyError where another process does, and ProductError.

    ``busy`` says what that other process does and what is to be done; its number is added. The
    kernel lets go of the lock when the process ends, however it ends, so no stale lock is left.
    Children do not inherit it.
    """
    make_folder(path.parent)
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise ProductError(f"{path}: could not be written: {error.strerror}") from error
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(handle, 32, 0).decode(errors="replace").strip() or "unknown"
            raise BusyError(f"{busy} (process {holder})") from error
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(handle)
