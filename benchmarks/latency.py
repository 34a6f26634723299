"""From a frame that is whole in the feed's folder to its forecast, published: how long, and where.

    python -m benchmarks.latency --archive DATA/radar/knmi/2010 --method mim --frames 6

A real ``nowcast serve`` on real frames of KNMI (765x700), which come in one by one under times of
today; all its settings are the defaults. Every other frame comes when the service has nothing to
do, the others while the maps and scores of the forecast before are made. The network's run is
measured in the child that makes the forecast, and subtracted.
"""

from __future__ import annotations

import argparse
import datetime as dt
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from benchmarks import probe
from nowcast.service.layout import Layout
from nowcast.service.names import CycleId

_CADENCE = np.timedelta64(5, "m")
_BEFORE = 4  # frames that are there when the service starts
_PATIENCE_SECONDS = 180.0
_SETTINGS = """
schema_version = 1
[service]
data = "data"
[feed]
name = "knmi"
folder = "incoming"
late_minutes = 1440
[forecast]
methods = [{methods}]
leads = {leads}
"""
# In the order in which they happen.
_PARTS = (
    *("waiting to be seen", "copied and judged", "planned", "child started", "history read"),
    *("method", "gate", "netcdf", "handed back", "published"),
)


@dataclass(frozen=True)
class Timed:
    """A frame on its way.

    Attributes:
        idle: whether the service had nothing else to do when it came.
        seconds: from the frame's arrival until its forecast was published.
        maps_after: from then until its maps were there.
        parts: seconds by part; ``network`` lies within ``method``.

    """

    idle: bool
    seconds: float
    maps_after: float | None
    parts: dict[str, float]

    @property
    def without_network(self) -> float:
        """All but the network's run."""
        return self.seconds - self.parts["network"]


@dataclass(frozen=True)
class Track:
    """A folder in which a service runs on frames that come in one by one.

    Attributes:
        root: the folder.
        frames: files of KNMI, one a time step.
        newest: the time that the last of them is given; the others come before it.

    """

    root: Path
    frames: Sequence[Path]
    newest: np.datetime64

    @property
    def layout(self) -> Layout:
        """Where its forecasts are."""
        return Layout(self.root / "data")

    @property
    def parts(self) -> Path:
        """What its probe writes."""
        return self.root / "parts.jsonl"

    def prepare(self) -> None:
        """Let the first frames be accepted and forecast, by a method that takes no time."""
        self.settle_on("persistence", leads=1)
        for name in ("incoming", "ready"):
            (self.root / name).mkdir()
        for index in range(_BEFORE):
            self.deliver(index)
        with self.serving():
            for index in range(_BEFORE):
                self._wait_for(self.layout.published / str(CycleId(self.valid_time(index))))

    def settle_on(self, *methods: str, leads: int) -> None:
        """Write the settings."""
        named = ", ".join(f'"{method}"' for method in methods)
        text = _SETTINGS.format(methods=named, leads=leads)
        (self.root / "service.toml").write_text(text, encoding="utf-8")

    def valid_time(self, index: int) -> np.datetime64:
        """The time that a frame has today."""
        return self.newest - (len(self.frames) - 1 - index) * _CADENCE

    def deliver(self, index: int) -> float:
        """Let a frame appear, whole, under a time of today; when it did (s, wall clock)."""
        valid = self.valid_time(index)
        stamp = np.datetime_as_string(valid, unit="m").translate(str.maketrans("", "", "-:T"))
        made = self.root / "ready" / f"RAD_NL25_RAP_5min_{stamp}.h5"
        shutil.copyfile(self.frames[index], made)
        with h5py.File(made, "r+") as file:
            for key, when in (("start", valid - _CADENCE), ("end", valid)):
                file["overview"].attrs[f"product_datetime_{key}"] = _as_knmi_says(when)
        made.replace(self.root / "incoming" / made.name)
        return time.time()

    def published_at(self, index: int) -> float:
        """Wait until ``latest`` holds the NetCDF of a frame's forecast; when it did."""
        cycle = CycleId(self.valid_time(index))
        return self._wait_for(self.layout.latest / f"{cycle}.nc")

    def maps_at(self, index: int) -> float:
        """Wait until the maps of a frame's forecast are there; when they were."""
        return self._wait_for(self.layout.maps / str(CycleId(self.valid_time(index))))

    def _wait_for(self, path: Path) -> float:
        limit = time.time() + _PATIENCE_SECONDS
        while not path.exists():
            if time.time() > limit:
                log = (self.root / "log").read_text(encoding="utf-8")
                raise TimeoutError(f"{path.name} did not come; the service said: {log[-2000:]}")
            time.sleep(0.005)
        return time.time()

    def wait_for_a_tick(self, *, since: float) -> None:
        """Wait until the service has looked around once after that time."""
        while "tick" not in self.calls(since=since, until=time.time()):
            time.sleep(0.05)

    def calls(self, *, since: float, until: float) -> dict[str, probe.Spent]:
        """What the probe saw in a span of time: the last call of each part."""
        spent = probe.read(self.parts.read_text(encoding="utf-8"))
        return {one.part: one for one in spent if since <= one.began and one.ended <= until}

    @contextmanager
    def serving(self) -> Iterator[subprocess.Popen[bytes]]:
        """The service, for as long as this lasts."""
        words = [sys.executable, "-m", "benchmarks.probe", "serve"]
        command = [*words, "--config", str(self.root / "service.toml")]
        environment = os.environ | {probe.VARIABLE: str(self.parts)}
        with (self.root / "log").open("ab") as log:
            process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        try:
            yield process
        finally:
            process.terminate()
            process.wait(_PATIENCE_SECONDS)


