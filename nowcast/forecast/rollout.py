"""The network run on radar frames: into Lagrangian coordinates, lead by lead, and out again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from mim_core.diagnostics import differences_silent
from mim_core.patches import from_patches, to_patches
from mim_core.tiles import can_tile, step_in_tiles
from nowcast.forecast.advect import Carrier

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from torch import Tensor

    from mim_core.model import MIM, NetworkState
    from nowcast.forecast.head import RainHead, Sampling


@dataclass(frozen=True)
class Beside:
    """What is said beside the rate.

    Attributes:
        chances: the probabilities of exceedance, (K, H, W).
        effects: after them what the difference memory adds to the rate, (1, H, W) in mm h-1.

    """

    chances: bool
    effects: bool = False


def moved_out(
    frames: Tensor,
    sampling: Sampling,
    *,
    network: MIM,
    head: RainHead,
    ways: Iterable[Tensor],
    beside: Beside,
) -> Iterator[Tensor]:
    """For each lead the rate, and below it what is asked for ``beside`` it, as they arrive.

    ``frames`` (T, H, W) are rates in mm h-1 moved to issue time, NaN where unseen; each of the
    ``ways`` (2, H, W) says how far the air of a lead came, in cells. Yields (1, H, W) or more, NaN
    where the air comes from what was not seen in the newest frame. One lead at a time, so that a
    continent needs the memory of the network's state and of a few maps.
    """
    inputs = (head.inputs(frame, sampling) for frame in frames)
    outputs = at_issue_time(inputs, network=network, given=len(frames), beside=beside)
    carry = Carrier(
        torch.isfinite(frames[-1]), layers=head.layers(chances=beside.chances) + beside.effects
    )
    for way, (output, silent) in zip(ways, outputs, strict=False):
        said = head.said(output, chances=beside.chances)
        if silent is not None:
            said = torch.cat([said, said[:1] - head.said(silent, chances=False)])
        yield carry(said, way)


def at_issue_time(
    inputs: Iterator[Tensor], *, network: MIM, given: int, beside: Beside
) -> Iterator[tuple[Tensor, Tensor | None]]:
    """For each lead, without end, the output of the network where the air is at issue time.

    ``inputs`` are the ``given`` frames as the head makes channels of them, (C, H, W). The output is
    (C_out, H, W), or (C, H, W) where no chances are wanted. For effects with what the network says
    at that step, from the same state, when its differences are silent; else with None.
    """
    config = network.config
    keep = _everything if beside.chances else network.field

    def step(
        fed: Tensor, state: NetworkState | None, *, consume: bool = True
    ) -> tuple[Tensor, NetworkState]:
        if can_tile(config):
            return step_in_tiles(network, fed, state, consume=consume, keep=keep)
        prediction, new = network.step(fed, state)
        return keep(prediction), new

    def patched(frame: Tensor) -> Tensor:
        padding = (0, -width % config.patch, 0, -height % config.patch)
        padded = torch.nn.functional.pad(frame[None], padding, mode="replicate")
        return to_patches(padded, patch=config.patch)

    def whole(prediction: Tensor) -> Tensor:
        return from_patches(prediction, patch=config.patch)[0, :, :height, :width]

    state: NetworkState | None = None
    for number, frame in enumerate(inputs, start=1):
        height, width = frame.shape[-2:]
        fed = patched(frame)
        if number < given:
            _, state = step(fed, state)
    while True:
        silent = None
        if beside.effects:
            with differences_silent(network):
                silent = whole(step(fed, state, consume=False)[0])
        prediction, state = step(fed, state)
        yield whole(prediction), silent
        fed = network.field(prediction) if beside.chances else prediction


def _everything(prediction: Tensor) -> Tensor:
    return prediction
