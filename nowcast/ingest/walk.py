"""The files under a folder, in one order, without leaving it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from nowcast.field.errors import MissingFramesError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

OUTSIDE = "links that lead out of the folder"
UNREADABLE = "folders that may not be read"


def files(root: Path, *, leave: Callable[[str, str], None]) -> Iterator[Path]:
    """All files under ``root`` at any depth, or ``root`` itself; a Zarr store counts as one file.

    ``leave(reason, name)`` is told what was left aside: links that lead out of the folder, and
    folders that may not be read. Hidden files are passed over, links to folders not followed (what
    lies inside is met anyway). Raises MissingFramesError where there is no such folder.
    """
    if not root.exists():
        raise MissingFramesError(f"{root}: no such file or folder")
    if root.is_file() or is_store(root):
        yield root
        return
    yield from _below(root, home=root.resolve(), leave=leave)


def _below(folder: Path, *, home: Path, leave: Callable[[str, str], None]) -> Iterator[Path]:
    try:
        # Unlike Path.iterdir, scandir knows what is a link and what a folder without asking again.
        with os.scandir(folder) as entries:
            found = sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        leave(UNREADABLE, f"{folder}: {error.strerror}")
        return
    for entry in found:
        if entry.name.startswith("."):
            continue
        path = Path(entry.path)
        if entry.is_symlink():
            if not path.resolve().is_relative_to(home):
                leave(OUTSIDE, entry.name)
            elif not path.is_dir():
                yield path
        elif not entry.is_dir() or is_store(path):
            yield path
        else:
            yield from _below(path, home=home, leave=leave)


def is_store(path: Path) -> bool:
    """Whether a folder is a Zarr store, of version 2 or 3."""
    return (path / "zarr.json").is_file() or (path / ".zgroup").is_file()
