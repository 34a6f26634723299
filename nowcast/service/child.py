"""Functions called in a process of their own, which may hang, crash or eat memory.

Processes come from multiprocessing's fork server, a bare interpreter that has imported what most of
them need and holds no lock, thread or open file of the caller: a call costs some hundredths of a
second. Each child leads a process group of its own, and the whole group is killed when the call
ends, however it ends, and by the kernel when the caller dies.
"""

from __future__ import annotations

import contextlib
import fcntl
import multiprocessing
import os
import pickle
import resource
import select
import signal
import time
from dataclasses import dataclass
from functools import cache
from multiprocessing.connection import wait
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, ParamSpec, TypeVar

from nowcast.field.errors import (
    ChildDiedError,
    ChildError,
    ChildMemoryError,
    ChildTimeoutError,
    NowcastError,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.connection import Connection
    from multiprocessing.context import ForkServerContext, ForkServerProcess

P = ParamSpec("P")
T = TypeVar("T")

# What most children need, and what is slow to import. Names, not imports: the caller needs none of
# it. The command line is among them because a child imports the script that its caller is.
_PRELOADED = (
    "nowcast.cli.app",
    "nowcast.service.child",
    "nowcast.ingest.archive",
    "nowcast.ingest.readers.odim_tar",
    "nowcast.ingest.readers.cf",
    "nowcast.forecast.mim",
    "nowcast.forecast.extrapolation",
    "nowcast.forecast.pysteps_loaded",
    "nowcast.products.netcdf",
    "nowcast.products.reading",
    "nowcast.verify.scoring",
    "nowcast.service.quality",
    # What xarray looks for as soon as it writes or compares.
    "dask.array",
    "distributed",
)
_HEAVY = ("nowcast.forecast.", "nowcast.verify.")
# For a child that has answered to end by itself, and for one that was killed to be gone.
_FAREWELL_SECONDS, _BURIAL_SECONDS = 1.0, 5.0
_READ_BYTES = 1 << 20


@dataclass(frozen=True)
class Limits:
    """What a child may take.

    Attributes:
        seconds: wall-clock time; then it is killed, with its own children.
        memory_bytes: address space beyond what it has when it starts; None for no limit.
        niceness: by how much its priority is lower than the caller's, as of ``nice``.

    """

    seconds: float
    memory_bytes: int | None = None
    niceness: int = 0


class _Answer(NamedTuple):
    """What a child says: its result, the error it raised, or how it failed, in words."""

    kind: Literal["result", "refused", "memory", "failed"]
    value: Any


def prepare(*modules: str, lean: bool = False) -> None:
    """Let the fork server import these modules too, so that no child needs to.

    ``lean`` leaves out what only learnt and moving methods need: a service that persists alone
    begins in a second rather than in five. To be called before the first ``call`` of the process;
    later it changes nothing. Variables of the environment that are set later do not reach the
    children either.
    """
    common = [name for name in _PRELOADED if not (lean and name.startswith(_HEAVY))]
    _context().set_forkserver_preload([*common, *modules])


def call(function: Callable[P, T], *arguments: Any, limits: Limits) -> T:
    """``function(*arguments)`` in a child process; its NowcastErrors are raised here as they are.

    The function must be importable, and it, its arguments and its result picklable. Raises
    ChildTimeoutError, ChildMemoryError, ChildDiedError (a signal, or an end without an answer), and
    ChildError, which names it, for any other exception and for a result that cannot be sent.
    """
    name = getattr(function, "__qualname__", type(function).__name__)
    receiving, sending = _context().Pipe(duplex=False)
    process = _context().Process(
        target=_work, args=(sending, limits, function, arguments), daemon=True
    )
    said = None
    with receiving:
        try:
            with sending:
                process.start()
            said = _listen(receiving, process, limits.seconds)
        except (EOFError, ConnectionError) as error:
            raise ChildDiedError(f"{name}: its process did not start ({error!r})") from error
        finally:
            status = _end(process, patience=0.0 if said is None else _FAREWELL_SECONDS)
    if said is None:
        raise ChildTimeoutError(f"{name}: not done after {limits.seconds:g} s: killed")
    return _result(said, name=name, status=status, limits=limits)  # type: ignore[no-any-return]


@cache
def _context() -> ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(_PRELOADED))
    return context


