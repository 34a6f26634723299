"""Children that answer, refuse, hang, crash and eat memory; their caller lives on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import child_work as work
import numpy as np
import pytest

from nowcast.field.errors import (
    ChildDiedError,
    ChildError,
    ChildMemoryError,
    ChildTimeoutError,
    FormatError,
    UnavailableError,
)
from nowcast.service.child import Limits, call

if TYPE_CHECKING:
    from collections.abc import Callable

LIMITS = Limits(seconds=60)
ROOT = Path(__file__).resolve().parents[2]


def test_a_result_comes_back_from_another_process() -> None:
    assert call(os.getpid, limits=LIMITS) != os.getpid()
    values = np.arange(5.0)
    np.testing.assert_array_equal(call(work.square, values, limits=LIMITS), values**2)


def test_a_result_larger_than_a_pipe_holds_comes_back_whole() -> None:
    assert call(work.large, 20, limits=LIMITS) == b"\x01" * (20 << 20)


def test_an_error_of_the_family_is_raised_as_it_is() -> None:
    with pytest.raises(FormatError, match=r"^a\.h5: empty, expected radar$"):
        call(work.refuse, limits=LIMITS)
    with pytest.raises(UnavailableError) as caught:
        call(work.refuse_with_more, limits=LIMITS)
    assert (caught.value.status, caught.value.retry_after_seconds) == (503, 7.0)


def test_a_foreign_error_is_named_with_its_place() -> None:
    with pytest.raises(ChildError, match=r"^divide: ZeroDivisionError: .*child_work\.py:\d+"):
        call(work.divide, 0, limits=LIMITS)


def test_a_hanging_child_and_its_own_children_are_killed(tmp_path: Path) -> None:
    pids, begun = tmp_path / "pids", time.monotonic()
    with pytest.raises(ChildTimeoutError, match="hang_with_children: not done after 1 s: killed"):
        call(work.hang_with_children, pids, limits=Limits(seconds=1))
    assert time.monotonic() - begun < 10
    assert_gone(pids, count=2)


def test_what_a_child_leaves_behind_is_killed(tmp_path: Path) -> None:
    assert call(work.leave_a_child, tmp_path / "pids", limits=LIMITS) == "done"
    assert_gone(tmp_path / "pids", count=1)


def test_memory_is_limited_beyond_what_the_child_begins_with() -> None:
    limits = Limits(seconds=60, memory_bytes=256 << 20)
    assert call(work.allocate, 64, limits=limits) == 64 << 20
    with pytest.raises(ChildMemoryError, match="allocate: wanted more memory than its 256 MiB"):
        call(work.allocate, 512, limits=limits)


def test_a_crash_is_named_by_its_signal() -> None:
    with pytest.raises(ChildDiedError, match="crash: its process was ended by signal SIGSEGV") as c:
        call(work.crash, limits=LIMITS)
    assert c.value.signal == signal.SIGSEGV
    with pytest.raises(ChildDiedError, match="by signal SIGKILL"):
        call(work.die_by, signal.SIGKILL, limits=LIMITS)
    with pytest.raises(ChildDiedError, match="ended with status 3 and no answer"):
        call(work.leave, 3, limits=LIMITS)


def test_a_result_that_cannot_be_sent_is_named() -> None:
    with pytest.raises(ChildError, match="unpicklable: its result cannot be sent: "):
        call(work.unpicklable, limits=LIMITS)


def test_an_answer_that_was_cut_short_is_a_death() -> None:
    with pytest.raises(ChildDiedError, match="SIGKILL"):
        call(work.die_in_mid_word, limits=LIMITS)


@pytest.mark.parametrize(("state", "count"), [("asleep", 2), ("locked", 1)])
def test_no_child_outlives_a_killed_caller(tmp_path: Path, state: str, count: int) -> None:
    pids = tmp_path / "pids"
    caller = subprocess.Popen([sys.executable, work.__file__, state, str(pids)], cwd=ROOT)
    try:
        wait_for(pids.exists, seconds=60)
    finally:
        caller.kill()
        caller.wait()
    assert_gone(pids, count=count)


def test_nothing_of_the_caller_is_open_in_a_child(tmp_path: Path) -> None:
    with (tmp_path / "held").open("w"):
        assert not [name for name in call(work.open_files, limits=LIMITS) if "held" in name]


def test_a_child_leads_its_own_group_of_our_session_and_is_the_first_to_go() -> None:
    expected = (0, os.getsid(0), 500, str(Path.cwd()))
    assert call(work.limits_and_state, limits=LIMITS) == expected


def test_calls_from_several_threads_do_not_mix() -> None:
    answers = {}

    def ask(number: int) -> None:
        answers[number] = call(work.square, np.array([number]), limits=LIMITS)[0]

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == {number: number**2 for number in range(6)}


def test_files_and_processes_stay_flat_and_a_call_is_quick() -> None:
    for _ in range(3):
        call(work.divide, 1, limits=LIMITS)
    files, begun = open_files(), time.monotonic()
    for number in range(200):
        if number % 20:
            call(work.divide, 1, limits=LIMITS)
        else:
            with pytest.raises(ChildError):
                call(work.divide, 0, limits=LIMITS)
    assert time.monotonic() - begun < 60
    assert open_files() == files


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def assert_gone(pids: Path, *, count: int) -> None:
    numbers = [int(pid) for pid in pids.read_text(encoding="ascii").split()]
    assert len(numbers) == count
    wait_for(lambda: not any(alive(number) for number in numbers), seconds=10)


def alive(pid: int) -> bool:
    """Whether a process runs; one that is dead and not yet buried does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in {"Z", "X"}


def wait_for(condition: Callable[[], bool], *, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.01)
