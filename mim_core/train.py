"""The training loop, on Lightning Fabric: from one core to many devices, resumed exactly.

What a step does depends on the step and on the state: ``batch_at`` and the learning rate are pure
functions of the step, and the state on disk is whole (weights, their average, the optimiser's
moments, random state). So an interrupted run gives the same bits as an uninterrupted one.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from mim_core import checkpoint
from mim_core.batches import Batch, BatchAt
from mim_core.recurrent import Recurrent
from mim_core.settings import FIXED, OPTIMISERS, Hooks, TrainSettings
from mim_core.update import compiled_updates

Loss = Callable[[nn.Module, Batch], Tensor]


class TrainingError(RuntimeError):
    """Training cannot go on; the message names the step and the last good state."""


@dataclass(frozen=True)
class Trained:
    """The averaged weights (with validation, the best ones), and how they came about."""

    model: Recurrent
    step: int
    best_score: float | None


@dataclass
class _Run:
    """Everything that changes while training, and what changes it."""

    model: Recurrent
    average: Recurrent
    optimiser: torch.optim.Optimizer
    settings: TrainSettings
    out: Path
    step: int = 0
    best_score: float | None = None
    waited: int = 0  # validations since the best one

    @property
    def finished(self) -> bool:
        patience = self.settings.patience
        return self.step >= self.settings.steps or (
            patience is not None and self.waited >= patience
        )


def fit(
    model: Recurrent,
    batch_at: BatchAt,
    *,
    loss: Loss,
    settings: TrainSettings,
    out: Path,
    hooks: Hooks | None = None,
) -> Trained:
    """Train ``model`` in place up to ``settings.steps``, going on from what stands in ``out``.

    ``loss(network, batch)`` calls the network and gives a scalar. ``batch_at(step)`` gives the
    whole batch, of which every process takes its share of sequences; it runs in a thread beside,
    so it must not use global random numbers. Writes ``out/training.safetensors`` (the state) and
    ``out/model.safetensors`` (averaged weights; with validation, the best). Raises TrainingError
    when loss or gradient is not finite, with the last good state left on disk, and ValueError
    when the state in ``out`` is of another architecture or other settings.
    """
    hooks = hooks or Hooks()
    fabric = Fabric(
        accelerator=settings.accelerator,
        devices=settings.devices,
        strategy=settings.strategy,
        precision=settings.precision,  # type: ignore[arg-type]  # TrainSettings has checked it
    )
    fabric.launch()
    cells = compiled_updates(model) if settings.compiled else nullcontext()
    with denormals_flushed(), torch.random.fork_rng(), cells:
        torch.manual_seed(settings.seed)
        optimiser = OPTIMISERS[settings.optimiser](model.parameters(), lr=settings.learning_rate)
        network, stepper = fabric.setup(model.train(), optimiser)
        average = copy.deepcopy(model).eval().requires_grad_(requires_grad=False)
        run = _Run(model, average, optimiser, settings, out)
        _restore(run)
        for batch in _prefetched(batch_at, run, pinned=fabric.device.type == "cuda"):
            value = _gradient(fabric, network, stepper, loss=loss, batch=batch, run=run)
            stepper.step()
            run.step += 1
            _follow(run)
            if hooks.progress is not None and fabric.is_global_zero:
                hooks.progress(run.step, value)
            due = run.step % settings.validate_every == 0 or run.step == settings.steps
            if hooks.validate is not None and due:
                _validate(run, hooks, fabric)
            asked = hooks.stop is not None and hooks.stop(run.step)
            stopping = run.finished or fabric.broadcast(asked)
            if fabric.is_global_zero and (stopping or run.step % settings.checkpoint_every == 0):
                _store(run)
            if stopping:
                break
    fabric.barrier()
    trained, _ = checkpoint.load_network(out / "model.safetensors", map_location=fabric.device)
    return Trained(trained.eval(), run.step, run.best_score)


@contextmanager
def denormals_flushed() -> Iterator[None]:
    """Denormal numbers, which are slow, count as 0 meanwhile.

    Threads inherit it, so it must come before the first parallel region; afterwards the caller's
    arithmetic is whole again.
    """
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)


def _prefetched(batch_at: BatchAt, run: _Run, *, pinned: bool) -> Iterator[Batch]:
    """The batches of the steps still to do, each made while the network works on the one before.

    ``pinned``: in memory from which a GPU copies while it computes.
    """
    if run.finished:
        return

    def made(step: int) -> Batch:
        batch = batch_at(step)
        return {name: one.pin_memory() for name, one in batch.items()} if pinned else batch

    with ThreadPoolExecutor(max_workers=1) as beside:
        coming = beside.submit(made, run.step)
        for step in range(run.step + 1, run.settings.steps + 1):
            batch = coming.result()
            if step < run.settings.steps:
                coming = beside.submit(made, step)
            yield batch


def _gradient(
    fabric: Fabric,
    network: nn.Module,
    stepper: torch.optim.Optimizer,
    *,
    loss: Loss,
    batch: Batch,
    run: _Run,
) -> float:
    """Loss of the batch over all processes; leaves the clipped gradient on the parameters."""
    for group in run.optimiser.param_groups:
        group["lr"] = run.settings.learning_rate_at(run.step)
    run.optimiser.zero_grad()
    share = {
        name: _share(values, name=name, rank=fabric.global_rank, count=fabric.world_size)
        for name, values in batch.items()
    }
    count = run.settings.accumulate
    value = torch.zeros((), device=fabric.device)
    for part in range(count):
        some = {
            name: _share(values, name=name, rank=part, count=count)
            for name, values in share.items()
        }
        of_part = loss(network, fabric.to_device(some)) / count
        value += of_part.detach()
        fabric.backward(of_part)
    mean: Tensor = fabric.all_reduce(value, reduce_op="mean")  # type: ignore[assignment]
    _check_finite(mean.item(), "loss", run)
    norm = fabric.clip_gradients(
        network,
        stepper,
        max_norm=run.settings.gradient_clip or math.inf,
        error_if_nonfinite=False,
    )
    _check_finite(math.nan if norm is None else norm.item(), "norm of the gradient", run)
    return mean.item()


def _share(values: Tensor, *, name: str, rank: int, count: int) -> Tensor:
    if values.shape[0] % count:
        raise ValueError(
            f"{name}: found {values.shape[0]} sequences, expected a multiple of {count}: the "
            "processes, or the parts of accumulate, that share them"
        )
    return values[rank::count]


def _check_finite(value: float, what: str, run: _Run) -> None:
    if not math.isfinite(value):
        state = run.out / "training.safetensors"
        kept = f"{state} holds the last good state" if state.is_file() else "no state was saved yet"
        raise TrainingError(
            f"step {run.step + 1}: {what} is {value}, weights left as after step {run.step}; "
            f"{kept}. Try a lower learning rate, gradient_clip, or precision '32-true'"
        )


def _follow(run: _Run) -> None:
    """Move the averaged weights towards the present ones (faster while there are few)."""
    decay = min(run.settings.ema_decay, run.step / (run.step + 10))
    with torch.no_grad():
        for kept, new in zip(run.average.parameters(), run.model.parameters(), strict=True):
            kept.lerp_(new, 1.0 - decay)


def _validate(run: _Run, hooks: Hooks, fabric: Fabric) -> None:
    score = math.nan
    if fabric.is_global_zero and hooks.validate is not None:
        with torch.no_grad():
            score = hooks.validate(run.average)
        if hooks.validated is not None:
            hooks.validated(run.step, score)
    score = fabric.broadcast(score)
    run.waited += 1
    if run.best_score is None or score < run.best_score:
        run.best_score, run.waited = score, 0
        if fabric.is_global_zero:
            _store_average(run)


def _store_average(run: _Run) -> None:
    metadata = {"step": run.step, "score": run.best_score, "settings": asdict(run.settings)}
    checkpoint.save(run.out / "model.safetensors", run.average, metadata=metadata)


def _store(run: _Run) -> None:
    tensors = {"random": torch.get_rng_state()}
    for name, tensor in run.model.state_dict().items():
        tensors[f"model/{name}"] = tensor
    for name, tensor in run.average.state_dict().items():
        tensors[f"average/{name}"] = tensor
    for name, parameter in run.model.named_parameters():
        for moment, tensor in run.optimiser.state[parameter].items():
            tensors[f"{run.settings.optimiser}/{name}/{moment}"] = tensor
    header = {
        "config": run.model.config.to_dict(),
        **checkpoint.kind(run.model),
        "settings": asdict(run.settings),
        "step": run.step,
        "best_score": run.best_score,
        "waited": run.waited,
    }
    checkpoint.write_tensors(run.out / "training.safetensors", tensors, header=header)
    if run.best_score is None:
        _store_average(run)


def _restore(run: _Run) -> None:
    """Go on from the state on disk, if there is one."""
    path = run.out / "training.safetensors"
    if not path.is_file():
        return
    tensors, header = checkpoint.read_tensors(path)
    settings, step = header.get("settings"), header.get("step")
    if not isinstance(settings, dict) or not isinstance(step, int):
        raise checkpoint.CheckpointError(f"{path}: not the state of a training run")
    of_network = {"network": None, "config": run.model.config.to_dict()}
    ours = {**of_network, **checkpoint.kind(run.model), **asdict(run.settings)}
    # What settings did not say when the state was written had the value that is now the default.
    theirs = {**asdict(TrainSettings()), **settings, "config": header["config"]}
    theirs["network"] = header.get("network")
    for name in ("network", "config", *FIXED):
        if ours[name] != theirs.get(name):
            raise ValueError(
                f"{path}: {name} found {theirs.get(name)!r}, expected {ours[name]!r} to resume; "
                "train into another folder, or with the settings of this one"
            )
    parts = {"model": run.model, "average": run.average}
    for part, module in parts.items():
        module.load_state_dict({name: tensors[f"{part}/{name}"] for name in module.state_dict()})
    state = run.optimiser.state_dict()
    state["state"] = {
        index: kept
        for index, (name, _) in enumerate(run.model.named_parameters())
        if (kept := _below(tensors, f"{run.settings.optimiser}/{name}/"))
    }
    run.optimiser.load_state_dict(state)
    torch.set_rng_state(tensors["random"])
    run.step = step
    run.best_score, run.waited = header["best_score"], header["waited"]  # type: ignore[assignment]


def _below(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors whose names begin with ``prefix``, by what follows it."""
    return {
        name.removeprefix(prefix): tensor
        for name, tensor in tensors.items()
        if name.startswith(prefix)
    }
