"""Mutants decoded in children, by the thousand, and what became of them.

    python tests/fuzz/fuzz_run.py --mutants 20000 --data DATA

What must hold: neither this process nor its children's caller crashes or hangs; a reader raises
nothing but the project's errors; and a frame that passes the gate is a frame.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from fuzz_mutants import write_mutant
from fuzz_seeds import make_seeds

from nowcast.field import schema
from nowcast.field.errors import (
    ChildDiedError,
    ChildError,
    ChildMemoryError,
    ChildTimeoutError,
    SourceError,
    UnfitFrameError,
    UnsafeFileError,
)
from nowcast.ingest import decode
from nowcast.service.child import Limits, call, prepare
from nowcast.service.quality import Gate

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from fuzz_seeds import Seed

    from nowcast.field.schema import Frames

_BATCH = 40
_ONE = Limits(seconds=10, memory_bytes=2 << 30)
_MANY = Limits(seconds=60, memory_bytes=2 << 30)
# What may become of a mutant; the first five are as it should be.
FATES = (
    "accepted as it was",
    "accepted, other content",
    "refused",
    "unsafe",
    "unfit",
    "hung",
    "died",
    "ate memory",
    "foreign error",
    "passed, and is no frame",
)
LIBRARIES = (
    *("rasterio", "eccodes", "wradlib", "PIL.GifImagePlugin", "netCDF4", "zarr"),
    *(f"nowcast.ingest.readers.{name}" for name in ("mrms", "geotiff", "radolan", "mch_gif")),
)


class Fate(NamedTuple):
    """What became of a mutant."""

    form: str
    number: int
    fate: str
    told: str
    seconds: float


@dataclass
class Report:
    """Counts by format, and the mutants that a human should see."""

    fates: dict[str, Counter[str]] = field(default_factory=dict)
    noted: list[Fate] = field(default_factory=list)
    slowest: Fate | None = None

    def add(self, fate: Fate) -> None:
        self.fates.setdefault(fate.form, Counter())[fate.fate] += 1
        if fate.fate in FATES[5:]:
            self.noted.append(fate)
        if self.slowest is None or fate.seconds > self.slowest.seconds:
            self.slowest = fate

    def count(self, fate: str) -> int:
        return sum(counts[fate] for counts in self.fates.values())

    @property
    def examined(self) -> int:
        return sum(counts.total() for counts in self.fates.values())

    def table(self) -> str:
        lines = ["format".ljust(14) + "".join(name.rjust(len(name) + 2) for name in FATES)]
        for form, counts in [
            *sorted(self.fates.items()),
            ("all", sum(self.fates.values(), Counter())),
        ]:
            cells = (str(counts[name]).rjust(len(name) + 2) for name in FATES)
            lines.append(form.ljust(14) + "".join(cells))
        lines += [f"{f.fate}: {f.form} {f.number}: {f.told}" for f in self.noted]
        if self.slowest:
            lines.append(
                f"slowest: {self.slowest.form} {self.slowest.number} {self.slowest.seconds:.2f} s"
            )
        return "\n".join(lines)


def run(
    shared: Path,
    folder: Path,
    *,
    mutants: int,
    first: int = 0,
    batch: int = _BATCH,
    tell: Callable[[Report], None] = lambda _: None,
) -> Report:
    """Make and decode that many mutants, the formats in turn, a batch of them in one child.

    ``tell`` hears how far it has come after every batch.
    """
    seeds = make_seeds(shared, folder / "seeds")
    for seed in seeds:
        (whole,) = call(examine, seed, [None], folder, limits=_MANY)
        assert whole.fate == "accepted as it was", f"{seed.path} itself: {whole}"
    report = Report()
    for turn, start in enumerate(range(0, mutants, batch)):
        seed = seeds[turn % len(seeds)]
        numbers = range(first + start, first + min(start + batch, mutants))
        for fate in _examined(seed, numbers, folder):
            report.add(fate)
        tell(report)
    return report


def _examined(seed: Seed, numbers: Sequence[int], folder: Path) -> list[Fate]:
    try:
        return call(examine, seed, numbers, folder, limits=_MANY)
    except ChildError as error:
        if len(numbers) == 1:
            return [Fate(seed.form, numbers[0], _fate_of(error), str(error), _ONE.seconds)]
    # One of them did it: each by itself, in a child of its own.
    return [fate for number in numbers for fate in _alone(seed, number, folder)]


def _alone(seed: Seed, number: int, folder: Path) -> list[Fate]:
    try:
        return call(examine, seed, [number], folder, limits=_ONE)
    except ChildError as error:
        return [Fate(seed.form, number, _fate_of(error), str(error), _ONE.seconds)]


def _fate_of(error: ChildError) -> str:
    kinds = {ChildTimeoutError: "hung", ChildDiedError: "died", ChildMemoryError: "ate memory"}
    return kinds.get(type(error), "foreign error")


def examine(seed: Seed, numbers: Sequence[int | None], folder: Path) -> list[Fate]:
    """In the child: make mutants and decode them; None stands for the seed itself."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # libraries complain there
    reader, gate = decode.reader_of(seed.profile), Gate()
    whole = reader.read(seed.path, stamp=seed.stamp(seed.path))
    before = reader.read(seed.before, stamp=seed.stamp(seed.before)) if seed.before else None
    fates = []
    for number in numbers:
        with tempfile.TemporaryDirectory(dir=folder) as place:
            path = seed.path if number is None else write_mutant(seed.path, number, Path(place))
            begun = time.monotonic()
            fate, told = _fate(seed, path, (whole, before), gate)
            seconds = time.monotonic() - begun
        fates.append(Fate(seed.form, -1 if number is None else number, fate, told, seconds))
    return fates