def _as_knmi_says(time: np.datetime64) -> np.ndarray:
    text = f"{time.astype(dt.datetime):%d-%b-%Y;%H:%M:%S.000}".upper()
    return np.array([text.encode("ascii")], dtype="S25")


def _timed(track: Track, index: int, *, idle: bool) -> Timed:
    """One frame, from its arrival to its forecast, and to its maps where these are waited for."""
    seen = track.deliver(index)
    out = track.published_at(index)
    maps = track.maps_at(index) if idle else None
    time.sleep(0.2)  # the probe writes when a part has ended
    calls = track.calls(since=seen, until=out + 0.2)
    look, make = calls["child look"], calls["child make"]
    starts = {
        "waiting to be seen": calls["copy"].began - seen,
        "copied and judged": look.ended - calls["copy"].began,
        "planned": make.began - look.ended,
        "child started": calls["make"].began - make.began,
        "handed back": make.ended - calls["make"].ended,
        "published": out - make.ended,
    }
    of_child = {"history read": "history", "method": "method", "gate": "gate", "netcdf": "netcdf"}
    parts = starts | {name: calls[part].seconds for name, part in of_child.items()}
    network = calls["network"].seconds if "network" in calls else 0.0
    return Timed(
        idle, out - seen, None if maps is None else maps - out, parts | {"network": network}
    )


def _measured(track: Track) -> list[Timed]:
    """All frames that follow the first ones; every other one comes while maps are being made."""
    found = []
    with track.serving() as service:
        track.wait_for_a_tick(since=time.time())
        for index in range(_BEFORE, len(track.frames)):
            idle = index % 2 == 0
            if idle:
                _wait_until_idle(service.pid)
            found.append(_timed(track, index, idle=idle))
            told = f"{found[-1].seconds:.2f} s, of it network {found[-1].parts['network']:.2f} s"
            sys.stderr.write(f"frame {index - _BEFORE + 1}: {told}\n")
    return found


def _wait_until_idle(service: int, *, seconds: float = 1.5) -> None:
    """Wait until the service has had no child at work for so long: chores are done."""
    since = time.time()
    while time.time() - since < seconds:
        if any(_children(server) for server in _children(service)):
            since = time.time()
        time.sleep(0.05)


def _children(process: int) -> list[int]:
    try:
        told = Path(f"/proc/{process}/task/{process}/children").read_text(encoding="ascii")
    except OSError:
        return []
    return [int(word) for word in told.split()]


def _table(name: str, found: Sequence[Timed]) -> Iterator[str]:
    """Lines that say how long it took."""
    whole = [one.seconds for one in found]
    without = [one.without_network for one in found]
    yield f"{name}, n={len(found)}"
    for label, values in (("visible to published", whole), ("without the network", without)):
        middle, high = np.quantile(values, [0.5, 0.95])
        yield f"  {label:22} median {middle:6.2f} s   95 % {high:6.2f} s"
    for part in (*_PARTS, "network"):
        values = [one.parts[part] for one in found]
        yield f"    {part:20} median {np.median(values):6.2f} s   longest {max(values):6.2f} s"
    maps = [one.maps_after for one in found if one.maps_after is not None]
    if maps:
        middle, soonest = np.median(maps), min(maps)
        yield f"  maps followed after    median {middle:6.2f} s   soonest {soonest:6.2f} s"


def main() -> int:
    """Print how long it took; 1 where the median without the network is above ``--within``."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--archive", type=Path, required=True)
    parser.add_argument("--skip", type=int, default=36, help="frames of the archive left out")
    parser.add_argument("--method", default="mim", choices=("mim", "extrapolation"))
    parser.add_argument("--frames", type=int, default=6)
    parser.add_argument("--leads", type=int, default=24)
    parser.add_argument("--within", type=float, default=6.0)
    arguments = parser.parse_args()
    files = sorted(arguments.archive.rglob("*.h5"))[arguments.skip :]
    frames = files[: _BEFORE + arguments.frames]
    newest = np.datetime64(int(time.time()) // 300 * 300, "s")
    with tempfile.TemporaryDirectory() as folder:
        track = Track(Path(folder), frames, newest)
        track.prepare()
        track.settle_on(arguments.method, "persistence", leads=arguments.leads)
        found = _measured(track)
    sys.stdout.write(f"{arguments.method}, 765x700, {arguments.leads} leads, KNMI\n")
    for idle, name in ((True, "alone"), (False, "while maps and scores are made")):
        lines = _table(name, [one for one in found if one.idle is idle])
        sys.stdout.write("\n".join(lines) + "\n")
    middle = float(np.median([one.without_network for one in found]))
    return int(middle > arguments.within)


if __name__ == "__main__":
    raise SystemExit(main())
