"""What the tests of child.py have children do."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from nowcast.field.errors import FormatError, UnavailableError
from nowcast.service import child, plain


def square(values: np.ndarray) -> np.ndarray:
    return values**2


def large(mebibytes: int) -> bytes:
    return b"\x01" * (mebibytes << 20)


def refuse() -> None:
    raise FormatError("a.h5: empty, expected radar")


def refuse_with_more() -> None:
    raise UnavailableError("no answer", status=503, retry_after_seconds=7.0)


def divide(by: int) -> float:
    return 1 / by


def hang_with_children(pids: Path) -> None:
    """A child and its child, both deaf to every signal that can be ignored."""
    code = "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(600)"
    inner = subprocess.Popen([sys.executable, "-S", "-c", code])
    pids.with_suffix(".part").write_text(f"{os.getpid()} {inner.pid}")
    pids.with_suffix(".part").replace(pids)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(600)


def hang_with_the_lock_held(pids: Path) -> None:
    """As a C library in an endless loop: no Python thread runs any more in this process."""
    pids.with_suffix(".part").write_text(f"{os.getpid()}")
    pids.with_suffix(".part").replace(pids)
    ctypes.PyDLL(None).sleep(600)


def leave_a_child(pids: Path) -> str:
    inner = subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(600)"])
    pids.write_text(f"{inner.pid}")
    return "done"


def allocate(mebibytes: int) -> int:
    return int(np.ones(mebibytes << 20, dtype=np.uint8).sum())


def crash() -> None:
    ctypes.string_at(0)


def die_by(number: int) -> None:
    os.kill(os.getpid(), number)
    time.sleep(600)


def leave(status: int) -> None:
    sys.exit(status)


def unpicklable() -> object:
    return lambda: None


class Trap:
    """Whoever reads the pickle of it runs a program."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> tuple[object, ...]:
        return os.system, (self.command,)


def say(words: bytes) -> None:
    """Write these bytes where the answer goes, and end well: as code of a stranger would."""
    os.write(_answering(), words)
    os._exit(0)


def die_in_mid_word() -> None:
    os.write(_answering(), plain.write(("result", list(range(100))))[:-20])
    die_by(signal.SIGKILL)


def say_without_end() -> None:
    while True:
        os.write(_answering(), bytes(1 << 20))


def _answering() -> int:
    """The pipe that the caller listens to: the frame of the child's life knows it."""
    frame = sys._getframe()
    while "sending" not in frame.f_locals:
        assert frame.f_back is not None
        frame = frame.f_back
    number: int = frame.f_locals["sending"].fileno()
    return number


def open_files() -> list[str]:
    links = Path("/proc/self/fd").iterdir()
    return [str(link.readlink()) for link in links if link.exists()]


def limits_and_state() -> tuple[int, int, int, str]:
    adjusted = int(Path("/proc/self/oom_score_adj").read_text(encoding="ascii"))
    return os.getpgid(0) - os.getpid(), os.getsid(0), adjusted, str(Path.cwd())


if __name__ == "__main__":  # a caller that is killed while its child hangs
    hanging = {"asleep": hang_with_children, "locked": hang_with_the_lock_held}[sys.argv[1]]
    child.call(hanging, Path(sys.argv[2]), limits=child.Limits(seconds=300))
