"""``nowcast train`` and ``nowcast decide``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nowcast.cli.common import AsJson, Series, print_json, progress, say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nowcast.learn.episodes import Episode
    from nowcast.learn.tuning import Gain


Archive = Annotated[
    Path | None, typer.Option("--archive", help="Folder of its files, at any depth.")
]
RecipeName = Annotated[
    str | None, typer.Option(help="A recipe that ships (radar), or a TOML file of your own.")
]
Without = Annotated[
    list[str] | None,
    typer.Option(help="A feed to leave out of the recipe, to judge the weights by its radar."),
]
DataFolder = Annotated[
    Path | None, typer.Option(help="Folder that the archives of a recipe are relative to.")
]


def add_to(app: typer.Typer) -> None:
    """Join the command to the program."""
    app.command()(train)
    app.command()(decide)


def train(
    out: Annotated[Path, typer.Option("--out", help="File of weights to write (.safetensors).")],
    feed: Annotated[
        str | None, typer.Option("--feed", help="The radar feed to learn from.")
    ] = None,
    archive: Archive = None,
    series: Series = None,
    recipe: RecipeName = None,
    data: DataFolder = None,
    without: Without = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Training steps.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the samples and weights.")] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda, or auto.")] = "cpu",
    begin_with: Annotated[
        str | None,
        typer.Option("--from", help="Weights to begin with: shipped, or a file (.safetensors)."),
    ] = None,
    hold_out: Annotated[
        float,
        typer.Option(min=0.05, max=0.9, help="With --from: the part of the days to judge by."),
    ] = 0.2,
    as_json: AsJson = False,
) -> None:
    """Train a MIM on one archive, or on those of a recipe; goes on where it was interrupted.

    The shipped weights come of the recipe radar, an hour on two cores. With --from weights are
    tuned to your radar; the last days are held out, and the report says whether it helped there.

    Example:

        nowcast train --feed knmi --archive DATA/radar/knmi --steps 2 --out weights.safetensors

        nowcast train --from shipped --feed openmrg --archive DATA/radar/openmrg --steps 2 --out my
    """
    from nowcast import build_learning

    chosen = build_learning.training_recipe(
        recipe=recipe,
        feed_name=feed,
        archive_folder=archive,
        series=series,
        without=without or (),
    )
    plan = build_learning.plan(chosen, steps=steps, seed=seed, device=device)
    if begin_with is not None:
        plan = build_learning.tuned_plan(plan, weights=begin_with)
    say("reading the archives")
    episodes = build_learning.episodes(chosen.sources, plan=plan, data=data or Path())
    validation = build_learning.episodes(chosen.validation, plan=plan, data=data or Path())
    judges: list[Episode] = []
    if begin_with is not None:
        from nowcast.learn.tuning import held_out

        episodes, judges = held_out(episodes, share=hold_out)
    for episode in episodes:
        say(f"  {episode.name}: {episode.radar.sizes['time']} frames")
    with progress("training", plan.settings.steps) as advance:
        header = build_learning.trained(
            episodes,
            plan=plan,
            out=out,
            validation=validation,
            recipe=chosen,
            heard=lambda step, loss: advance(f"step {step}, loss {loss:.3f}"),
        )
    gains = _gains(plan.begin_with, out, judges) if plan.begin_with else []
    if as_json:
        report = [asdict(gain) | {"verdict": gain.verdict} for gain in gains]
        print_json({"weights": str(out), "gains": report, **header})
    else:
        typer.echo(str(out))


def _gains(before: Path, after: Path, judges: Sequence[Episode]) -> list[Gain]:
    """Whether the tuning helped on the days held out, told line by line."""
    from nowcast.learn.tuning import gains

    say("forecasting the held-out days, with the weights before and after")
    forecasts = sum(len(episode.issues[::3]) for episode in judges)
    with progress("forecasting", 2 * forecasts) as advance:
        found = gains(before, after, judges, every=3, heard=advance)
    for gain in found:
        say(str(gain))
    return found


def decide(
    weights: Annotated[Path, typer.Argument(help="Weights of MIM (.safetensors), written anew.")],
    feed: Annotated[str | None, typer.Option("--feed", help="The radar feed to decide on.")] = None,
    archive: Archive = None,
    series: Series = None,
    recipe: RecipeName = None,
    data: DataFolder = None,
    without: Without = None,
    every: Annotated[int, typer.Option(min=1, help="Frames between two forecasts.")] = 6,
    as_json: AsJson = False,
) -> None:
    """Fix from which probability on rain is said, by the highest CSI over the events given.

    The events of a recipe are those it trains on and those it validates on, two hours ahead or as
    far as they reach. Judge the weights by others.

    Example:

        nowcast decide weights.safetensors --feed openmrg --archive DATA/radar/openmrg --every 40
    """
    from nowcast import build_learning
    from nowcast.learn.decisions import decide as decide_on

    chosen = build_learning.training_recipe(
        recipe=recipe,
        feed_name=feed,
        archive_folder=archive,
        series=series,
        without=without or (),
    )
    plan = build_learning.plan(chosen, steps=None, seed=None, device="cpu")
    say("reading the archives")
    episodes = build_learning.deciding_episodes(chosen, plan=plan, data=data or Path())
    forecasts = sum(len(episode.issues[::every]) for episode in episodes)
    with progress("forecasting", forecasts) as advance:
        head = decide_on(weights, episodes, every=every, heard=advance)
    if as_json:
        thresholds = map(str, head.thresholds_mm_h)
        print_json({"decisions": dict(zip(thresholds, head.decisions, strict=True))})
        return
    for threshold, cuts in zip(head.thresholds_mm_h, head.decisions, strict=True):
        typer.echo(f"{threshold:5g} mm/h  {' '.join(f'{cut:.2f}' for cut in cuts)}")
