"""Scores on the test sequences, as the papers count them: of the network and of its rivals."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import torch

from mim_core.baselines import last_frame
from mim_core.graphs import replay_steps
from mim_core.metrics import FrameScores, frame_scores
from nowcast.benchmark.objective import forecast_of
from nowcast.verify.categorical import ContingencyTable, contingency
from nowcast.verify.sums import stack

if TYPE_CHECKING:
    from torch import Tensor

    from mim_core.batches import Batch
    from mim_core.recurrent import Recurrent
    from nowcast.benchmark.task import Task

# A forecast of a batch: (B, leads, C, H, W).
Forecaster = Callable[["Batch"], "Tensor"]
LAST_FRAME, USUAL = "last frame", "same time, earlier days"


@dataclass(frozen=True)
class Scored:
    """The sums of one forecaster.

    Attributes:
        frames: the scores of the papers, by lead.
        within: the same of the forecast cut off at 0 and 1, which the MIM authors do for MSE.
        events: by the name of a threshold, the table of each lead.

    """

    frames: FrameScores
    within: FrameScores
    events: Mapping[str, ContingencyTable]

    def __add__(self, other: Scored) -> Scored:
        return Scored(
            self.frames + other.frames,
            self.within + other.within,
            {name: table + other.events[name] for name, table in self.events.items()},
        )


def forecasters(task: Task, networks: Mapping[str, Recurrent]) -> dict[str, Forecaster]:
    """What the networks must beat, and the networks, by name."""
    length = task.input_length
    found: dict[str, Forecaster] = {
        LAST_FRAME: lambda batch: last_frame(
            batch["frames"], total_length=task.total_length, input_length=length
        )
    }
    if "usual" in task.test[0]:
        found[USUAL] = lambda batch: batch["usual"][:, length:]
    for name, network in networks.items():
        replay_steps(network)
        found[name] = partial(_said, network.eval(), input_length=length)
    return found


def _said(network: Recurrent, batch: Batch, *, input_length: int) -> Tensor:
    device = next(network.parameters()).device
    frames = batch["frames"].to(device)
    said = forecast_of(network, frames, input_length=input_length, patch=network.config.patch)
    return said.cpu()


def evaluate(
    task: Task,
    methods: Mapping[str, Forecaster],
    *,
    sequences: int,
    batch_size: int,
    heard: Callable[[], None] = lambda: None,
) -> dict[str, Scored]:
    """The scores of every method on the first ``sequences`` of the test, or on all there are.

    All on the same pixels; none is dropped. ``heard`` is called after every batch.
    """
    count = min(sequences, len(task.test))
    totals: dict[str, Scored] = {}
    for first in range(0, count, batch_size):
        items = [task.test[index] for index in range(first, min(first + batch_size, count))]
        batch = {name: torch.stack([item[name] for item in items]) for name in items[0]}
        truth = batch["frames"][:, task.input_length :]
        for name, method in methods.items():
            scored = score(method(batch), truth, events=task.events)
            totals[name] = totals[name] + scored if name in totals else scored
        heard()
    return totals


def score(said: Tensor, truth: Tensor, *, events: Mapping[str, float]) -> Scored:
    """The scores of forecasts (B, leads, C, H, W), values 0 to 1, and of reaching thresholds."""
    tables = {
        name: stack(
            [
                contingency(said[:, lead].numpy(), truth[:, lead].numpy(), threshold_mm_h=threshold)
                for lead in range(truth.shape[1])
            ]
        )
        for name, threshold in events.items()
    }
    return Scored(frame_scores(said, truth), frame_scores(said.clamp(0.0, 1.0), truth), tables)
