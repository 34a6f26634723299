"""From the files of a data set to a task."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
import torch

from mim_core.datasets import colour_mnist, human36m, taxibj
from mim_core.datasets.crops import Crops
from mim_core.datasets.digits import digits_of, read_digits
from mim_core.datasets.moving_mnist import MovingMNIST, white
from nowcast.benchmark.task import Task
from nowcast.field.errors import FormatError, MissingFramesError, UsageError
from nowcast.field.units import ZR
from nowcast.ingest.gridded_traffic import open_traffic

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    import xarray as xr
    from numpy.typing import NDArray
    from torch import Tensor

    from config.benchmark import BenchmarkProfile, DigitsData, Human36mData, RadarData, TrafficData
    from mim_core.batches import Samples
    from mim_core.datasets.digits import Part
    from nowcast.ingest.archive import Archive

VALIDATION_SEQUENCES = 1000
# Parts of one data set are drawn with seeds of their own.
_SEEDS: Mapping[Part, int] = {"train": 0, "validation": 1_000_003, "test": 2_000_003}


def of_digits(name: str, profile: BenchmarkProfile, data: DigitsData, *, path: Path) -> Task:
    """Moving MNIST or its colour-changing kin of the digits in ``path``."""
    coloured = data.kind == "colour-mnist"
    with _explained(path):
        digits = read_digits(path)

        def of(part: Part, count: int) -> Samples:
            return MovingMNIST(
                digits_of(digits, part),
                count=count,
                seed=data.seed + _SEEDS[part],
                length=profile.total_length,
                size=data.size,
                paint=colour_mnist.changing if coloured else white,
            )

        return Task(
            name=name,
            input_length=profile.input_length,
            total_length=profile.total_length,
            channels=3 if coloured else 1,
            train=of("train", data.train_sequences),
            validation=of("validation", VALIDATION_SEQUENCES),
            test=of("test", data.test_sequences),
            colours="rgb" if coloured else "grey",
            about={"digits": path.name, "seed": data.seed},
        )


def of_traffic(
    name: str, profile: BenchmarkProfile, data: TrafficData, *, paths: Sequence[Path]
) -> Task:
    """Flows of the files in ``paths``, one after the other in time."""
    start = None if data.start is None else np.datetime64(data.start, "ns")
    with _explained(paths[0]):
        opened = [open_traffic(path, start=start) for path in paths]
        counts = [
            np.stack([city["inflow"].values, city["outflow"].values], axis=1) for city in opened
        ]
        dated = [_times(city, path) for city, path in zip(opened, paths, strict=True)]
        times = np.concatenate(dated)
        order = np.argsort(times, kind="stable")
        flows = taxibj.flows_of(
            np.concatenate(counts)[order],
            times[order],
            slots=data.slots,
            test_days=data.test_days,
            validation_days=data.validation_days,
        )
        length = profile.total_length
        return Task(
            name=name,
            input_length=profile.input_length,
            total_length=length,
            channels=2,
            train=flows.windows("train", length=length),
            validation=flows.windows("validation", length=length) if data.validation_days else None,
            test=flows.beside_usual("test", length=length),
            colours="heat",
            about={
                "least": flows.least,
                "most": flows.most,
                "files": [path.name for path in paths],
            },
        )


def _times(city: xr.Dataset, path: Path) -> NDArray[np.datetime64]:
    if "time" not in city.coords:
        raise UsageError(f"{path}: does not date its frames; the profile must say data.start")
    times: NDArray[np.datetime64] = city["time"].values
    return times


def of_human36m(name: str, profile: BenchmarkProfile, data: Human36mData, *, folder: Path) -> Task:
    """The pictures of ``folder``."""

    def of(subjects: Sequence[str], stride: int) -> human36m.Human36M:
        return human36m.Human36M(
            folder,
            subjects=tuple(subjects),
            stride=stride,
            length=profile.total_length,
            size=data.size,
        )

    with _explained(folder):
        watched = data.validation_subjects
        return Task(
            name=name,
            input_length=profile.input_length,
            total_length=profile.total_length,
            channels=3,
            train=of(data.train_subjects, data.train_stride),
            validation=of(watched, data.test_stride) if watched else None,
            test=of(data.test_subjects, data.test_stride),
            colours="rgb",
            about={"train_subjects": data.train_subjects, "test_subjects": data.test_subjects},
        )


def of_radar(name: str, profile: BenchmarkProfile, data: RadarData, *, archive: Archive) -> Task:
    """Crops of the longest unbroken run of an archive; its end is the test."""
    series = scaled_dbz(archive, dbz_max=data.dbz_max)
    test = round(len(series) * (1 - data.test_share))
    validation = round(len(series) * (1 - data.test_share - data.validation_share))

    def of(part: Part, frames: Tensor, count: int) -> Samples:
        return Crops(
            frames,
            length=profile.total_length,
            size=data.size,
            count=count,
            seed=data.seed + _SEEDS[part],
            busy=data.busy_dbz / data.dbz_max,
            busy_share=data.busy_share,
        )

    with _explained(archive.folder):
        between = series[validation:test]
        return Task(
            name=name,
            input_length=profile.input_length,
            total_length=profile.total_length,
            channels=1,
            train=of("train", series[:validation], data.train_sequences),
            validation=of("validation", between, VALIDATION_SEQUENCES) if len(between) else None,
            test=of("test", series[test:], data.test_sequences),
            events={f"{dbz:g} dBZ": dbz / data.dbz_max for dbz in data.thresholds_dbz},
            colours="heat",
            about={"feed": data.feed, "dbz_max": data.dbz_max},
        )


def scaled_dbz(archive: Archive, *, dbz_max: float) -> Tensor:
    """Reflectivity (T, 1, y, x) of the longest unbroken run: 0 dBZ is 0, ``dbz_max`` 1, NaN unseen.

    Frames that come as rain rates are turned by the feed's own relation. Raises MissingFramesError
    where two frames never follow each other.
    """
    frames = archive.frames_between(archive.times[0], archive.latest)
    breaks = np.flatnonzero(np.diff(frames["time"].values) != archive.cadence) + 1
    runs = np.split(np.arange(frames.sizes["time"]), breaks)
    run = max(runs, key=len)
    if len(run) < 2:
        raise MissingFramesError(
            f"{archive.folder}: no two frames follow each other, expected a sequence"
        )
    rate = frames["rainfall_rate"].values[run[0] : run[-1] + 1]
    dbz = ZR(a=archive.profile.zr.a, b=archive.profile.zr.b).dbz(rate)
    return torch.from_numpy(np.clip(dbz / dbz_max, 0.0, 1.0)).unsqueeze(1)


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """What mim_core refuses, as an error of ours; a file that is not there by its name."""
    try:
        yield
    except FileNotFoundError as error:
        missing = f"{error.filename}: no such file; --data names the folder that it is in"
        raise UsageError(missing) from error
    except OSError as error:
        raise FormatError(f"{path}: cannot be read: {error}") from error
    except ValueError as error:
        raise FormatError(str(error)) from error
