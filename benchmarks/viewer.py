"""How quick the viewer is: in Chromium on the loopback, and for a hundred clients at once.

python -m benchmarks.viewer FORECASTS [--feed FEED --archive FOLDER] [--part browser|crowd]
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import numpy as np
from playwright.sync_api import Page, sync_playwright

from benchmarks.crowd import CLIENTS, Crowd, cycles
from nowcast.web.page import assets
from tests.web.browser import CHROMIUM, DESKTOP, FLAGS, shown

_PORT = 8199
_HERE = f"http://127.0.0.1:{_PORT}"
_CLICKS, _SWITCHES = 30, 100
# Milliseconds from a key to the next frame on the screen.
_SWITCH = """async (count) => {
  const spent = [];
  for (let index = 0; index < count; index += 1) {
    const start = performance.now();
    document.dispatchEvent(new KeyboardEvent('keydown', { key: '.', bubbles: true }));
    await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
    spent.push(performance.now() - start);
  }
  return spent;
}"""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("forecasts", type=Path)
    parser.add_argument("--feed")
    parser.add_argument("--archive")
    parser.add_argument("--part", choices=("browser", "crowd"), help="left out: both")
    parser.add_argument("--seconds", type=float, default=30.0, help="of the clients alone")
    parser.add_argument("--every", type=float, default=4.0, help="s between a client's pictures")
    parser.add_argument("--cycles", type=int, default=2, help="alone, and beside the clients")
    parser.add_argument("--method", default="mim")
    parser.add_argument("--leads", type=int, default=24)
    asked = parser.parse_args()
    command = [sys.executable, "-m", "nowcast", "view", str(asked.forecasts), "--port", str(_PORT)]
    if asked.feed:
        command += ["--feed", asked.feed, "--archive", asked.archive]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as server:
        try:
            _wait()
            if asked.part != "crowd":
                _say("script and style, gzip, kB", [_size() / 1000])
                _in_browser()
            if asked.part != "browser":
                _in_a_crowd(server, asked)
        finally:
            server.terminate()


def _wait() -> None:
    """Until the server answers and has made what it makes at the start."""
    until = time.monotonic() + 300
    while time.monotonic() < until:
        try:
            index = httpx.get(f"{_HERE}/data/index.json", timeout=60).json()
            forecast = index["forecasts"][0]["id"]
            place = {"lon": 5.2, "lat": 52.1}
            httpx.get(f"{_HERE}/data/{forecast}/point.json", params=place, timeout=120)
        except httpx.TransportError:
            time.sleep(0.2)
        else:
            return
    raise SystemExit(f"no answer from {_HERE}")


def _size() -> int:
    loaded = [one.body for name, one in assets().items() if name.endswith((".js", ".css"))]
    return sum(len(gzip.compress(body)) for body in loaded)


def _in_browser() -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        starts = []
        for _ in range(5):
            page = browser.new_context(viewport=DESKTOP).new_page()  # with nothing in its cache
            page.goto(_HERE)
            shown(page)
            names = ("frame-shown", "map-usable")
            page.wait_for_timeout(500)
            marks = [f"performance.getEntriesByName('{name}')[0].startTime" for name in names]
            starts.append(max(page.evaluate(mark) for mark in marks))
        _say("first usable map, ms", starts)
        total = page.locator("#frames span").count()
        page.wait_for_timeout(500)
        while page.locator("#frames .here").count() < total:
            page.wait_for_timeout(100)
        _say("frame switch, ms", page.evaluate(_SWITCH, _SWITCHES))
        _say("click to timeline, ms", _clicks(page))
        browser.close()


def _clicks(page: Page) -> list[float]:
    """From a click on the map to the timeline drawn."""
    spent = []
    for index in range(_CLICKS):
        page.evaluate("performance.clearMarks('timeline-shown')")
        start = page.evaluate("performance.now()")
        page.mouse.click(500 + 4 * index, 350 + 3 * index)
        last = "performance.getEntriesByName('timeline-shown').at(-1)?.startTime ?? 0"
        while (shown_at := page.evaluate(last)) <= start:
            page.wait_for_timeout(5)
        spent.append(shown_at - start)
        page.wait_for_timeout(400)  # two clicks in a row zoom in
    return spent


def _in_a_crowd(server: subprocess.Popen[bytes], asked: argparse.Namespace) -> None:
    """Clients alone, a cycle alone, then both at once; what each costs of the processors."""
    _clients(server, asked, until=_for(asked.seconds))
    if not asked.archive:
        return
    kind = {"method": asked.method, "leads": asked.leads}
    with cycles(asked.feed, Path(asked.archive), **kind) as made:
        alone, beside = [], []
        for _ in range(asked.cycles):
            made.begin()
            alone.append(made.seconds())
            made.begin()
            _clients(server, asked, until=lambda: made.ended)
            beside.append(made.seconds())
    _say(f"a cycle alone, {asked.method}, {asked.leads} leads, s", alone)
    _say("a cycle beside the clients, s", beside)
    slower = 100 * (float(np.median(beside)) / float(np.median(alone)) - 1)
    sys.stdout.write(f"a cycle is slower by {slower:.0f} %\n")


def _clients(
    server: subprocess.Popen[bytes], asked: argparse.Namespace, *, until: Callable[[], bool]
) -> None:
    crowd = Crowd("127.0.0.1", _PORT, asked.every)
    before, own, started = _used(server.pid), time.process_time(), time.monotonic()
    asyncio.run(crowd.look(until=until))
    wall = time.monotonic() - started
    served = (_used(server.pid) - before) / wall
    loaded = (time.process_time() - own) / wall
    _say(
        f"{CLIENTS} clients, a picture every {asked.every:g} s each, {wall:.0f} s, ms", crowd.spent
    )
    sys.stdout.write(f"  of a processor: the viewer {served:.2f}, the clients {loaded:.2f}\n")


def _used(process: int) -> float:
    """Seconds of a processor that a process has used; Linux."""
    fields = Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _for(seconds: float) -> Callable[[], bool]:
    until = time.monotonic() + seconds
    return lambda: time.monotonic() > until


def _say(what: str, values: list[float]) -> None:
    p50, p95, p99 = np.percentile(values, [50, 95, 99])
    sys.stdout.write(f"{what}: p50 {p50:.0f}, p95 {p95:.0f}, p99 {p99:.0f}, n {len(values)}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
