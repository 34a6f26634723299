"""How to train: a value, checked when built; and what the caller wants to see meanwhile."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from mim_core.muon import KernelMuon
from mim_core.recurrent import Recurrent

PRECISIONS = ("32-true", "bf16-mixed", "16-mixed")
SCHEDULES = ("constant", "cosine")
OPTIMISERS = {"adam": torch.optim.Adam, "muon": KernelMuon}
# What must stay when a run is resumed; the rest says how long, how often and where.
FIXED = (
    "optimiser",
    "learning_rate",
    "schedule",
    "warm_up_steps",
    "final_fraction",
    "gradient_clip",
    "accumulate",
    "precision",
    "ema_decay",
    "seed",
)


@dataclass(frozen=True)
class TrainSettings:
    """Settings of ``mim_core.train.fit``; raises ValueError naming the field that is wrong."""

    optimiser: str = "adam"  # or "muon" (mim_core.muon), at the same learning rates
    learning_rate: float = 1e-3
    schedule: str = "constant"  # or "cosine", from learning_rate to final_fraction of it
    warm_up_steps: int = 0  # linear from 0
    final_fraction: float = 0.0
    gradient_clip: float | None = None  # largest norm of the whole gradient
    accumulate: int = 1  # parts of a batch whose gradients are added before the step
    precision: str = "32-true"
    compiled: bool = False  # the cells' pixelwise part, by torch.compile (mim_core.update)
    ema_decay: float = 0.0  # 0: the saved weights are the last ones, not an average
    seed: int = 0

    steps: int = 1000
    checkpoint_every: int = 500
    validate_every: int = 500
    patience: int | None = None  # validations without gain before stopping early
    accelerator: str = "cpu"
    devices: int = 1
    strategy: str = "auto"

    def __post_init__(self) -> None:
        """Refuse what cannot be run."""
        for name in ("steps", "checkpoint_every", "validate_every", "devices", "accumulate"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: found {getattr(self, name)}, expected 1 or more")
        if self.patience is not None and self.patience < 1:
            raise ValueError(f"patience: found {self.patience}, expected 1 or more, or None")
        if not (math.isfinite(self.learning_rate) and self.learning_rate > 0):
            raise ValueError(f"learning_rate: found {self.learning_rate}, expected above 0")
        if self.gradient_clip is not None and not self.gradient_clip > 0:
            raise ValueError(f"gradient_clip: found {self.gradient_clip}, expected above 0 or None")
        if not 0 <= self.ema_decay < 1:
            raise ValueError(f"ema_decay: found {self.ema_decay}, expected 0 to below 1")
        choices = {"optimiser": tuple(OPTIMISERS), "precision": PRECISIONS, "schedule": SCHEDULES}
        for name, allowed in choices.items():
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name}: found {getattr(self, name)!r}, expected of {allowed}")

    def learning_rate_at(self, step: int) -> float:
        """Learning rate of the update that ``step`` (from 0) makes."""
        rate = self.learning_rate
        if step < self.warm_up_steps:
            return rate * (step + 1) / self.warm_up_steps
        if self.schedule == "constant":
            return rate
        part = (step - self.warm_up_steps) / max(1, self.steps - self.warm_up_steps)
        height = 0.5 * (1.0 + math.cos(math.pi * min(1.0, part)))  # 1 down to 0
        return rate * (self.final_fraction + (1.0 - self.final_fraction) * height)


@dataclass(frozen=True)
class Hooks:
    """What the caller sees and decides, in process 0; steps are counted in updates made so far."""

    progress: Callable[[int, float], None] | None = None  # step and loss, after every update
    validate: Callable[[Recurrent], float] | None = None  # a score, lower is better, of the average
    validated: Callable[[int, float], None] | None = None  # step and that score
    stop: Callable[[int], bool] | None = None  # True: write the state and return


def tensorboard(folder: Path, *, name: str = "loss") -> Callable[[int, float], None]:
    """A hook for ``progress`` or ``validated`` that writes its numbers for TensorBoard."""
    from torch.utils.tensorboard import SummaryWriter  # noqa: PLC0415  # heavy, and optional

    writer = SummaryWriter(str(folder))

    def write(step: int, value: float) -> None:
        writer.add_scalar(name, value, step)
        writer.flush()

    return write
