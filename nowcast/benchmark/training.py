"""Training for a number of steps, or for a time: with schedules that fit what will be reached.

How many steps an hour holds is found out by a few of them, and looked at again while the hour
goes: the run is a chain of parts, each of which ends where the plan is looked at. What is left of
learning rate and sampling is then spread over the steps that are left.
"""

from __future__ import annotations

import copy
import shutil
import time
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from mim_core import checkpoint
from mim_core.batches import from_samples, with_reversed_time
from mim_core.precision import resolved
from mim_core.settings import Hooks, TrainSettings
from mim_core.update import can_compile
from nowcast.benchmark import sharing
from nowcast.benchmark.log import TrainingLog
from nowcast.benchmark.objective import Feeding, FrameLoss, fed, squared_error

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from config.benchmark import TrainingPart
    from mim_core.batches import BatchAt
    from mim_core.recurrent import Recurrent
    from mim_core.train import Trained
    from nowcast.benchmark.task import Task

# Shares of the time after which the plan is looked at again.
REVIEWS = (0.03, 0.1, 0.25, 0.5, 0.75, 0.9)
LAST_REVIEW = 0.97  # a plan that was reached after it is good enough
VALIDATION_BATCH = 16
TRIAL_STEPS = 4  # of which the first, which is slow, does not count
STATE, WEIGHTS, LOG = "training.safetensors", "weights.safetensors", "log.jsonl"
PACE = "pace"  # the folder of the steps that tell the pace


@dataclass(frozen=True)
class Run:
    """What a run trains, on what, how, and where it keeps it.

    Attributes:
        network: trained in place.
        recipe: its ``minutes`` or ``steps`` say how long.
        heard: is told the steps done, the steps planned and the loss after every step.
        clock: seconds since some moment.

    """

    task: Task
    network: Recurrent
    recipe: TrainingPart
    out: Path
    device: str = "cpu"
    heard: Callable[[int, int, float], None] = field(default=lambda *_: None)
    clock: Callable[[], float] = time.monotonic

    @property
    def patch(self) -> int:
        """The patch of the network."""
        return self.network.config.patch


