"""A hundred people who look at the viewer at once, and a forecast cycle beside them."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path

CLIENTS = 100
_POLL_SECONDS = 15.0  # as the page asks which forecasts there are


@dataclass
class Crowd:
    """Clients that step through the frames of the newest forecast, as the page asks for them.

    Each keeps one connection, asks for a picture every ``every`` seconds, and which forecasts there
    are every 15 s. A browser keeps pictures, so people who stay ask for less.

    Attributes:
        host, port: of the viewer.
        every: seconds between the pictures of a client.
        spent: milliseconds of every answer.

    """

    host: str
    port: int
    every: float
    spent: list[float] = field(default_factory=list)

    async def look(self, *, until: Callable[[], bool]) -> None:
        """Let all of them look until that is so."""
        ask = await self._connect()
        index = json.loads(await ask("/data/index.json"))
        forecast = index["forecasts"][0]["id"]
        frames = json.loads(await ask(f"/data/{forecast}/forecast.json"))["frames"]
        shown = {"radar": "radar", "forecast": "rate"}
        names = [f"/data/{forecast}/{shown[one['kind']]}/{one['time']}.png" for one in frames]
        for name in names:  # the first visitor has them painted, or waits for what is being painted
            await ask(name)
        self.spent.clear()
        await asyncio.gather(*(self._visit(number, names, until) for number in range(CLIENTS)))

    async def _visit(self, number: int, names: list[str], until: Callable[[], bool]) -> None:
        await asyncio.sleep(random.Random(number).random() * self.every)
        ask, polled = await self._connect(), -_POLL_SECONDS
        while not until():
            started = time.monotonic()
            if started - polled >= _POLL_SECONDS:
                polled = started
                await ask("/data/index.json")
            await ask(names[number % len(names)])
            number += 1
            await asyncio.sleep(max(0.0, self.every - (time.monotonic() - started)))

    async def _connect(self) -> Callable[[str], asyncio.Future[bytes]]:
        """A connection that is kept.

        HTTP by hand: a client library would cost more than the server, on the same processors.
        """
        reader, writer = await asyncio.open_connection(self.host, self.port)

        async def ask(path: str) -> bytes:
            started = time.monotonic()
            host = f"{self.host}:{self.port}"
            writer.write(f"GET {path} HTTP/1.1\r\nhost: {host}\r\n\r\n".encode())
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            length = int(head.partition(b"content-length:")[2].split(b"\r\n")[0])
            body = await reader.readexactly(length)
            self.spent.append(1000 * (time.monotonic() - started))
            if not head.startswith(b"http/1.1 200"):
                raise SystemExit(f"{path}: {head.decode()}")
            return body

        return ask  # type: ignore[return-value]


@dataclass(frozen=True)
class Cycles:
    """A process that makes forecast cycles, as a service's child does; it has made one already."""

    pipe: Connection

    def begin(self) -> None:
        """Begin a cycle."""
        self.pipe.send("go")

    @property
    def ended(self) -> bool:
        """Whether the cycle that was begun is over."""
        return self.pipe.poll()

    def seconds(self) -> float:
        """How long it took, from raw files to NetCDF."""
        return float(self.pipe.recv())


@contextmanager
def cycles(feed: str, archive: Path, *, method: str, leads: int) -> Iterator[Cycles]:
    """Cycles of a method over the newest frames of an archive."""
    ours, theirs = multiprocessing.Pipe()
    context = multiprocessing.get_context("spawn")
    process = context.Process(target=_work, args=(theirs, feed, archive, method, leads))
    process.start()
    try:
        made = Cycles(ours)
        made.begin()
        made.seconds()
        yield made
    finally:
        process.kill()
        process.join()


def _work(pipe: Connection, feed: str, archive: Path, method: str, leads: int) -> None:
    from dataclasses import replace  # noqa: PLC0415 - in the child alone

    from nowcast import build  # noqa: PLC0415
    from nowcast.cycle import Cycle  # noqa: PLC0415
    from nowcast.ingest.cache import FrameCache  # noqa: PLC0415

    source = build.archive(feed, archive)
    nowcaster = build.nowcaster(method, build.MethodOptions())
    issued = source.latest
    while pipe.recv():
        fresh = replace(source, cache=FrameCache())
        with tempfile.TemporaryDirectory(prefix="nowcast-bench-") as folder:
            started = time.monotonic()
            cycle = Cycle(fresh, nowcaster, build.products(maps=False))
            cycle.run(issued=issued, steps=leads, into=Path(folder))
            pipe.send(time.monotonic() - started)
