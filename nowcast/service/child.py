"""Functions called in a process of their own, which may hang, crash or eat memory.

Processes come from multiprocessing's fork server, a bare interpreter that has imported what most of
them need and holds no lock, thread or open file of the caller: a call costs some hundredths of a
second. Each child leads a process group of its own, and the whole group is killed when the call
ends, however it ends, and by the kernel when the caller dies. What it answers is read as plain
values: a child that a hostile file has taken over can say something wrong, but run nothing here.
"""

from __future__ import annotations

import contextlib
import fcntl
import multiprocessing
import os
import resource
import select
import signal
import sys
import time
from dataclasses import dataclass
from functools import cache
from multiprocessing.connection import wait
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from nowcast.field.errors import (
    ChildDiedError,
    ChildError,
    ChildMemoryError,
    ChildTimeoutError,
    NowcastError,
)
from nowcast.service import plain

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
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
_READ_BYTES, _MOST_BYTES = 1 << 20, 1 << 28


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

    The function must be importable, it and its arguments picklable, and its result plain: numbers,
    texts, times, arrays, collections of them, and NamedTuples and frozen dataclasses that the
    function's module knows by name. Raises ChildTimeoutError, ChildMemoryError, ChildDiedError (a
    signal, or an end without an answer), and ChildError, which names it, for any other exception
    and for a result that cannot be sent.
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
            said = _listen(receiving, process, limits.seconds, name=name)
        except (EOFError, ConnectionError) as error:
            raise ChildDiedError(f"{name}: its process did not start ({error!r})") from error
        finally:
            status = _end(process, patience=0.0 if said is None else _FAREWELL_SECONDS)
    if said is None:
        raise ChildTimeoutError(f"{name}: not done after {limits.seconds:g} s: killed")
    try:
        answer = plain.read(bytes(said), _classes(function))
    except plain.PlainError as error:
        if status == 0 and said:
            raise ChildError(f"{name}: its answer cannot be read: {error}") from error
        raise _death(name, status) from None
    return _result(answer, name=name, limits=limits)  # type: ignore[no-any-return]


def _classes(function: Callable[..., object]) -> Mapping[str, Any]:
    """What the module of a function knows by name."""
    module = getattr(function, "__module__", type(function).__module__)
    return vars(sys.modules[module])


@cache
def _context() -> ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(_PRELOADED))
    return context


def _listen(
    receiving: Connection, process: ForkServerProcess, seconds: float, *, name: str
) -> bytearray | None:
    """All that the child says until it falls silent for good; None where it takes too long.

    Raises ChildError for one that says without end.
    """
    deadline = time.monotonic() + seconds
    said = bytearray()
    while True:
        # A process that the child left behind may hold the pipe open: its own end counts as well.
        ready = wait([receiving, process.sentinel], max(0.0, deadline - time.monotonic()))
        if receiving in ready:
            part = os.read(receiving.fileno(), _READ_BYTES)
            if not part:
                return said
            said += part
            if len(said) > _MOST_BYTES:
                raise ChildError(f"{name}: its answer is longer than {_MOST_BYTES >> 20} MiB")
        elif ready:
            return said
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


def _result(answer: object, *, name: str, limits: Limits) -> Any:
    """The result in a child's answer; its error is raised."""
    match answer:
        case ("result", value):
            return value
        case ("refused", NowcastError() as refusal):
            raise refusal
        case ("memory", words):
            allowed = f"{(limits.memory_bytes or 0) / 2**20:,.0f} MiB"
            raise ChildMemoryError(f"{name}: wanted more memory than its {allowed} ({words})")
        case ("failed", words):
            raise ChildError(f"{name}: {words}")
    raise ChildError(f"{name}: its answer is neither a result nor an error")


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
    # No session of its own: Linux shares the processor out among sessions first, so that a low
    # priority would say nothing there, and a forecast would get as little as its maps.
    os.setpgid(0, 0)
    _die_with_caller()
    os.nice(limits.niceness)
    _limit(limits.memory_bytes)
    try:
        said = memoryview(_packed("result", function(*arguments)))
    except NowcastError as error:
        said = memoryview(_packed("refused", error))
    except MemoryError as error:
        said = memoryview(_packed("memory", str(error) or "MemoryError"))
    except Exception as error:  # noqa: BLE001 - it is named to the caller
        said = memoryview(_packed("failed", _words(error)))
    with sending:
        while said:
            said = said[os.write(sending.fileno(), said) :]


def _packed(kind: str, value: object) -> bytes:
    """What a child says: its result, the error it raised, or how it failed, in words."""
    try:
        return plain.write((kind, value))
    except MemoryError:
        return plain.write(("memory", "for its result"))
    except Exception as error:  # noqa: BLE001 - it is named to the caller
        return plain.write(("failed", f"its result cannot be sent: {_words(error)}"))


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
