"""How quick the viewer is: in Chromium on the loopback, and for a hundred clients at once.

python -m benchmarks.viewer FORECASTS [--feed FEED --archive FOLDER] [--seconds 30]
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import subprocess
import sys
import time
from pathlib import Path

import httpx
import numpy as np
from playwright.sync_api import Page, sync_playwright

from nowcast.web.page import assets
from tests.web.browser import CHROMIUM, DESKTOP, FLAGS, shown

_PORT = 8199
_HERE = f"http://127.0.0.1:{_PORT}"
_CLIENTS = 100
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
    parser.add_argument("--seconds", type=float, default=30.0)
    asked = parser.parse_args()
    command = [sys.executable, "-m", "nowcast", "view", str(asked.forecasts), "--port", str(_PORT)]
    if asked.feed:
        command += ["--feed", asked.feed, "--archive", asked.archive]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as server:
        try:
            _wait()
            _say("script and style, gzip, kB", [_size() / 1000])
            _in_browser()
            asyncio.run(_crowd(asked.seconds))
        finally:
            server.terminate()


def _wait() -> None:
    """Until the server answers and has made what it makes at the start."""
    until = time.monotonic() + 120
    while time.monotonic() < until:
        try:
            forecast = httpx.get(f"{_HERE}/data/index.json").json()["forecasts"][0]["id"]
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


async def _crowd(seconds: float) -> None:
    """A hundred clients that each ask for a picture a second."""
    spent: list[float] = []
    until = time.monotonic() + seconds
    limits = httpx.Limits(max_connections=_CLIENTS)
    async with httpx.AsyncClient(base_url=_HERE, limits=limits, timeout=60) as client:
        forecast = (await client.get("/data/index.json")).json()["forecasts"][0]["id"]
        frames = (await client.get(f"/data/{forecast}/forecast.json")).json()["frames"]
        shown_as = {"radar": "radar", "forecast": "rate"}
        names = [f"/data/{forecast}/{shown_as[one['kind']]}/{one['time']}.png" for one in frames]

        async def visitor(number: int) -> None:
            index = number
            while time.monotonic() < until:
                start = time.monotonic()
                answer = await client.get(names[index % len(names)])
                spent.append(1000 * (time.monotonic() - start))
                assert answer.status_code in {200, 404}, answer.status_code
                index += 1
                await asyncio.sleep(1.0)  # what is loaded is kept: a page asks rarely

        await asyncio.gather(*(visitor(number) for number in range(_CLIENTS)))
    _say(f"{_CLIENTS} clients, {len(spent)} answers, ms", spent)


def _say(what: str, values: list[float]) -> None:
    p50, p95, p99 = np.percentile(values, [50, 95, 99])
    sys.stdout.write(f"{what}: p50 {p50:.0f}, p95 {p95:.0f}, p99 {p99:.0f}, n {len(values)}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
