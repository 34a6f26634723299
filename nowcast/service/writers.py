"""Whether somebody is still writing to a file: Linux knows, and tells who asks for a lease."""

from __future__ import annotations

import fcntl
import os
import signal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def nobody_writes(path: Path) -> bool:
    """Whether nobody has a file open for writing; False too where the system does not tell.

    A read lease is granted for such a file alone, to its owner or to root, on a local disk; it is
    given back at once. Of two who write one after the other nothing is known here.
    """
    if not hasattr(fcntl, "F_SETLEASE"):
        return False
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        # Who opens the file at this very moment would have the kernel send SIGIO, which ends a
        # process that does not expect it; SIGURG does nothing.
        fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except OSError:
        return False
    else:
        return True
    finally:
        os.close(descriptor)
