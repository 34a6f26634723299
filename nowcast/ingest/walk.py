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
    home = root.resolve()

    def refused(error: OSError) -> None:
        leave(UNREADABLE, str(error.filename))

    for name, folders, names in os.walk(root, onerror=refused):
        here = Path(name)
        stores = sorted(f for f in folders if is_store(here / f) and not f.startswith("."))
        hidden_or_store = {f for f in folders if f.startswith(".") or f in stores}
        folders[:] = sorted(set(folders) - hidden_or_store)
        for link in folders:
            if (here / link).is_symlink() and not (here / link).resolve().is_relative_to(home):
                leave(OUTSIDE, link)
        for file in [*stores, *sorted(names)]:
            path = here / file
            if file.startswith("."):
                continue
            if path.is_symlink() and not path.resolve().is_relative_to(home):
                leave(OUTSIDE, file)
                continue
            yield path


def is_store(path: Path) -> bool:
    """Whether a folder is a Zarr store, of version 2 or 3."""
    return (path / "zarr.json").is_file() or (path / ".zgroup").is_file()
