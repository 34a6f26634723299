"""The service killed again and again, at random and at each named step, while a reader reads.

    python -m benchmarks.chaos --kills 500

Each kill is ``kill -9`` on a real ``nowcast serve`` that replays a simulated archive; it is started
again at once. Afterwards no reader may have seen a torn product, every cycle must have ended, once,
the ledger must be sound, and every start must have been followed by a sign of work (a frame taken,
a forecast published) in time.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "service"))

_SETTINGS = """
schema_version = 1
[service]
data = "data"
[feed]
name = "odim"
folder = "archive"
cadence_minutes = 5
[forecast]
methods = ["persistence"]
leads = 2
attempts = 10
[products]
maps = false
[skill]
verify = false
[retention]
published_hours = 10000
free_gib = 0
"""


# The rest of the archive, once there have been enough kills, is played as fast as it goes.
_LAST_SPEED = 6000.0


@dataclass
class Reader:
    """Reads all that is published, and ``latest``, as long as it runs."""

    root: Path
    reads: int = 0
    torn: list[str] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Hold every file against its manifest; whatever goes wrong with that counts as torn."""
        try:
            while not self.stop.wait(0.05):
                self._read()
        except Exception as error:  # noqa: BLE001 - a reader that dies has seen nothing since
            self.torn.append(f"the reader died: {error!r}")

    def _read(self) -> None:
        from nowcast.field.errors import NowcastError  # noqa: PLC0415
        from nowcast.service import published  # noqa: PLC0415
        from nowcast.service.layout import Layout  # noqa: PLC0415

        layout = Layout(self.root)
        for cycle in published.cycles(layout)[-8:]:
            try:
                self.torn += published.open_cycle(layout, cycle).problems()
                published.latest(layout)
            except NowcastError as error:
                self.torn.append(str(error))
            self.reads += 1


@dataclass(frozen=True)
class Chaos:
    """One replay that is killed.

    Attributes:
        root: where it happens.
        frames: how many frames are played.
        speed: how fast.

    """

    root: Path
    frames: int
    speed: float

    def prepare(self) -> None:
        """Write the archive and the settings."""
        from feed_samples import write_frames  # noqa: PLC0415

        write_frames(self.root / "archive", count=self.frames)
        (self.root / "service.toml").write_text(_SETTINGS, encoding="utf-8")

    @property
    def data(self) -> Path:
        """The service's folder."""
        return self.root / "data-replay"

    def start(self, crash_at: str = "") -> subprocess.Popen[bytes]:
        """The service, begun or begun again."""
        from feed_samples import CADENCE, START  # noqa: PLC0415

        stop = START + (self.frames - 1) * CADENCE
        command = [
            *(
                sys.executable,
                "-m",
                "nowcast",
                "serve",
                "--config",
                str(self.root / "service.toml"),
            ),
            *("--replay", f"{str(START)[:16]}Z", f"{str(stop)[:16]}Z", "--speed", str(self.speed)),
        ]
        environment = os.environ | {"NOWCAST_CRASH_AT": crash_at, "OMP_NUM_THREADS": "1"}
        log = (self.root / "log").open("ab")
        with log:
            return subprocess.Popen(command, env=environment, stdout=log, stderr=log)

    def wrong(self) -> list[str]:
        """What is not as it must be in the end."""
        from feed_samples import CADENCE, START  # noqa: PLC0415

        from nowcast.service import published  # noqa: PLC0415
        from nowcast.service.cycles import STANDING, Cycles  # noqa: PLC0415
        from nowcast.service.layout import Layout  # noqa: PLC0415
        from nowcast.service.ledger import Ledger  # noqa: PLC0415

        layout = Layout(self.data)
        with Ledger.opened(layout.ledger) as ledger:
            found = ledger.problems()
            rows = Cycles(ledger).between(START, START + self.frames * CADENCE)
        standing = [row.id for row in rows if row.state in STANDING]
        found += [f"{row.id} is {row.state}" for row in rows if row.state not in STANDING]
        missing = self.frames - len({cycle.issue_time for cycle in standing})
        found += [f"{missing} cycles are lost"] if missing else []
        found += [f"{cycle} was issued again" for cycle in standing if cycle.version > 1]
        if sorted(standing) != published.cycles(layout):
            found.append("the ledger and what is published differ")
        left = [path.name for path in layout.staging.iterdir()]
        return found + [f"{name} was left in staging" for name in left]


