"""``nowcast benchmark``: the tasks of the MIM paper."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nowcast.cli.common import AsJson, Device, print_json, print_table, progress, say

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Name = Annotated[
    str, typer.Argument(help="A benchmark; see: nowcast benchmark list. Or a TOML file.")
]
Data = Annotated[Path, typer.Option(help="Folder that the files of the benchmark are in.")]

group = typer.Typer(help="The tasks of the MIM paper: train, and score beside published rows.")


def add_to(app: typer.Typer) -> None:
    """Join the commands to the program."""
    app.add_typer(group, name="benchmark")


@group.command("list")
def show(as_json: AsJson = False) -> None:
    """List the benchmarks, with what is known of each.

    Example:

        nowcast benchmark list
    """
    from nowcast import build_benchmark

    profiles = build_benchmark.benchmarks()
    if as_json:
        print_json({name: profile.model_dump(mode="json") for name, profile in profiles.items()})
        return
    rows = []
    for name, profile in profiles.items():
        network = f"{profile.network.layers}x{profile.network.hidden}"
        frames = f"{profile.input_length} -> {profile.total_length - profile.input_length}"
        rows.append((name, profile.title, frames, network, profile.about))
    print_table(("benchmark", "what", "frames", "network", "about"), rows)


@group.command()
def train(
    name: Name,
    out: Annotated[Path, typer.Option("--out", help="Folder for weights, state and log.")],
    data: Data = Path(),
    network: Annotated[str, typer.Option(help="mim, or conv-lstm of the same cost.")] = "mim",
    minutes: Annotated[
        float | None, typer.Option(min=0.05, help="Train so long; schedules fit themselves to it.")
    ] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Train so many steps.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of weights and sequences.")] = None,
    device: Device = "cpu",
    processes: Annotated[
        int | None, typer.Option(min=1, help="Share each batch among so many processes, or GPUs.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Train a network on a benchmark; goes on where it was interrupted.

    Writes weights.safetensors, log.jsonl (a line a step) and the state into the folder.

    Example:

        nowcast benchmark train nyc-taxi --data DATA --steps 4 --out runs/taxi
    """
    from nowcast import build_benchmark as build
    from nowcast.benchmark import sharing

    profile = build.profile(name)
    recipe = build.recipe(profile, minutes=minutes, steps=steps, seed=seed, processes=processes)
    task = build.task(_title(name), profile, data=data)
    made = build.network(profile, task, kind=network, seed=recipe.seed)
    length = f"{recipe.minutes:g} minutes" if recipe.minutes else f"{recipe.steps} steps"
    if sharing.is_first():
        say(f"{profile.title}: {network}, {length}")
    with _bar() as heard:
        weights = build.trained(task, made, recipe=recipe, out=out, device=device, heard=heard)
    if not sharing.is_first():
        return
    if as_json:
        print_json({"weights": str(weights), "log": str(out / "log.jsonl")})
    else:
        typer.echo(str(weights))


@group.command()
def evaluate(
    name: Name,
    weights: Annotated[
        list[Path] | None,
        typer.Option(help="Weights to score: a file, or shipped; may be given again, or left out."),
    ] = None,
    data: Data = Path(),
    out: Annotated[
        Path | None, typer.Option(help="Folder for scores.csv and comparison films.")
    ] = None,
    sequences: Annotated[
        int, typer.Option(min=1, help="Test sequences to score, from the first.")
    ] = 1_000_000,
    batch_size: Annotated[int, typer.Option(min=1, help="Sequences forecast together.")] = 16,
    films: Annotated[int, typer.Option(min=0, help="Films to write, one a sequence.")] = 3,
    device: Device = "cpu",
    as_json: AsJson = False,
) -> None:
    """Score weights on the test of a benchmark, beside the last frame and what others published.

    MSE and MAE are summed over a frame, as in the papers. With --out the scores by lead are
    written, and films of input, truth and forecast.

    Example:

        nowcast benchmark evaluate nyc-taxi --weights shipped --data DATA
    """
    from nowcast import build_benchmark as build
    from nowcast.benchmark import report

    profile = build.profile(name)
    task = build.task(_title(name), profile, data=data)
    methods = build.forecasters(task, weights or [], device=device)
    count = min(sequences, len(task.test))
    with progress("scoring", -(-count // batch_size)) as advance:
        scored = build.scored(
            task, methods, sequences=count, batch_size=batch_size, heard=lambda: advance("")
        )
    written = [] if out is None else build.kept(out, task, methods, scored=scored, films=films)
    rows = build.published(profile)
    if as_json:
        what = {"benchmark": task.name, "sequences": count, "written": [str(p) for p in written]}
        print_json(what | report.plain(scored, published=rows))
        return
    typer.echo(f"{profile.title}: {count} of {len(task.test)} test sequences\n")
    typer.echo(report.text(scored, published=rows))
    for path in written:
        typer.echo(str(path))


@group.command()
def curves(
    runs: Annotated[list[Path], typer.Argument(help="Folders of training runs.")],
    out: Annotated[Path, typer.Option("--out", help="Picture to write, .png or .svg.")],
) -> None:
    """Draw how training went: loss and validation of some runs over the time they took.

    Example:

        nowcast benchmark curves runs/taxi --out runs/curves.png
    """
    from nowcast.benchmark.curves import draw_curves
    from nowcast.field.atomic import make_folder

    make_folder(out.absolute().parent)
    logs = {run.name: run / "log.jsonl" for run in runs}
    typer.echo(str(draw_curves(logs, title="Training", path=out)))


def _title(name: str) -> str:
    """A benchmark's name, or that of the file it is in."""
    return Path(name).stem if name.endswith(".toml") else name


@contextlib.contextmanager
def _bar() -> Iterator[Callable[[int, int, float], None]]:
    """A bar on standard error, for a plan that may change; nothing without a terminal."""
    if not sys.stderr.isatty():
        yield lambda *_: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        line = bar.add_task("training")

        def heard(step: int, plan: int, loss: float) -> None:
            bar.update(line, completed=step, total=plan, description=f"step {step}, {loss:.5f}")

        yield heard
