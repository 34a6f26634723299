"""Benchmarks put together: profiles become tasks and networks, weights are looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING

from config import benchmark as profiles
from nowcast import build
from nowcast.field.errors import MethodError, UsageError, WeightsError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from config.benchmark import BenchmarkProfile, NetworkPart, PublishedRow, TrainingPart
    from mim_core.config import MIMConfig
    from mim_core.recurrent import Recurrent
    from nowcast.benchmark.evaluation import Forecaster, Scored
    from nowcast.benchmark.task import Task

NETWORKS = ("mim", "conv-lstm")


def benchmarks() -> Mapping[str, BenchmarkProfile]:
    """The profiles that ship, by name; raises UsageError for a wrong one."""
    with build.as_usage():
        return profiles.BENCHMARKS.all()


def profile(name: str) -> BenchmarkProfile:
    """The profile of that name, or in that TOML file; raises UsageError with the nearest names."""
    with build.as_usage():
        return profiles.BENCHMARKS.named(name)


def published(chosen: BenchmarkProfile) -> list[PublishedRow]:
    """What others published on the profile's data set."""
    return profiles.published(chosen.published)


def task(name: str, chosen: BenchmarkProfile, *, data: Path) -> Task:
    """The sequences of a profile, of files under ``data``; raises UsageError and SourceError."""
    from nowcast.benchmark import data as opened

    part = chosen.data
    if isinstance(part, profiles.DigitsData):
        return opened.of_digits(name, chosen, part, path=data / part.digits)
    if isinstance(part, profiles.TrafficData):
        return opened.of_traffic(name, chosen, part, paths=[data / file for file in part.files])
    if isinstance(part, profiles.Human36mData):
        return opened.of_human36m(name, chosen, part, folder=data / part.folder)
    archive = build.archive(part.feed, data / part.archive, series=part.series)
    return opened.of_radar(name, chosen, part, archive=archive)


def recipe(
    chosen: BenchmarkProfile,
    *,
    minutes: float | None = None,
    steps: int | None = None,
    seed: int | None = None,
    processes: int | None = None,
) -> TrainingPart:
    """The profile's way of training, with what is given in place of what it says.

    Raises UsageError for minutes and steps at once.
    """
    if minutes is not None and steps is not None:
        raise UsageError("--minutes and --steps: give one of them")
    given = {"seed": seed, "processes": processes}
    changes: dict[str, object] = {name: said for name, said in given.items() if said is not None}
    if minutes is not None or steps is not None:
        changes |= {"minutes": minutes, "steps": steps}
    return chosen.training.model_copy(update=changes)


