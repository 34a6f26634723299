"""A program that works on large tensors starts anew with the system's memory set for these."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from nowcast.large_blocks import SETTINGS, keep_large_blocks

PROGRAM = """
import os, sys
from nowcast.large_blocks import keep_large_blocks
keep_large_blocks(sys.orig_argv[1:])
print(os.environ.get("MALLOC_TRIM_THRESHOLD_"), os.getpid(), *sys.argv[1:])
"""

GAPS = """
from nowcast.large_blocks import give_back

def resident():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if "VmRSS" in line)

blocks = [bytearray(1 << 20) for _ in range(300)]
del blocks[:-1]
before = resident()
give_back()
print(before - resident())
"""

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="glibc alone has these settings")


@on_linux
@pytest.mark.parametrize("of_the_user", [None, "131072"])
def test_the_program_goes_on_as_the_same_process_once(of_the_user: str | None) -> None:
    environment = {name: said for name, said in os.environ.items() if name not in SETTINGS}
    if of_the_user is not None:
        environment["MALLOC_TRIM_THRESHOLD_"] = of_the_user
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, "one", "two"],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    ) as program:
        said, _ = program.communicate(timeout=60)
    setting, process, *arguments = said.split()
    assert setting == (of_the_user or SETTINGS["MALLOC_TRIM_THRESHOLD_"])
    assert int(process) == program.pid
    assert arguments == ["one", "two"]


def test_where_it_is_of_no_use_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    keep_large_blocks(["-c", "raise SystemExit(1)"])


@on_linux
def test_what_is_free_between_blocks_in_use_is_given_back() -> None:
    found = subprocess.run(
        [sys.executable, "-c", GAPS],
        env=os.environ | SETTINGS,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert int(found.stdout) > 200_000  # kB, of 300 MB
