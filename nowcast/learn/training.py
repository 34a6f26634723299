"""From episodes to a file of weights, in steps that can be stopped and taken up again."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

import torch

from mim_core import checkpoint
from mim_core.model import MIM
from mim_core.settings import Hooks, TrainSettings
from nowcast.field.atomic import make_folder
from nowcast.learn.crops import CropSettings, LagrangianCrops
from nowcast.learn.objective import AbsoluteErrors, RainLoss
from nowcast.learn.variety import Variety

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from mim_core.config import MIMConfig
    from mim_core.recurrent import Recurrent
    from nowcast.forecast.head import RainHead
    from nowcast.learn.episodes import Episode

VALIDATION_BATCHES = 8
# Validation samples are drawn with a seed of their own, so that training never meets them by seed.
VALIDATION_SEED = 1_000_003


@dataclass(frozen=True)
class Plan:
    """How to train: the architecture, the samples, the steps; and the weights to begin with."""

    head: RainHead
    architecture: MIMConfig
    crops: CropSettings
    settings: TrainSettings
    batch_size: int = 4
    leads: int = 12
    begin_with: Path | None = None


@dataclass(frozen=True)
class Watch:
    """What the caller hears: ``step(done, loss)``, and ``validated(done, ratio)``.

    The ratio is the absolute error over that of extrapolation on validation episodes.
    """

    step: Callable[[int, float], None] | None = None
    validated: Callable[[int, float], None] | None = None


def train(
    episodes: Sequence[Episode],
    *,
    plan: Plan,
    out: Path,
    validation: Sequence[Episode] = (),
    about: Mapping[str, object],
    watch: Watch | None = None,
) -> dict[str, object]:
    """Train on ``episodes`` and write ``out`` (safetensors); goes on from an earlier stop.

    The state stands beside it, in a folder with the suffix ``.run``. ``about`` (what it was trained
    on, licence notes) joins the header, which is returned. Raises MissingFramesError where there
    is nothing to learn from, and mim_core's TrainingError where the loss is not finite.
    """
    watch = watch or Watch()
    torch.manual_seed(plan.settings.seed)
    run = out.with_suffix(".run")
    make_folder(run / "motions")
    episodes, validation = (
        [replace(episode, store=run / "motions") for episode in group]
        for group in (episodes, validation)
    )
    # Lightning Fabric is an extra.
    from mim_core.train import denormals_flushed, fit  # noqa: PLC0415

    network = MIM(plan.architecture)
    if plan.begin_with is not None:
        network.load_state_dict(checkpoint.load(plan.begin_with)[0].state_dict())
    crops = LagrangianCrops(
        episodes,
        head=plan.head,
        settings=plan.crops,
        batch_size=plan.batch_size,
        seed=plan.settings.seed,
    )
    patch = plan.architecture.patch
    hooks = Hooks(progress=watch.step)
    if validation:
        # This starts torch's threads, before ``fit`` does: they must inherit it too.
        with denormals_flushed():
            score = _validation(validation, plan=plan)
        hooks = replace(hooks, validate=score, validated=watch.validated)
    trained = fit(
        network,
        crops.batch_at,
        loss=RainLoss(plan.head, patch=patch),
        settings=plan.settings,
        out=run,
        hooks=hooks,
    )
    header: dict[str, object] = {
        "head": plan.head.to_dict(),
        "training": {
            "steps": trained.step,
            "batch_size": plan.batch_size,
            "crops": asdict(plan.crops),
            "settings": asdict(plan.settings),
            "episodes": [episode.name for episode in episodes],
            "error_over_extrapolation": trained.best_score,
            "began_with_sha256": plan.begin_with and checkpoint.sha256_of(plan.begin_with),
        },
        **about,
    }
    checkpoint.save(out, trained.model, metadata=header)
    return header


def _validation(episodes: Sequence[Episode], *, plan: Plan) -> Callable[[Recurrent], float]:
    """A score of the network: its absolute error over that of extrapolation, on fixed samples."""
    crops = LagrangianCrops(
        episodes,
        head=plan.head,
        settings=replace(plan.crops, variety=Variety()),
        batch_size=plan.batch_size,
        seed=VALIDATION_SEED,
    )
    batches = [crops.batch_at(step) for step in range(VALIDATION_BATCHES)]
    errors = AbsoluteErrors(plan.head, patch=plan.architecture.patch)

    def score(network: Recurrent) -> float:
        pairs = [errors(network, batch) for batch in batches]
        return sum(said for said, _ in pairs) / max(sum(kept for _, kept in pairs), 1e-9)

    return score