@dataclass
class Recoveries:
    """How long it took from each start to the first sign of work.

    Attributes:
        allowed: seconds, more is too long.
        seconds: of every start that was waited for.

    """

    allowed: float
    seconds: list[float] = field(default_factory=list)

    def wait(self, chaos: Chaos, process: subprocess.Popen[bytes], *, done: int) -> None:
        """Wait until more than ``done`` has been done; a process that ends first counts not."""
        began = time.monotonic()
        while process.poll() is None and time.monotonic() - began < 10 * self.allowed:
            if _work_done(chaos) > done:
                break
            time.sleep(0.02)
        if process.poll() is None:
            self.seconds.append(time.monotonic() - began)

    @property
    def too_long(self) -> list[str]:
        """Those that took longer than they may."""
        return [f"{spent:.1f} s until it was back at work" for spent in self._late]

    @property
    def _late(self) -> list[float]:
        return [spent for spent in self.seconds if spent > self.allowed]

    def __str__(self) -> str:
        """Median, 95th percentile and longest."""
        middle, high = np.quantile(self.seconds, [0.5, 0.95])
        return (
            f"median {middle:.2f} s, 95 % {high:.2f} s, longest {max(self.seconds):.2f} s "
            f"(n={len(self.seconds)}, {len(self._late)} above {self.allowed:g} s)"
        )


def killed(chaos: Chaos, *, kills: int, seed: int, allowed: float = 10.0) -> dict[str, object]:
    """Kill at random until enough, then let it end."""
    draw, reader, back = random.Random(seed), Reader(chaos.data), Recoveries(allowed)
    chaos.prepare()
    thread = threading.Thread(target=reader.run, daemon=True)
    thread.start()
    done, ended = 0, False
    while done < kills and not ended:
        before, process = _work_done(chaos), chaos.start()
        if draw.random() < 0.7:  # the others die while they are starting, or soon after
            back.wait(chaos, process, done=before)
        ended = _wait_for_end(process, draw.expovariate(1 / 0.8))
        if not ended:
            process.send_signal(signal.SIGKILL)
            process.wait()
            done += 1
    code = replace(chaos, speed=_LAST_SPEED).start().wait(3600)
    reader.stop.set()
    thread.join()
    wrong = chaos.wrong() + back.too_long
    wrong += [f"exit {code} in the end"] if code else []
    wrong += [f"the archive was played after {done} kills: it needs more frames"] if ended else []
    return {
        "kills": done,
        "reads": reader.reads,
        "torn": reader.torn,
        "wrong": wrong,
        "back at work": str(back),
    }


def crashed(root: Path, point: str) -> list[str]:
    """Kill once at a named step, go on, and say what is wrong."""
    chaos = Chaos(root, frames=5, speed=2000)
    chaos.prepare()
    first = chaos.start(point).wait(180)
    found = [] if first == -signal.SIGKILL else [f"{point}: never passed (exit {first})"]
    second = chaos.start().wait(180)
    found += [] if second == 0 else [f"{point}: exit {second} after the restart"]
    return found + [f"{point}: {line}" for line in chaos.wrong()]


def _work_done(chaos: Chaos) -> int:
    """How many frames were taken and forecasts published; what was there is not counted twice."""
    return sum(1 for name in ("frames", "published") for _ in (chaos.data / name).glob("*"))


def _wait_for_end(process: subprocess.Popen[bytes], seconds: float) -> bool:
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return False
    return True


def main() -> int:
    """Print what came of it; 1 where something is wrong."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--kills", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--within", type=float, default=10.0, help="seconds to be back at work in")
    parser.add_argument("--points", action=argparse.BooleanOptionalAction, default=True)
    arguments = parser.parse_args()
    from nowcast.service import crash  # noqa: PLC0415

    wrong: list[str] = []
    if arguments.points:
        for point in crash.POINTS:
            if not point.startswith(("maps.", "retention.")):
                with tempfile.TemporaryDirectory() as folder:
                    found = crashed(Path(folder), point)
                sys.stdout.write(f"{point}: {found or 'well'}\n")
                sys.stdout.flush()
                wrong += found
    if arguments.kills:
        with tempfile.TemporaryDirectory() as folder:
            chaos = Chaos(Path(folder), frames=20 + 3 * arguments.kills // 2, speed=600)
            told = killed(
                chaos, kills=arguments.kills, seed=arguments.seed, allowed=arguments.within
            )
        for name, value in told.items():
            sys.stdout.write(f"{name}: {value}\n")
        wrong += [*told["torn"], *told["wrong"]]  # type: ignore[misc]
    return int(bool(wrong))


if __name__ == "__main__":
    raise SystemExit(main())
