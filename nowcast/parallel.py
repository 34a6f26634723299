"""Workers for many forecasts: processes of this machine, or those of a dask cluster."""

from __future__ import annotations

import os
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context
from typing import TYPE_CHECKING

from nowcast.field.errors import MethodError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Executor

_SCHEDULER_SECONDS = 10


@contextmanager
def executor(*, workers: int = 1, scheduler: str | None = None) -> Iterator[Executor | None]:
    """Who is to do the work: None (the caller itself) for one worker and no scheduler.

    ``scheduler`` is the address of a dask scheduler (``tcp://host:8786``), whose workers must see
    the same folders and have this package. Raises UsageError where it does not answer, and
    MethodError where a worker of this machine dies.
    """
    if scheduler is not None:
        with _cluster(scheduler) as crew:
            yield crew
    elif workers > 1:
        with _processes(workers) as crew:
            yield crew
    else:
        yield None


@contextmanager
def _processes(workers: int) -> Iterator[Executor]:
    threads = max((os.cpu_count() or 1) // workers, 1)
    # Spawned, not forked: a fork would inherit locks that torch's threads hold.
    pool = ProcessPoolExecutor(
        workers, mp_context=get_context("spawn"), initializer=_take_threads, initargs=(threads,)
    )
    try:
        with pool:
            yield pool
    except BrokenProcessPool as error:
        raise MethodError(
            "a worker died, perhaps for want of memory: run the command again, with fewer workers; "
            "the forecasts that are done are kept"
        ) from error


def _take_threads(count: int) -> None:
    """Each worker its share of the cores; it is read when torch is imported, which comes later."""
    os.environ["OMP_NUM_THREADS"] = str(count)


@contextmanager
def _cluster(address: str) -> Iterator[Executor]:
    try:
        from distributed import Client  # noqa: PLC0415 - an extra, and slow to import
    except ModuleNotFoundError as error:
        raise UsageError(
            "--scheduler needs dask.distributed: pip install 'mim-nowcast[cluster]'"
        ) from error
    try:
        client = Client(  # type: ignore[no-untyped-call]  # typed in part
            address, timeout=_SCHEDULER_SECONDS, set_as_default=False
        )
    except (OSError, ValueError, TimeoutError) as error:
        raise UsageError(
            f"--scheduler {address}: no dask scheduler answers there ({error}); "
            "expected an address like tcp://127.0.0.1:8786"
        ) from error
    with client:
        yield client.get_executor(retries=2)  # type: ignore[no-untyped-call]
