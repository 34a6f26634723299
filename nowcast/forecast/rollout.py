"""The network run on radar frames: into Lagrangian coordinates, lead by lead, and out again."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import torch

from mim_core.diagnostics import differences_silent
from mim_core.patches import from_patches, to_patches
from mim_core.tiles import can_tile, step_in_tiles
from nowcast.forecast.advect import Carrier
from nowcast.forecast.head import SEEN_CHANNEL

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

    from mim_core.model import MIM, NetworkState
    from nowcast.forecast.head import RainHead


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
    inputs: Tensor,
    *,
    network: MIM,
    head: RainHead,
    displacement: Tensor,
    beside: Beside,
) -> Iterator[Tensor]:
    """For each lead the rate, and below it what is asked for ``beside`` it, as they arrive.

    ``inputs`` (T, C, H, W) are the frames moved to issue time, as the head makes channels of them;
    ``displacement`` (lead, 2, H, W) says how far the air of each lead came, in cells. Yields
    (1, H, W) or more, NaN where the air comes from what was not seen in the newest frame. One lead
    at a time, so that a continent needs the memory of the network's state and of a few maps.
    """
    seen = inputs[-1, SEEN_CHANNEL] != 0
    steps = len(displacement)
    outputs = at_issue_time(inputs, network=network, steps=steps, effects=beside.effects)
    carry = Carrier(seen, layers=head.layers(chances=beside.chances) + beside.effects)
    for lead, (output, silent) in enumerate(outputs):
        said = head.said(output, chances=beside.chances)
        if silent is not None:
            said = torch.cat([said, said[:1] - head.said(silent, chances=False)])
        yield carry(said, displacement[lead])


def at_issue_time(
    inputs: Tensor, *, network: MIM, steps: int, effects: bool
) -> Iterator[tuple[Tensor, Tensor | None]]:
    """For each lead the output of the network (C_out, H, W), where the air is at issue time.

    ``inputs`` are as for ``moved_out``. Where ``effects`` with what it says at that step, from the
    same state, when its differences are silent; else with None.
    """
    step = partial(step_in_tiles, network) if can_tile(network.config) else network.step
    height, width = inputs.shape[-2:]
    patch = network.config.patch
    padding = (0, -width % patch, 0, -height % patch)
    inputs = torch.nn.functional.pad(inputs, padding, mode="replicate")
    state: NetworkState | None = None
    for frame in inputs[:-1]:
        _, state = step(to_patches(frame[None], patch=patch), state)
    fed = to_patches(inputs[-1:], patch=patch)

    def whole(patched: Tensor) -> Tensor:
        return from_patches(patched, patch=patch)[0, :, :height, :width]

    for _ in range(steps):
        silent = None
        if effects:
            with differences_silent(network):
                silent = whole(step(fed, state)[0])
        prediction, state = step(fed, state)
        fed = network.field(prediction)
        yield whole(prediction), silent
