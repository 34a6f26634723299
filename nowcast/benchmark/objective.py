"""What a network is trained for here: the frames to come, pixel by pixel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import torch

from mim_core import sampling
from mim_core.losses import mean_absolute_error, mean_squared_error
from mim_core.patches import from_patches, to_patches

if TYPE_CHECKING:
    from torch import Tensor, nn

    from mim_core.batches import Batch, BatchAt

Sampling = Literal["scheduled", "reverse", "none"]
_DECAY_SHARE = 0.1  # e-folding of the reverse schedule, as a share of its length: as published


@dataclass(frozen=True)
class FrameLoss:
    """Mean squared error of the predicted frames, with ``absolute_share`` of the absolute one.

    Over all predictions, those within the input too, or over the ``forecast`` alone. Where a batch
    has a ``mask``, only what was seen counts. With a ``lead_exponent`` lead number l weighs l to
    minus this, and what is predicted within the input as lead 1: late frames have the largest
    errors, most of them unavoidable, and the noise of these drowns what early frames teach.
    """

    input_length: int
    patch: int
    absolute_share: float = 0.0
    forecast_only: bool = False
    lead_exponent: float = 0.0

    def __call__(self, network: nn.Module, batch: Batch) -> Tensor:
        """The loss of ``batch``, frames (B, T, C, H, W): a scalar."""
        frames = to_patches(batch["frames"], patch=self.patch)
        predicted = network(
            frames,
            total_length=frames.shape[1],
            input_length=self.input_length,
            true_frame_flag=batch.get("true_frame_flag"),
        )
        first = self.input_length if self.forecast_only else 1
        seen = batch.get("mask")
        mask = None if seen is None else to_patches(seen, patch=self.patch)[:, first:]
        said, truth = predicted[:, first - 1 :], frames[:, first:]
        leads = torch.arange(first, frames.shape[1], device=frames.device) - self.input_length + 1
        weights = leads.clamp(min=1).float() ** -self.lead_exponent
        weights = (weights / weights.mean()).view(-1, 1, 1, 1)
        loss = mean_squared_error(said, truth, mask=mask, weights=weights)
        if self.absolute_share > 0:
            absolute = mean_absolute_error(said, truth, mask=mask, weights=weights)
            loss = loss + self.absolute_share * absolute
        return loss


@dataclass(frozen=True)
class Feeding:
    """When training feeds the true frame instead of the network's own, over ``steps`` steps."""

    kind: Sampling
    steps: int  # until nothing but its own frames is fed
    seed: int = 0

    def flags(self, step: int, *, frames: Tensor, input_length: int, patch: int) -> Tensor | None:
        """Flags for ``MIM.forward`` at a step; None where the network is fed its own frames."""
        batch, length, channels, height, width = frames.shape
        if self.kind == "none":
            return None
        if self.kind == "scheduled":
            chances = sampling.scheduled(
                step, input_length=input_length, total_length=length, end=self.steps
            )
        else:
            chances = sampling.reverse_scheduled(
                step,
                input_length=input_length,
                total_length=length,
                turns=(self.steps // 2, self.steps),
                decay=max(1.0, _DECAY_SHARE * self.steps),
            )
        shape = (batch, channels * patch**2, height // patch, width // patch)
        generator = sampling.generator_at(self.seed, step)
        return sampling.draw_flags(chances, shape=shape, generator=generator)


def fed(batch_at: BatchAt, *, feeding: Feeding, input_length: int, patch: int) -> BatchAt:
    """The batches of ``batch_at`` with their flags."""

    def with_flags(step: int) -> Batch:
        batch = batch_at(step)
        flags = feeding.flags(step, frames=batch["frames"], input_length=input_length, patch=patch)
        return batch if flags is None else {**batch, "true_frame_flag": flags}

    return with_flags


@torch.no_grad()
def forecast_of(network: nn.Module, frames: Tensor, *, input_length: int, patch: int) -> Tensor:
    """What follows the first ``input_length`` of frames (B, T, C, H, W): (B, leads, C, H, W)."""
    patched = to_patches(frames[:, :input_length], patch=patch)
    predicted = network(patched, total_length=frames.shape[1])
    return from_patches(predicted[:, input_length - 1 :].float(), patch=patch)


def squared_error(network: nn.Module, batch: Batch, *, input_length: int, patch: int) -> float:
    """The squared error of the forecasts of a batch, summed over all that was seen."""
    frames = batch["frames"]
    said = forecast_of(network, frames, input_length=input_length, patch=patch)
    errors = (said - frames[:, input_length:]).square()
    if "mask" in batch:
        errors = errors * batch["mask"][:, input_length:]
    return float(errors.sum())
