"""A real folder is watched: what stirs in it wakes the service, and once more when it settled."""

from __future__ import annotations

import threading
import time

import pytest

from nowcast.service import watch
from nowcast.service.watch import Watch

SETTLE_SECONDS = 0.3


class Woken:
    """Counts when it is called."""

    def __init__(self):
        self.times = []
        self.lock = threading.Condition()

    def __call__(self):
        with self.lock:
            self.times.append(time.monotonic())
            self.lock.notify_all()

    def wait_for(self, count, seconds=15.0):
        with self.lock:
            assert self.lock.wait_for(lambda: len(self.times) >= count, seconds)


@pytest.fixture
def woken(monkeypatch):
    monkeypatch.setattr(watch, "_RETRY_SECONDS", 0.1)
    return Woken()


@pytest.fixture
def watching(woken):
    """Begins to watch a folder; ends with the test."""
    begun = []

    def begin(folder):
        events = []
        begun.append(Watch(folder, woken, SETTLE_SECONDS, events.append))
        begun[-1].start()
        return events

    yield begin
    for one in begun:
        one.stop()


def keep_writing(path, woken, *, seconds=15.0):
    """Write again and again until the watch, which needs a moment to begin, has noticed."""
    limit = time.monotonic() + seconds
    while not woken.times and time.monotonic() < limit:
        path.write_text(str(time.monotonic()))
        time.sleep(0.1)


@pytest.mark.parametrize("name", ["a.h5", "deep/down/a.h5"])
def test_a_file_wakes_and_once_more_when_it_has_settled(tmp_path, woken, watching, name):
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    events = watching(tmp_path)
    keep_writing(path, woken)
    woken.wait_for(2)
    assert woken.times[-1] - woken.times[0] >= SETTLE_SECONDS
    assert events == []


def test_a_folder_may_come_later(tmp_path, woken, watching):
    folder = tmp_path / "feed"
    events = watching(folder)
    time.sleep(0.3)
    assert woken.times == []
    folder.mkdir()
    keep_writing(folder / "a.h5", woken)
    woken.wait_for(1)
    assert events == []


def test_one_that_cannot_be_watched_is_told_once(tmp_path, watching, monkeypatch):
    """As where the kernel has no watches left: the tick lists the folder all the same."""
    import watchfiles

    def full(*given, **named):  # noqa: ARG001 - as it is called
        raise OSError(28, "no space left on device")

    monkeypatch.setattr(watchfiles, "watch", full)
    events = watching(tmp_path)
    time.sleep(0.5)
    (event,) = events
    assert event.kind == "watch failed"
    assert "no space left" in event.facts["reason"]


def test_it_ends_when_it_is_stopped(tmp_path, woken):
    before = threading.active_count()
    one = Watch(tmp_path, woken, SETTLE_SECONDS, list)
    one.start()
    keep_writing(tmp_path / "a", woken)
    one.stop()
    limit = time.monotonic() + 15
    while threading.active_count() > before and time.monotonic() < limit:
        time.sleep(0.05)
    assert threading.active_count() <= before