def _fate(
    seed: Seed, path: Path, known: tuple[Frames, Frames | None], gate: Gate
) -> tuple[str, str]:
    whole, before = known
    reader, stamp = decode.reader_of(seed.profile), seed.stamp(path)
    try:
        reader.matches(path)
        frames = reader.read(path, stamp=stamp)
        if stamp is not None:
            gate.check_times(reader.times(path), stamp)
        gate.check_frames(frames, before)
    except UnfitFrameError as error:
        return "unfit", str(error)
    except UnsafeFileError as error:
        return "unsafe", str(error)
    except SourceError as error:
        return "refused", str(error)
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - the finding
        return "foreign error", f"{type(error).__name__}: {error}"
    if wrong := _wrong(frames, before):
        return "passed, and is no frame", wrong
    same = frames["rainfall_rate"].equals(whole["rainfall_rate"])
    return ("accepted as it was" if same else "accepted, other content"), ""


def _wrong(frames: Frames, before: Frames | None) -> str:
    """What is wrong with an accepted frame, by other means than the gate's."""
    rate, times = frames["rainfall_rate"].values, frames["time"].values
    if np.isinf(rate).any() or (rate[~np.isnan(rate)] < 0).any():
        return "a rate is infinite or negative"
    if (rate > 300).mean() > 0.01:
        return "more than one cell in a hundred is above 300 mm/h"
    if np.isnat(times).any() or not (np.diff(times) > np.timedelta64(0)).all():
        return f"times {times}"
    if before is not None:
        for name in ("y", "x"):
            if not np.allclose(frames[name].values, before[name].values, rtol=0, atol=2.0):
                return f"coordinate {name} moved"
    schema.grid_of(frames)
    return ""


def main() -> int:
    """Run from the command line; 1 where something happened that must not."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mutants", type=int, default=20_000)
    parser.add_argument("--first", type=int, default=0, help="number of the first mutant")
    parser.add_argument("--data", type=Path, required=True, help="folder of real data")
    options = parser.parse_args()
    prepare(*LIBRARIES)
    begun = time.monotonic()

    def tell(report: Report) -> None:
        if report.examined % 1000 < _BATCH:
            told = [f"{fate.fate}: {fate.form} {fate.number}" for fate in report.noted]
            spent = time.monotonic() - begun
            sys.stderr.write(f"{report.examined} mutants, {spent:.0f} s, {told}\n")

    with tempfile.TemporaryDirectory() as folder:
        report = run(
            options.data, Path(folder), mutants=options.mutants, first=options.first, tell=tell
        )
    spent = time.monotonic() - begun
    sys.stdout.write(f"{report.table()}\n{options.mutants} mutants in {spent:.0f} s\n")
    return 1 if report.count("foreign error") or report.count("passed, and is no frame") else 0


if __name__ == "__main__":
    sys.exit(main())
