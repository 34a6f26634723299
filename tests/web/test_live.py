"""The page on a service that runs: ``nowcast serve`` publishes, ``nowcast view`` shows it."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import numpy as np
from playwright.sync_api import Page, expect

from nowcast.service import names
from tests.service.feed_samples import CADENCE, LIVE_SETTINGS, write_frames
from tests.web.browser import DESKTOP, chromium, shown
from tests.web.conftest import free_port

MINUTE = np.timedelta64(1, "m")


@contextmanager
def program(*words: str, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """``nowcast`` while it runs; it must end well when it is told to."""
    log = folder / f"{words[0]}.log"
    with log.open("wb") as file:
        command = [sys.executable, "-m", "nowcast", *words]
        running = subprocess.Popen(command, cwd=folder, stderr=file, stdout=file)
    try:
        yield running
    finally:
        running.terminate()
        running.wait(timeout=30)
    assert "Traceback" not in log.read_text()


def wait(for_: Callable[[], object], *, seconds: float = 120) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            if for_():
                return
        except (httpx.HTTPError, OSError):
            pass
        time.sleep(0.1)
    raise AssertionError(f"not within {seconds:g} s")


class Reader(threading.Thread):
    """A program that asks for ``latest`` all the time; notes every answer that is not whole."""

    def __init__(self, address: str) -> None:
        super().__init__(daemon=True)
        self.asked = f"{address}/edr/collections/latest/position?coords=POINT(5.2 52.1)"
        self.seen: list[str] = []
        self.torn: list[str] = []
        self.ended = threading.Event()

    def run(self) -> None:
        with httpx.Client(timeout=30) as client:
            while not self.ended.wait(0.05):
                self.note(client.get(self.asked))

    def note(self, answer: httpx.Response) -> None:
        """Which forecast answered, and whether its name and its times are of one."""
        if answer.status_code == 404 and not self.seen:
            return  # none has been published yet
        said = answer.json() if answer.status_code == 200 else {"id": ""}
        cycle = names.parse(said["id"])
        leads = [] if cycle is None else [cycle.issue_time + lead * CADENCE for lead in (1, 2, 3)]
        stamps = [f"{np.datetime_as_string(time, unit='s')}Z" for time in leads]
        if not stamps or said["domain"]["axes"]["t"]["values"] != stamps:
            self.torn.append(answer.text)
        elif said["id"] not in self.seen:
            self.seen.append(said["id"])

    def stop(self) -> None:
        self.ended.set()
        self.join(timeout=60)


def look_again(page: Page) -> None:
    """As when a phone is taken up again: the page does not wait for its next poll."""
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")


def test_the_page_follows_a_service_from_before_its_first_cycle(tmp_path: Path) -> None:
    """The feed was out: data of 25 min ago come, then of 15, then today's; nothing is torn."""
    (tmp_path / "service.toml").write_text(LIVE_SETTINGS.format(data="nowcast-data", leads=3))
    (tmp_path / "incoming").mkdir()
    now = np.datetime64(int(time.time()) // 60 * 60, "s").astype("datetime64[ns]")
    frames = dict(write_frames(tmp_path / "kept", count=8, size=24, start=now - 7 * CADENCE))

    def bring(*back: int) -> np.datetime64:
        for minutes in back:
            path = frames[now - minutes * MINUTE]
            shutil.copy(path, tmp_path / "incoming" / path.name)
        return now - back[-1] * MINUTE

    port = free_port()
    address = f"http://127.0.0.1:{port}"
    view = ("view", "--config", "service.toml", "--port", str(port))
    wrong: list[str] = []
    with (
        program(*view, folder=tmp_path) as viewer,
        program("serve", "--config", "service.toml", folder=tmp_path),
        chromium() as browser,
        ExitStack() as stack,
    ):
        wait(lambda: httpx.get(f"{address}/data/index.json").status_code == 200)
        page = browser.new_context(viewport=DESKTOP).new_page()
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("response", lambda said: said.status >= 400 and wrong.append(said.url))
        page.goto(address)
        expect(page.locator("#moment")).to_have_text("No forecast yet.")
        reader = Reader(address)
        reader.start()
        stack.callback(reader.stop)
        issued = []
        for back, state, frames_back in (((35, 30, 25), "red", 3), ((20, 15), "amber", 5)):
            issued.append(_published(bring(*back), tmp_path))
            look_again(page)
            _shows(page, issued[-1], state=state, radar=frames_back)
        expect(page.locator("#banner")).to_be_hidden()
        issued.append(_published(bring(10, 5, 0), tmp_path))
        look_again(page)
        _shows(page, issued[-1], state="fresh", radar=8)
        expect(page.locator("#frames .here")).to_have_count(11)
        reader.stop()
        assert reader.torn == []
        assert [name for name in reader.seen if name in issued] == issued
        assert wrong == []
        # Somebody who has chosen an older forecast stays with it.
        page.locator("#forecast").select_option(issued[0])
        expect(page.locator("#age")).to_have_attribute("data-state", "red")
        look_again(page)
        assert page.locator("#forecast").input_value() == issued[0]
        assert "forecast=" in page.evaluate("location.hash")
        # The viewer is no part of the service: it may die, and what is loaded stays.
        viewer.kill()
        viewer.wait()
        look_again(page)
        expect(page.locator("#banner")).to_contain_text("The server does not answer")
        page.keyboard.press("n")
        expect(page.locator("#moment")).to_contain_text("Radar now")


def _published(moment: np.datetime64, folder: Path) -> str:
    """The name of the cycle of a time, once ``latest`` leads to it."""
    name = str(names.CycleId(moment))
    wait(lambda: (folder / "nowcast-data" / "latest").readlink().name == name)
    return name


def _shows(page: Page, name: str, *, state: str, radar: int) -> None:
    patient = {"timeout": 30_000}
    expect(page.locator("#forecast")).to_have_value(name, **patient)
    expect(page.locator("#age")).to_have_attribute("data-state", state, **patient)
    expect(page.locator("#frames .radar")).to_have_count(radar, **patient)
    shown(page)
    expect(page.locator("#moment")).to_contain_text("Radar now", **patient)
    expect(page.locator("#banner")).to_be_visible(visible=state == "red")
