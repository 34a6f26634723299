"""Files and folders that appear whole or not at all.

What is written goes to a name beside its own (``.NAME.xxxxxxxx.part``, the same folder and so the
same disk), is forced to the disk, and is renamed. A reader sees the old content or the new one; a
process killed half-way leaves the old one, and a ``.part`` that nobody takes for a product.
"""

from __future__ import annotations

import ctypes
import errno
import os
import secrets
import shutil
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from nowcast.field.errors import ProductError

if TYPE_CHECKING:
    from collections.abc import Iterator

_CAUSES = {
    errno.ENOSPC: ("no space left on the disk", "free some space or choose another folder"),
    errno.EDQUOT: ("the disk quota is used up", "free some space or choose another folder"),
    errno.EFBIG: ("the file would exceed the size limit", "raise the limit (ulimit -f)"),
    errno.EACCES: ("no right to write there", "choose another folder or change its mode"),
    errno.EPERM: ("no right to write there", "choose another folder or change its mode"),
    errno.EROFS: ("the disk is read-only", "choose another folder"),
    errno.ENOENT: ("there is no such folder", "create it or choose another one"),
    errno.ENOTDIR: ("its folder is a file", "choose another folder"),
    errno.ELOOP: ("a link there leads to itself", "choose another folder"),
    errno.EISDIR: ("a folder of that name stands there", "remove it or choose another name"),
}
_RENAME_EXCHANGE = 2
_REMOVALS, _REMOVAL_PAUSE_SECONDS = 5, 0.1
_AT_FDCWD = -100


@contextmanager
def written_beside(path: Path | str) -> Iterator[Path]:
    """A name in the folder of ``path`` to write a file or a folder to; afterwards it is ``path``.

    Where the block raises, nothing is left behind and ``path`` is as it was. The folder must exist.
    Raises ProductError for every OSError: no space, no right, no such folder.
    """
    path = Path(path)
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        yield beside
        _publish(beside, path)
    except OSError as error:
        raise _explained(error, path) from error
    finally:
        _remove(beside)


def _publish(beside: Path, path: Path) -> None:
    if not beside.exists():
        # The writer, or a folder that went away under it.
        code = errno.ENOENT if not path.parent.exists() else errno.EIO
        raise OSError(code, "nothing was written")
    force_to_disk(beside)
    if beside.is_dir() and path.is_dir():
        _replace_folder(beside, path)
    else:
        beside.replace(path)
    force_name(path.parent)


def force_to_disk(written: Path) -> None:
    """Wait until a file, or a folder with all in it, would survive a power cut; raises OSError."""
    if written.is_dir():
        for folder, _, names in os.walk(written):
            for name in names:
                force_name(Path(folder, name))
            force_name(Path(folder))
    else:
        force_name(written)


def force_name(path: Path) -> None:
    """Wait until a file, or the names in a folder, would survive a power cut; raises OSError."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _replace_folder(beside: Path, path: Path) -> None:
    """``beside`` becomes ``path``; what stood there is removed."""
    if _exchange(beside, path):
        return  # the old folder now has the name beside, which is removed in the end
    old = beside.with_suffix(".old")
    path.rename(old)
    try:
        beside.rename(path)
    except OSError:
        old.rename(path)
        raise
    _remove(old)


def _exchange(one: Path, other: Path) -> bool:
    """Whether two names could be swapped in one step, which Linux can on most file systems."""
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if rename is None:
        return False
    names = os.fsencode(one), os.fsencode(other)
    return bool(rename(_AT_FDCWD, names[0], _AT_FDCWD, names[1], _RENAME_EXCHANGE) == 0)


def _remove(path: Path) -> None:
    for _ in range(_REMOVALS):
        with suppress(OSError):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        if not os.path.lexists(path):
            return
        # A library's threads may still write into a folder after one of them has failed.
        time.sleep(_REMOVAL_PAUSE_SECONDS)


def _explained(error: OSError, path: Path) -> ProductError:
    fallback = (error.strerror or str(error), "see whether the disk is full or failing")
    cause, remedy = _CAUSES.get(error.errno or 0, fallback)
    # os.path.exists also answers where looking is forbidden.
    parents = path.absolute().parents
    standing = next((parent for parent in parents if os.path.exists(parent)), parents[-1])  # noqa: PTH110
    free = shutil.disk_usage(standing).free / 2**20
    return ProductError(
        f"{path}: could not be written: {cause} ({free:,.0f} MiB free under {standing}): {remedy}"
    )


def make_folder(path: Path | str) -> Path:
    """The folder, made with its parents where it is missing; raises ProductError."""
    path = Path(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _explained(error, path) from error
    return path
