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


@pytest.mark.skipif(sys.platform != "linux", reason="glibc alone has these settings")
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