def network(chosen: BenchmarkProfile, task: Task, *, kind: str, seed: int) -> Recurrent:
    """A new network for a task: MIM as the profile has it, or the ConvLSTM of the same cost."""
    import torch

    from mim_core.baselines import conv_lstm_like
    from mim_core.model import MIM

    if kind not in NETWORKS:
        raise UsageError(f"--network {kind}: expected one of {', '.join(NETWORKS)}")
    part = chosen.network
    height, width = task.train[0]["frames"].shape[-2:]
    if height % part.patch or width % part.patch:
        raise UsageError(
            f"{task.name}: frames of {height}x{width}, which the patch of {part.patch} does not "
            "divide; choose another patch in the profile"
        )
    grid = (height // part.patch, width // part.patch)
    config = configuration(part, channels=task.channels, grid=grid)
    torch.manual_seed(seed)
    return MIM(config) if kind == "mim" else conv_lstm_like(config)


def configuration(part: NetworkPart, *, channels: int, grid: tuple[int, int]) -> MIMConfig:
    """The MIM of a profile for frames of ``channels`` on a patched ``grid``."""
    from mim_core.config import MIMConfig

    return MIMConfig(
        in_channels=channels,
        num_hidden=(part.hidden,) * part.layers,
        kernel_size=part.kernel_size,
        patch=part.patch,
        layer_norm=part.layer_norm,
        peepholes=part.peepholes,
        frame_size=grid,
        first_layer=part.first_layer,
        difference_input=part.difference_input,
        residual=part.residual,
    )


def trained(
    task: Task,
    network: Recurrent,
    *,
    recipe: TrainingPart,
    out: Path,
    device: str = "cpu",
    heard: Callable[[int, int, float], None],
) -> Path:
    """Train and write the weights; goes on where ``out`` was left.

    Raises UsageError for a device that is not there, MethodError where training goes wrong.
    """
    build.check_device(device)
    try:
        from mim_core.train import TrainingError
    except ModuleNotFoundError as error:
        raise UsageError(
            f"training needs {error.name}: pip install 'mim-nowcast[train]'"
        ) from error
    from nowcast.benchmark.training import Run, train
    from nowcast.field.atomic import make_folder

    make_folder(out)
    try:
        return train(Run(task, network, recipe, out, device, heard), about={})
    except (TrainingError, ValueError) as error:
        raise MethodError(f"training into {out}: {error}") from error


def weights(path: Path, task: Task, *, device: str = "cpu") -> Recurrent:
    """The network in a file of weights; raises WeightsError where it is not one for the task."""
    from mim_core import checkpoint

    build.check_device(device)
    try:
        found, _ = checkpoint.load_network(path, map_location=device)
    except checkpoint.CheckpointError as error:
        raise WeightsError(str(error)) from error
    if found.config.in_channels != task.channels:
        raise WeightsError(
            f"{path}: a network for {found.config.in_channels} channels, expected "
            f"{task.channels}, those of {task.name}"
        )
    return found.requires_grad_(requires_grad=False)


def forecasters(task: Task, paths: Sequence[Path], *, device: str = "cpu") -> dict[str, Forecaster]:
    """What is scored on a task, by name: the networks of some files, and what they must beat.

    The path ``shipped`` stands for the weights that come with the package. Raises UsageError where
    there are none for the task.
    """
    from nowcast.benchmark import evaluation
    from nowcast.forecast.shipped import SHIPPED

    networks = {}
    for path in paths:
        shipped = str(path) == SHIPPED
        network = weights(_shipped(task) if shipped else path, task, device=device)
        kind = type(network).__name__
        # Of several files of weights each is called by its folder too.
        folder = SHIPPED if shipped else path.absolute().parent.name
        networks[kind if len(paths) == 1 else f"{kind}, {folder}"] = network
    if len(networks) < len(paths):
        raise UsageError(
            f"two networks of one name among {', '.join(map(str, paths))}, expected weights in "
            "folders of different names, which tell networks of a kind apart"
        )
    return evaluation.forecasters(task, networks)


def _shipped(task: Task) -> Path:
    from nowcast.forecast.shipped import shipped_benchmarks, shipped_weights

    names = shipped_benchmarks()
    if task.name not in names:
        raise UsageError(
            f"--weights shipped: none are shipped for {task.name}, expected one of "
            f"{', '.join(names)}; train some: nowcast benchmark train {task.name}"
        )
    return shipped_weights(f"benchmarks/{task.name}")


def scored(
    task: Task,
    methods: Mapping[str, Forecaster],
    *,
    sequences: int,
    batch_size: int,
    heard: Callable[[], None],
) -> dict[str, Scored]:
    """The scores of all methods on the test of a task."""
    from nowcast.benchmark import evaluation

    return evaluation.evaluate(
        task, methods, sequences=sequences, batch_size=batch_size, heard=heard
    )


def kept(
    out: Path,
    task: Task,
    methods: Mapping[str, Forecaster],
    *,
    scored: Mapping[str, Scored],
    films: int,
) -> list[Path]:
    """Scores by lead as CSV, and films of the first test sequences: the files written."""
    import torch

    from nowcast.benchmark import report
    from nowcast.benchmark.films import film
    from nowcast.field.atomic import make_folder

    make_folder(out)
    written = [report.write(scored, out / "scores.csv")]
    for index in range(min(films, len(task.test))):
        item = task.test[index]
        batch = {name: torch.stack([values]) for name, values in item.items()}
        for name, method in methods.items():
            slug = "-".join(name.lower().replace(",", " ").split())
            path = out / f"{task.name}-{index + 1}-{slug}.gif"
            written.append(film(task, item["frames"], method(batch)[0], path=path))
    return written
