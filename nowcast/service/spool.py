"""Copies of what arrives: what is judged is what is used, whatever happens to the feed's folder.

A file is copied before it is looked at. The copy becomes an accepted frame or goes to quarantine;
the file itself is never touched, for the folder belongs to whoever fills it.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from nowcast.field.atomic import force_name, force_to_disk, make_folder, written_beside
from nowcast.field.errors import ProductError, UnsafeFileError
from nowcast.service import crash
from nowcast.service.clock import iso
from nowcast.service.frames import FileState
from nowcast.service.names import CycleId
from nowcast.service.publish import remove

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np

    from nowcast.service.layout import Layout

_PIECE = 2**20
REASON = ".reason.json"


class Copy(NamedTuple):
    """A file as it was copied: the copy, the digest of its content, and its size."""

    path: Path
    sha256: str
    bytes: int


@dataclass(frozen=True)
class Spool:
    """Takes copies, and puts them where they belong; raises ProductError where the disk refuses."""

    layout: Layout
    limit_bytes: int

    def take(self, path: Path) -> Copy | None:
        """A copy of a file; None where it changed or went while it was copied.

        Raises UnsafeFileError for a file above the limit, which is not copied.
        """
        try:
            before = state_of(path)
            self._refuse_what_is_too_large(path, before)
            folder = make_folder(self.layout.staging / f"file.{secrets.token_hex(4)}")
        except FileNotFoundError:
            return None
        taken = folder / path.name
        try:
            sha256 = _copied(path, taken)
            unchanged = state_of(path) == before
        except FileNotFoundError:
            unchanged = False
        except OSError as error:
            remove(folder)
            raise ProductError(f"{path}: could not be copied to {folder}: {error}") from error
        if not unchanged:
            remove(folder)
            return None
        crash.at("frame.copied")
        return Copy(taken, sha256, before.bytes)

    def _refuse_what_is_too_large(self, path: Path, state: FileState) -> None:
        if state.bytes > self.limit_bytes:
            size, limit = state.bytes / 2**20, self.limit_bytes / 2**20
            raise UnsafeFileError(f"{path}: {size:,.0f} MiB, expected at most {limit:,.0f}")

    def keep(self, copy: Copy, valid_time: np.datetime64) -> str:
        """Put a copy among the accepted frames; its path there, relative to the service's folder.

        It stands there whole before the ledger knows of it; a second time it is left as it is.
        """
        folder = self.layout.frames / f"{CycleId(valid_time)}.{copy.sha256[:12]}"
        kept = folder / copy.path.name
        try:
            if kept.exists():
                self.drop(copy)
            else:
                remove(folder)
                force_to_disk(copy.path.parent)
                copy.path.parent.rename(folder)
                force_name(self.layout.frames)
        except OSError as error:
            raise ProductError(f"{kept}: could not be kept: {error}") from error
        crash.at("frame.kept")
        return kept.relative_to(self.layout.root).as_posix()

    def drop(self, copy: Copy) -> None:
        """Throw a copy away; one that never was, or that was put in its place, is left."""
        if self.layout.staging in copy.path.parents:
            remove(copy.path.parent)

    def quarantine(self, copy: Copy, *, origin: Path, reason: str, now: np.datetime64) -> Path:
        """Put a copy aside with the reason why; where it lies."""
        aside = self.layout.quarantine / f"{CycleId(now)}.{copy.sha256[:8]}.{copy.path.name}"
        told = {
            "file": str(origin),
            "sha256": copy.sha256,
            "bytes": copy.bytes,
            "refused": iso(now),
            "reason": reason,
        }
        with written_beside(aside.with_name(aside.name + REASON)) as beside:
            beside.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
        try:
            if self.layout.staging in copy.path.parents and copy.path.exists():
                copy.path.rename(aside)
        except OSError as error:
            raise ProductError(f"{aside}: could not be put aside: {error}") from error
        self.drop(copy)
        return aside


def state_of(path: Path) -> FileState:
    """Size and time of a file, or of all files of a folder (a Zarr store); raises OSError."""
    if not path.is_dir():
        found = path.stat()
        return FileState(found.st_size, found.st_mtime_ns)
    parts = [part.stat() for part in path.rglob("*") if part.is_file()]
    written = max((part.st_mtime_ns for part in parts), default=path.stat().st_mtime_ns)
    return FileState(sum(part.st_size for part in parts), written)


def _copied(path: Path, to: Path) -> str:
    """Copy a file, or a folder of files; the digest of what was copied."""
    if path.is_dir():
        shutil.copytree(path, to, symlinks=True)
        whole = hashlib.sha256()
        for part in sorted(found for found in to.rglob("*") if found.is_file()):
            with part.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            whole.update(f"{part.relative_to(to).as_posix()} {digest}\n".encode())
        return whole.hexdigest()
    digest_of_file = hashlib.sha256()
    with path.open("rb") as source, to.open("wb") as copy:
        while piece := source.read(_PIECE):
            digest_of_file.update(piece)
            copy.write(piece)
    return digest_of_file.hexdigest()
