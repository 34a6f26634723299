"""How long a cycle takes, raw files to NetCDF, maps and scores, and how much memory.

    python -m benchmarks.cycle --feed knmi --archive DATA/radar/knmi --leads 24

The history is read from disk; the last frames of the archive are left for the scores. Take no
timing while anything else runs.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import torch

from nowcast import build, scorecard
from nowcast.ingest.cache import FrameCache
from nowcast.products.render import RenderMaps


def main() -> int:
    """Print the seconds of each part and the peak memory of the process."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--feed", default="knmi")
    parser.add_argument("--archive", type=Path, required=True)
    parser.add_argument("--leads", type=int, default=24)
    parser.add_argument("--method", default="mim")
    arguments = parser.parse_args()
    seconds: dict[str, float] = {}

    @contextmanager
    def timed(part: str) -> Iterator[None]:
        started = time.perf_counter()
        yield
        seconds[part] = time.perf_counter() - started

    with timed("import and set up"):
        source = build.archive(arguments.feed, arguments.archive)
        nowcaster = build.methods([arguments.method], build.MethodOptions())[arguments.method]
        issued = source.times[-arguments.leads - 1]
    with timed("read"):
        past = source.read(end=issued, frames=4)
    with timed("forecast"):
        forecast = nowcaster(past, steps=arguments.leads)
    with tempfile.TemporaryDirectory() as folder:
        with timed("netcdf"):
            path = build.products(maps=False)[0].write(forecast, into=Path(folder))
        with timed("maps"):
            RenderMaps().write(forecast, into=Path(folder))
        with timed("maps, once more"):
            RenderMaps().write(forecast, into=Path(folder))
        with timed("scores"):
            fresh = replace(source, cache=FrameCache())
            scorecard.score({arguments.method: {path.name: path}}, fresh)
    once_more = seconds.pop("maps, once more")
    grid = "x".join(map(str, past["rainfall_rate"].shape[1:]))
    sys.stdout.write(
        f"{arguments.feed} {grid}, {arguments.leads} leads, {arguments.method}, "
        f"{torch.get_num_threads()} threads\n"
    )
    for part, spent in seconds.items():
        sys.stdout.write(f"  {part:18} {spent:6.1f} s\n")
    sys.stdout.write(f"  {'whole cycle':18} {sum(seconds.values()):6.1f} s\n")
    sys.stdout.write(f"  {'maps, once more':18} {once_more:6.1f} s\n")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
    sys.stdout.write(f"  {'peak memory':18} {peak:6.2f} GiB\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
