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
    outputs = at_issue_time(inputs, network=network, head=head, given=len(frames), beside=beside)
    carry = Carrier(
        torch.isfinite(frames[-1]), layers=head.layers(chances=beside.chances) + beside.effects
    )
    areas = head.areas(frames[-1])
    for way, (said, silent) in zip(ways, outputs, strict=False):
        layers = head.weighed(said, areas, chances=beside.chances)
        if silent is not None:
            without = head.weighed(silent, areas, chances=False)
            layers = torch.cat([layers, layers[:1] - without[:1]])
        yield carry(layers, way)


def at_issue_time(
    inputs: Iterator[Tensor], *, network: MIM, head: RainHead, given: int, beside: Beside
) -> Iterator[tuple[Tensor, Tensor | None]]:
    """For each lead, without end, what the head says where the air is at issue time.

    ``inputs`` are the ``given`` frames as the head makes channels of them, (C, H, W). What is said
    is (L, H, W), as ``RainHead.said`` has it. For effects with what is said at that
    step, from the same state, when the network's differences are silent; else with None.
    """
    config = network.config
    fed_channels = config.in_channels

    def keep(prediction: Tensor) -> Tensor:
        """Of a patched prediction what is fed back, and what is said: no other channel is kept."""
        channels = network.as_channels(prediction)
        said = head.said(channels, chances=beside.chances)
        return torch.cat([channels[:, :, :fed_channels], said], dim=2).flatten(1, 2)

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

    def parted(kept: Tensor) -> tuple[Tensor, Tensor]:
        """What is fed back, patched, and what is said, (L, H, W)."""
        channels = network.as_channels(kept)
        said = from_patches(channels[:, :, fed_channels:].flatten(1, 2), patch=config.patch)
        return channels[:, :, :fed_channels].flatten(1, 2), said[0, :, :height, :width]

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
                _, silent = parted(step(fed, state, consume=False)[0])
        kept, state = step(fed, state)
        fed, said = parted(kept)
        yield said, silent
