"""A replayed week of a bad feed, and what it does to memory, open files and the time of a tick.

    python -m benchmarks.week --frames 2016

2,016 frames of 24x24 cells, persistence, 10 % late, 5 % twice, 3 % cut short, 2 % missing, 2 %
revised, 5 % seen while being written. The oracle is that of the tests. Fails where it finds a fault
or where something grows. Forecasts are made in the process itself, so that what leaks is seen.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "service"))


# Memory of the last quarter of a week over that of the second: the allocator's noise.
MOST_GROWTH = 1.05


def main() -> int:
    """Play, judge, and print figures."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--frames", type=int, default=2016)
    parser.add_argument("--seed", type=int, default=11)
    arguments = parser.parse_args()
    from feed_samples import played, write_frames  # noqa: PLC0415 - beside the tests
    from oracle import judge  # noqa: PLC0415

    from nowcast.service.replay import USUAL_FAULTS, as_fast_as_can_be  # noqa: PLC0415

    with tempfile.TemporaryDirectory() as folder:
        root, began = Path(folder), time.monotonic()
        frames = write_frames(root / "archive", count=arguments.frames)
        faults = replace(USUAL_FAULTS, seed=arguments.seed)
        work = played(root, frames, faults, retention={"published_hours": 1e4})
        growth: list[tuple[float, int, float]] = []

        def note(status: object) -> None:
            growth.append((_resident_mib(), len(os.listdir("/proc/self/fd")), status.tick_seconds))  # type: ignore[attr-defined]  # noqa: PTH208

        with work.service(after_tick=(note,)) as service:
            until = frames[-1][0] + np.timedelta64(4, "h")
            as_fast_as_can_be(service, work.clock, work.feeder, until=until)
        verdict = judge(work, frames)
        told = {name: value for name, value in vars(verdict).items() if name != "wrong"}
        sys.stdout.write(f"{told}\nwrong: {len(verdict.wrong)} {verdict.wrong[:5]}\n")
        sys.stdout.write(f"{time.monotonic() - began:.0f} s\n")
        share = verdict.feasible_published / max(1, verdict.feasible)
        return int(bool(verdict.wrong) or share < 0.999 or not _is_flat(growth))


def _is_flat(growth: list[tuple[float, int, float]]) -> bool:
    """Whether memory and open files in the last quarter are those of the second; both are printed.

    The time of a tick is printed alone: what else the machine does shows in it.
    """
    quarter = max(1, len(growth) // 4)
    medians = []
    for name, part in (
        ("second quarter", growth[quarter : 2 * quarter]),
        ("last", growth[-quarter:]),
    ):
        memory, files, ticks = (np.array(column) for column in zip(*part, strict=True))
        medians.append((float(np.median(memory)), float(np.median(files))))
        sys.stdout.write(
            f"{name}: {medians[-1][0]:.1f} MiB, {medians[-1][1]:.0f} open files, "
            f"tick without work {1000 * np.quantile(ticks, 0.25):.1f} ms\n"
        )
    (memory, files), (last_memory, last_files) = medians
    return last_memory <= MOST_GROWTH * memory and last_files <= files


def _resident_mib() -> float:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


if __name__ == "__main__":
    raise SystemExit(main())
