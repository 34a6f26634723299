"""Which bytes a product was made of."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


def digest(paths: Iterable[Path]) -> str:
    """One SHA-256 over the names and SHA-256 sums of some files, the same in any order."""
    whole = hashlib.sha256()
    for name, line in sorted((path.name, _sum(path, written_state(path))) for path in set(paths)):
        whole.update(f"{name} {line}\n".encode())
    return whole.hexdigest()


@lru_cache(maxsize=4096)
def _sum(path: Path, written: tuple[int, ...]) -> str:
    """The sum of a file; of a folder (a Zarr store) that of what is in it."""
    # ``written`` is there for the cache alone: a file that was replaced is read again.
    del written
    if not path.is_dir():
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    whole = hashlib.sha256()
    for part in sorted(p for p in path.rglob("*") if p.is_file()):
        line = _sum(part, written_state(part))
        whole.update(f"{part.relative_to(path).as_posix()} {line}\n".encode())
    return whole.hexdigest()


def written_state(path: Path) -> tuple[int, ...]:
    """When, and how large, the files of a path were written."""
    files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
    return tuple(n for file in files for n in (file.stat().st_mtime_ns, file.stat().st_size))
