"""How long MIM takes for a forecast and for an ensemble, beside pysteps' STEPS, in turns.

    python -m benchmarks.ensemble --feed mch --archive DATA/radar/mch/20150515

Issued in the middle of the archive, the motion found anew in each. Take no timing while anything
else runs.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from nowcast import build
from nowcast.forecast.classical import Steps
from nowcast.forecast.mim import Mim
from nowcast.forecast.shipped import shipped_weights
from nowcast.large_blocks import keep_large_blocks

if TYPE_CHECKING:
    from nowcast.forecast.base import Nowcaster

HISTORY = 8


def main() -> int:
    """Print the median seconds of each way, and its part of what STEPS takes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--feed", default="mch")
    parser.add_argument("--archive", type=Path, required=True)
    parser.add_argument("--leads", type=int, default=12)
    parser.add_argument("--members", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    source = build.archive(arguments.feed, arguments.archive)
    past = source.read(end=source.times[len(source.times) // 2 - 1], frames=HISTORY)
    weights = shipped_weights()
    ways: dict[str, Nowcaster] = {
        "one field": Mim(weights, probabilities=False),
        "with probabilities": Mim(weights),
        f"{arguments.members} members": Mim(weights, members=arguments.members),
        f"STEPS, {arguments.members} members": Steps(members=arguments.members),
    }
    for nowcaster in ways.values():
        nowcaster(past, steps=1)  # reads weights, imports what comes late
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(arguments.rounds):
        for way, nowcaster in ways.items():
            started = time.perf_counter()
            nowcaster(past, steps=arguments.leads)
            seconds[way].append(time.perf_counter() - started)
    grid = "x".join(map(str, past["rainfall_rate"].shape[1:]))
    sys.stdout.write(
        f"{arguments.feed} {grid}, {arguments.leads} leads, {torch.get_num_threads()} threads, "
        f"medians of {arguments.rounds} in turns\n"
    )
    medians = {way: statistics.median(spent) for way, spent in seconds.items()}
    longest = medians[f"STEPS, {arguments.members} members"]
    for way, spent in medians.items():
        sys.stdout.write(f"  {way:20} {spent:7.2f} s  {spent / longest:6.3f}\n")
    return 0


if __name__ == "__main__":
    keep_large_blocks(sys.orig_argv[1:])  # as the command line does; STEPS has it too
    raise SystemExit(main())
