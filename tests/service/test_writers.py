"""A file is taken as soon as nobody writes to it, where the system tells; else once it settled."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time

import numpy as np
import pytest

from config.feed import FEEDS
from nowcast.service import arrival
from nowcast.service.arrival import Arrivals
from nowcast.service.writers import nobody_writes

OLDEST, NEWEST = np.datetime64("2000-01-01", "ns"), np.datetime64("2100-01-01", "ns")
NAME = "RAD_NL25_RAP_5min_201008260730.h5"

HOLDING = """
import sys
with open(sys.argv[1], sys.argv[2]) as file:
    print("open", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def held():
    """Lets another process hold a file open until it is released."""
    begun = []

    def hold(path, mode):
        words = [sys.executable, "-c", HOLDING, str(path), mode]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        begun.append(subprocess.Popen(words, **pipes))
        assert begun[-1].stdout.readline() == "open\n"
        return lambda: begun[-1].communicate("\n")

    yield hold
    for one in begun:
        one.kill()
        one.wait()
        one.stdin.close()
        one.stdout.close()


@pytest.fixture
def arrivals(tmp_path):
    return Arrivals(tmp_path, FEEDS.named("knmi"), 1.0, {})


def ready(arrivals, monotonic):
    found = arrivals.look(monotonic=monotonic, oldest=OLDEST, newest=NEWEST)
    return [one.key for one in found.ready]


@pytest.mark.parametrize("mode", ["w", "a", "r+"])
def test_a_file_that_another_process_writes_is_known(tmp_path, held, mode):
    path = tmp_path / NAME
    path.write_text("a")
    release = held(path, mode)
    assert not nobody_writes(path)
    release()
    assert nobody_writes(path)


def test_readers_do_not_matter(tmp_path, held):
    path = tmp_path / NAME
    path.write_text("a")
    held(path, "r")
    assert nobody_writes(path)


def test_of_what_is_no_file_nothing_is_known(tmp_path):
    assert not nobody_writes(tmp_path / "absent")
    assert not nobody_writes(tmp_path)


def test_who_opens_the_file_while_it_is_asked_about_ends_nothing(tmp_path):
    path = tmp_path / NAME
    path.write_text("a")
    code = "import sys\nwhile True:\n    open(sys.argv[1], 'a').close()"
    with subprocess.Popen([sys.executable, "-c", code, str(path)]) as writer:
        limit, answers = time.monotonic() + 1.5, set()
        while time.monotonic() < limit:
            answers.add(nobody_writes(path))
        writer.kill()
    assert answers == {True, False}


def test_a_whole_file_is_ready_at_once(tmp_path, arrivals):
    (tmp_path / NAME).write_text("whole")
    assert ready(arrivals, 0.0) == [NAME]


def test_a_file_that_is_written_waits_until_it_is_closed_or_has_settled(tmp_path, arrivals, held):
    (tmp_path / NAME).write_text("half")
    release = held(tmp_path / NAME, "a")
    assert ready(arrivals, 0.0) == []
    assert ready(arrivals, 0.9) == []
    assert ready(arrivals, 1.0) == [NAME]  # a writer that hangs keeps no file from being tried
    release()
    assert ready(arrivals, 1.1) == [NAME]


def test_where_the_system_does_not_tell_a_file_must_settle(tmp_path, arrivals, monkeypatch):
    monkeypatch.setattr(arrival, "nobody_writes", lambda _: False)
    (tmp_path / NAME).write_text("whole")
    assert ready(arrivals, 5.0) == []
    (tmp_path / NAME).write_text("whole, longer")
    assert ready(arrivals, 6.0) == []
    assert ready(arrivals, 7.0) == [NAME]


def test_a_pause_ends_when_the_file_changes(tmp_path, arrivals):
    (tmp_path / NAME).write_text("half")
    (found,) = arrivals.look(monotonic=0.0, oldest=OLDEST, newest=NEWEST).ready
    arrivals.pause(found, until=5.0)
    assert ready(arrivals, 1.0) == []
    whole = tmp_path / "whole"
    whole.write_text("half and half")
    shutil.move(whole, tmp_path / NAME)
    assert ready(arrivals, 2.0) == [NAME]