def _listen(receiving: Connection, process: ForkServerProcess, seconds: float) -> bytes | None:
    """All that the child says until it falls silent for good; None where it takes too long."""
    deadline = time.monotonic() + seconds
    said = bytearray()
    while True:
        # A process that the child left behind may hold the pipe open: its own end counts as well.
        ready = wait([receiving, process.sentinel], max(0.0, deadline - time.monotonic()))
        if receiving in ready:
            part = os.read(receiving.fileno(), _READ_BYTES)
            if not part:
                return bytes(said)
            said += part
        elif ready:
            return bytes(said)
        else:
            return None


def _end(process: ForkServerProcess, *, patience: float) -> int | None:
    """Kill the child, if it does not end by itself, and all that it started; its exit status."""
    if process.pid is None:
        return None
    process.join(patience)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.kill()  # where it did not come to lead a group
    process.join(_BURIAL_SECONDS)
    status = process.exitcode
    if status is not None:
        process.close()
    return status


def _result(said: bytes, *, name: str, status: int | None, limits: Limits) -> Any:
    """The result that a child sent, or its error."""
    try:
        answer: _Answer = pickle.loads(said)
    except Exception as error:  # whatever a class does when it is made anew
        if status == 0 and said:
            raise ChildError(f"{name}: its answer cannot be read: {error!r}") from error
        raise _death(name, status) from None
    match answer:
        case _Answer("result", value):
            return value
        case _Answer("refused", NowcastError() as refusal):
            raise refusal
        case _Answer("memory", words):
            allowed = f"{(limits.memory_bytes or 0) / 2**20:,.0f} MiB"
            raise ChildMemoryError(f"{name}: wanted more memory than its {allowed} ({words})")
        case _Answer(_, words):
            raise ChildError(f"{name}: {words}")


def _death(name: str, status: int | None) -> ChildDiedError:
    if status is not None and status < 0:
        by = signal.Signals(-status).name if -status in set(signal.Signals) else f"{-status}"
        return ChildDiedError(f"{name}: its process was ended by signal {by}", signal=-status)
    return ChildDiedError(f"{name}: its process ended with status {status} and no answer")


def _work(
    sending: Connection,
    limits: Limits,
    function: Callable[..., object],
    arguments: tuple[object, ...],
) -> None:
    """The child's life."""
    os.setsid()
    _die_with_caller()
    os.nice(limits.niceness)
    _limit(limits.memory_bytes)
    try:
        answer = _Answer("result", function(*arguments))
    except NowcastError as error:
        answer = _Answer("refused", error)
    except MemoryError as error:
        answer = _Answer("memory", str(error) or "MemoryError")
    except Exception as error:  # noqa: BLE001 - it is named to the caller
        answer = _Answer("failed", _words(error))
    said = memoryview(_packed(answer))
    with sending:
        while said:
            said = said[os.write(sending.fileno(), said) :]


def _packed(answer: _Answer) -> bytes:
    try:
        return pickle.dumps(answer, protocol=pickle.HIGHEST_PROTOCOL)
    except MemoryError:
        return pickle.dumps(_Answer("memory", "for its result"))
    except Exception as error:  # noqa: BLE001 - it is named to the caller
        return pickle.dumps(_Answer("failed", f"its result cannot be sent: {_words(error)}"))


def _words(error: Exception) -> str:
    """Kind, message and place of an unforeseen error."""
    frame = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    place = f" ({frame.tb_frame.f_code.co_filename}:{frame.tb_lineno})" if frame else ""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:500]}{place}"


def _die_with_caller() -> None:
    """Have the kernel kill this process group when the caller is gone.

    A thread that waits for it would not do: a library that hangs may hold the interpreter's lock.
    The caller's end closes the pipe that the process came through, which is made to raise a signal.
    """
    caller = multiprocessing.parent_process()
    if caller is None:
        return
    pipe = caller.sentinel
    fcntl.fcntl(pipe, fcntl.F_SETOWN, -os.getpid())
    fcntl.fcntl(pipe, fcntl.F_SETSIG, signal.SIGKILL)
    fcntl.fcntl(pipe, fcntl.F_SETFL, fcntl.fcntl(pipe, fcntl.F_GETFL) | os.O_ASYNC)
    if select.select([pipe], [], [], 0)[0]:  # it was gone before
        os.killpg(0, signal.SIGKILL)


def _limit(memory_bytes: int | None) -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(OSError):  # where memory runs out, let it be this process that goes
        Path("/proc/self/oom_score_adj").write_text("500", encoding="ascii")
    if memory_bytes is not None:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        most = pages * resource.getpagesize() + memory_bytes
        if hard != resource.RLIM_INFINITY:
            most = min(most, hard)
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
