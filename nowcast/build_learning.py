"""Recipes and options of training become episodes, a plan, and weights."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Self

import numpy as np

from nowcast import build
from nowcast.field.errors import UsageError, WeightsError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from config.recipe import ArchiveSource, Recipe
    from nowcast.field.schema import Frames
    from nowcast.learn.episodes import Episode
    from nowcast.learn.training import Plan

DECIDED_AHEAD = np.timedelta64(2, "h")


def read_recipe(name: str) -> Recipe:
    """A training recipe; raises UsageError."""
    from config.recipe import RECIPES

    with build.as_usage():
        return RECIPES.named(name)


def training_recipe(
    *,
    recipe: str | None,
    feed_name: str | None,
    archive_folder: Path | None,
    series: str | None,
    without: Sequence[str] = (),
) -> Recipe:
    """The recipe of that name, or one made of a single archive; raises UsageError for neither.

    Nothing of the feeds ``without`` which it is to do is left in it; a feed that it does not have
    is refused.
    """
    if recipe is not None:
        return _without(read_recipe(recipe), feeds=without)
    if without:
        raise UsageError("--without leaves feeds out of a recipe: give --recipe")
    if feed_name is None or archive_folder is None:
        raise UsageError("nothing to learn from: give --feed and --archive, or --recipe")
    from config.recipe import ArchiveSource, Recipe

    profile = build.feed(feed_name)
    source = ArchiveSource(feed=feed_name, archive=str(archive_folder.absolute()), series=series)
    return Recipe(title=profile.title, licence_notes=profile.licence, sources=(source,))


def _without(recipe: Recipe, *, feeds: Sequence[str]) -> Recipe:
    from config import nearest

    known = {source.feed for source in (*recipe.sources, *recipe.validation)}
    for name in feeds:
        if name not in known:
            raise UsageError(nearest.unknown("feed of the recipe", name, known=sorted(known)))
    return recipe.without(*feeds)


def plan(recipe: Recipe, *, steps: int | None, seed: int | None, device: str) -> Plan:
    """How to train by the recipe, with another number of steps or seed where given."""
    from mim_core.precision import resolved
    from mim_core.settings import TrainSettings
    from mim_core.update import can_compile
    from nowcast.forecast.head import RainHead
    from nowcast.learn.crops import CropSettings
    from nowcast.learn.training import Plan
    from nowcast.learn.variety import Variety

    training, network = recipe.training, recipe.network
    of_head = {setting.name for setting in fields(RainHead)}
    head = RainHead(**network.model_dump(include=of_head))
    wanted = steps or training.steps
    settings = TrainSettings(
        steps=wanted,
        optimiser=training.optimiser,
        learning_rate=training.learning_rate,
        schedule="cosine",
        final_fraction=0.05,
        warm_up_steps=min(training.warm_up_steps, wanted // 4),
        gradient_clip=training.gradient_clip,
        ema_decay=training.ema_decay,
        precision=resolved(training.precision, accelerator=device),
        compiled=training.compiled == "auto" and can_compile(device),
        seed=training.seed if seed is None else seed,
        checkpoint_every=50,
        validate_every=100,
        accelerator=device,
    )
    return Plan(
        head=head,
        architecture=head.config(**network.model_dump(exclude=of_head)),
        crops=CropSettings(size=training.crop, variety=Variety(**recipe.variety.model_dump())),
        settings=settings,
        batch_size=training.batch_size,
        leads=training.leads,
    )


def tuned_plan(begun: Plan, *, weights: str) -> Plan:
    """The plan with the architecture and head of ``weights``, which training begins with.

    ``shipped``, or the path of a checkpoint. A tenth of the learning rate: what the weights know is
    to be kept. Raises WeightsError.
    """
    from mim_core import checkpoint
    from nowcast.forecast.head import RainHead
    from nowcast.forecast.shipped import SHIPPED, shipped_weights

    path = shipped_weights() if weights == SHIPPED else Path(weights)
    try:
        network, metadata = checkpoint.load(path)
    except checkpoint.CheckpointError as error:
        raise WeightsError(str(error)) from error
    head = metadata.get("head")
    if not isinstance(head, dict):
        raise WeightsError(f"{path}: no head in the header, expected weights for rain")
    slower = replace(begun.settings, learning_rate=begun.settings.learning_rate / 10)
    return replace(
        begun,
        head=RainHead.from_dict(head),
        architecture=network.config,
        settings=slower,
        begin_with=path,
    )


class _Sequence(NamedTuple):
    frames: Frames
    name: str
    cadence: np.timedelta64

    @classmethod
    def of(cls, source: ArchiveSource, *, data: Path) -> Self:
        """The frames of a source, and what their episodes are called; raises SourceError."""
        from nowcast.learn.episodes import unseen_within

        archive = build.archive(source.feed, data / source.archive, series=source.series)
        times = archive.times
        frames = archive.frames_between(times[0], times[-1], every=source.every)
        cadence = archive.cadence * source.every
        # Episodes of one name are one event, and the sums of an event are of one cadence.
        told = (source.feed, source.series, times[0].astype("datetime64[h]"))
        name = " ".join(str(one) for one in told if one is not None)
        return cls(
            unseen_within(frames, boxes=source.leave_out),
            f"{name}, {cadence / np.timedelta64(1, 'm'):g} min",
            cadence,
        )


def episodes(sources: Sequence[ArchiveSource], *, plan: Plan, data: Path) -> list[Episode]:
    """The sequences of all sources that are long enough to train on; raises SourceError."""
    from nowcast.learn.episodes import episodes_of

    found: list[Episode] = []
    for source in sources:
        sequence = _Sequence.of(source, data=data)
        made = episodes_of(**sequence._asdict(), history=plan.head.history, leads=plan.leads)
        found += [replace(episode, from_step=source.from_step) for episode in made]
    return found


def deciding_episodes(recipe: Recipe, *, plan: Plan, data: Path) -> list[Episode]:
    """The sequences that decisions are fixed on, two hours ahead or as far as they reach.

    Raises SourceError.
    """
    from nowcast.learn.episodes import episodes_of

    found: list[Episode] = []
    for source in (*recipe.sources, *recipe.validation):
        sequence = _Sequence.of(source, data=data)
        leads = max(int(DECIDED_AHEAD / sequence.cadence), 1)
        found += episodes_of(
            **sequence._asdict(),
            history=plan.head.history,
            leads=leads,
            least_leads=-(-leads // 4),
        )
    return found


def trained(
    episodes: Sequence[Episode],
    *,
    plan: Plan,
    out: Path,
    validation: Sequence[Episode],
    recipe: Recipe,
    heard: Callable[[int, float], None],
) -> dict[str, object]:
    """Train and write the weights; the header that they carry. Raises UsageError, MethodError."""
    try:
        from mim_core.train import TrainingError
    except ModuleNotFoundError as error:
        raise UsageError(
            f"training needs {error.name}: pip install 'mim-nowcast[train]'"
        ) from error
    from nowcast.field.atomic import make_folder
    from nowcast.field.errors import MethodError
    from nowcast.learn.training import Watch, train

    make_folder(out.absolute().parent)
    about = {"title": recipe.title, "licence_notes": recipe.licence_notes}
    try:
        return train(
            episodes,
            plan=plan,
            out=out,
            validation=validation,
            about=about,
            watch=Watch(step=heard),
        )
    except (TrainingError, ValueError) as error:
        raise MethodError(f"training into {out}: {error}") from error
