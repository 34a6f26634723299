"""How this process asks the system for memory.

Large tensors come and go. glibc maps and unmaps each of them, page by page, which takes a sixth of
the time of a forecast. It reads its settings when a process starts, so a program that works on
large tensors starts itself once more.
"""

from __future__ import annotations

import ctypes
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

SETTINGS = {
    # Blocks above this are still mapped one by one: a map of a continent that is freed is given
    # back whole, where in between others it would leave a gap.
    "MALLOC_MMAP_THRESHOLD_": str(64 << 20),
    "MALLOC_TRIM_THRESHOLD_": str(16 << 30),
    "MALLOC_TOP_PAD_": str(256 << 20),
}


def keep_large_blocks(arguments: Sequence[str]) -> None:
    """Start Python anew with its ``arguments``, unless this was done or is of no use here."""
    if sys.platform == "linux" and "MALLOC_TRIM_THRESHOLD_" not in os.environ:
        os.execve(sys.executable, [sys.executable, *arguments], os.environ | SETTINGS)


def give_back() -> None:
    """Give back what is free between blocks in use, which on a continent is a gigabyte.

    Only glibc does so; nothing happens elsewhere.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)