def train(run: Run, *, about: Mapping[str, object]) -> Path:
    """Train, going on from what stands in ``run.out``; the file of weights.

    ``about`` joins their header, with the recipe and what came of it. Raises mim_core's
    TrainingError and ValueError as ``mim_core.train.fit`` does.
    """
    log = TrainingLog.resumed(run.out / LOG, step=_steps_done(run.out), is_kept=sharing.is_first())
    spent, started = log.seconds, run.clock()
    torch.set_num_threads(max(1, torch.get_num_threads() // run.recipe.processes))

    def seconds() -> float:
        return spent + run.clock() - started

    if log.last("plan") is None:
        log.add(step=0, seconds=seconds(), plan=_first_plan(run, seconds))
    while True:
        trained = _part(run, log, seconds)
        plan = sharing.as_the_first_says(partial(_next_plan, run, log, trained.step, seconds))
        if plan is None:
            break
        log.add(step=trained.step, seconds=seconds(), plan=plan)
    header = {
        "task": {
            "name": run.task.name,
            "input_length": run.task.input_length,
            "total_length": run.task.total_length,
            **run.task.about,
        },
        "training": {
            **run.recipe.model_dump(),
            "steps_made": trained.step,
            "seconds": round(log.seconds),
            "validation_mse": trained.best_score,
        },
        **about,
    }
    _forget_pace(run)
    if sharing.is_first():
        # Half the size, and no score differs: a rounding of 5e-4 of each weight.
        checkpoint.save(run.out / WEIGHTS, trained.model, metadata=header, dtype=torch.float16)
    return run.out / WEIGHTS


def _steps_done(out: Path) -> int:
    """The step of the state that a run goes on from."""
    state = out / STATE
    if not state.is_file():
        return 0
    _, header = checkpoint.read_tensors(state)
    return int(str(header["step"]))


def _part(run: Run, log: TrainingLog, seconds: Callable[[], float]) -> Trained:
    """Train until the plan is reached or is to be looked at again."""
    from mim_core.train import fit  # noqa: PLC0415 - Lightning Fabric is an extra

    plan, review = int(log.last("plan")), _next_review(run, log.seconds)
    # The warm-up must not change with the plan: a state is gone on from with the settings it has.
    first_plan = int(log.records[0]["plan"])

    def progress(step: int, loss: float) -> None:
        log.add(step=step, seconds=round(seconds(), 3), loss=loss)
        run.heard(step, plan, loss)

    def validated(step: int, score: float) -> None:
        log.add(step=step, seconds=round(seconds(), 3), score=score)

    hooks = Hooks(
        progress=progress,
        stop=lambda _: seconds() >= review,
        validate=_validation(run),
        validated=validated,
    )
    return fit(
        run.network,
        _batches(run, plan),
        loss=_loss(run),
        settings=_settings(run, steps=plan, first_plan=first_plan),
        out=run.out,
        hooks=hooks,
    )


def _next_review(run: Run, seconds: float) -> float:
    if run.recipe.minutes is None:
        return float("inf")
    reviews = (60 * run.recipe.minutes * share for share in REVIEWS)
    return next((review for review in reviews if review > seconds), float("inf"))


def _first_plan(run: Run, seconds: Callable[[], float]) -> int:
    """The steps asked for, or those that the time holds by a few steps on a copy."""
    minutes = run.recipe.minutes
    if minutes is None:
        return run.recipe.steps or 1
    from mim_core.train import fit  # noqa: PLC0415 - Lightning Fabric is an extra

    ends: list[float] = []
    _forget_pace(run)
    fit(
        copy.deepcopy(run.network),
        _batches(run, TRIAL_STEPS),
        loss=_loss(run),
        settings=_settings(run, steps=TRIAL_STEPS, first_plan=TRIAL_STEPS),
        out=run.out / PACE,
        hooks=Hooks(progress=lambda *_: ends.append(seconds())),
    )

    def by_pace() -> int:
        pace = (ends[-1] - ends[0]) / (TRIAL_STEPS - 1)
        return max(1, round((60 * minutes - seconds()) / pace))

    return sharing.as_the_first_says(by_pace)


def _forget_pace(run: Run) -> None:
    if sharing.is_first():
        shutil.rmtree(run.out / PACE, ignore_errors=True)


def _next_plan(run: Run, log: TrainingLog, done: int, seconds: Callable[[], float]) -> int | None:
    """The steps done and those that the rest of the time holds, at the pace since the last plan.

    None where the run is over: the plan reached, and no time left that is worth another one.
    """
    minutes, now = run.recipe.minutes, seconds()
    if done >= log.last("plan") and (minutes is None or now >= LAST_REVIEW * 60 * minutes):
        return None
    assert minutes is not None  # a plan of steps is never looked at again
    since = max(place for place, record in enumerate(log.records) if "plan" in record)
    made = [record for record in log.records[since:] if "loss" in record]
    # Without the first one, which may have had to compile: the others say what is to come.
    first, last = (made[0] if len(made) > 1 else log.records[since]), log.records[-1]
    pace = (now - float(first["seconds"])) / max(1, last["step"] - first["step"])
    left = 60 * minutes - now
    more: int = max(1, round(left / max(pace, 1e-6)))
    return int(last["step"]) + more


def _loss(run: Run) -> FrameLoss:
    return FrameLoss(
        run.task.input_length,
        patch=run.patch,
        absolute_share=run.recipe.absolute_share,
        forecast_only=run.recipe.counted == "forecast",
        lead_exponent=run.recipe.lead_exponent,
    )


def _batches(run: Run, steps: int) -> BatchAt:
    recipe = run.recipe
    batch_at = from_samples(run.task.train, batch_size=recipe.batch_size, seed=recipe.seed)
    if recipe.reversed_time:
        batch_at = with_reversed_time(batch_at)
    feeding = Feeding(
        recipe.sampling, steps=max(1, round(recipe.sampling_share * steps)), seed=recipe.seed
    )
    return fed(batch_at, feeding=feeding, input_length=run.task.input_length, patch=run.patch)


def _settings(run: Run, *, steps: int, first_plan: int) -> TrainSettings:
    recipe = run.recipe
    return TrainSettings(
        optimiser=recipe.optimiser,
        learning_rate=recipe.learning_rate,
        schedule=recipe.schedule,
        warm_up_steps=round(recipe.warm_up_share * first_plan),
        final_fraction=recipe.final_fraction,
        gradient_clip=recipe.gradient_clip,
        accumulate=recipe.accumulate,
        precision=resolved(recipe.precision, accelerator=run.device),
        compiled=recipe.compiled == "auto" and can_compile(run.device),
        ema_decay=recipe.ema_decay,
        seed=recipe.seed,
        steps=steps,
        checkpoint_every=max(1, min(200, steps // 10)),
        validate_every=max(1, steps // max(1, recipe.validations)),
        accelerator=run.device,
        devices=run.recipe.processes,
        strategy="ddp" if run.recipe.processes > 1 else "auto",
    )


def _validation(run: Run) -> Callable[[Recurrent], float] | None:
    """The mean squared error of the forecast on some validation sequences, summed over a frame."""
    samples = run.task.validation
    if samples is None or run.recipe.validations == 0:
        return None
    count = min(run.recipe.validation_sequences, len(samples))
    chosen = from_samples(samples, batch_size=count, seed=run.recipe.seed)(0)
    parts = range(0, count, VALIDATION_BATCH)
    batches = [
        {name: values[first : first + VALIDATION_BATCH] for name, values in chosen.items()}
        for first in parts
    ]

    def score(network: Recurrent) -> float:
        errors = [
            squared_error(network, batch, input_length=run.task.input_length, patch=run.patch)
            for batch in batches
        ]
        return sum(errors) / (count * run.task.leads)

    return score
