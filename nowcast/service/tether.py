"""Runs a program that the kernel ends with the service: ``python -m ... PROGRAM ARGUMENTS``.

The signal is set before the program takes this process over, and outlives that.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Become the program of the command line; ends at once where the service is gone already."""
    service = os.getppid()
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != service or service == 1:
        sys.exit(1)
    os.execv(sys.argv[1], sys.argv[1:])


if __name__ == "__main__":
    main()
