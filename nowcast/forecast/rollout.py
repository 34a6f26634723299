"""The network run on radar frames: into Lagrangian coordinates, lead by lead, and out again."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import torch

from mim_core.diagnostics import differences_silent
from mim_core.patches import from_patches, to_patches
from mim_core.tiles import advance_in_tiles, can_tile, step_in_tiles
from nowcast.forecast.advect import Carrier

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

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
    newest, given = frames[-1].clone(), len(frames)
    inputs = (head.inputs(frame, sampling) for frame in frames)
    del frames  # a continent's are gone when the network has seen the last of them
    outputs = at_issue_time(inputs, network=network, head=head, given=given, beside=beside)
    carry = Carrier(
        torch.isfinite(newest), layers=head.layers(chances=beside.chances) + beside.effects
    )
    areas = head.areas(newest)
    del inputs, newest
    for lead, way in enumerate(ways, start=1):
        weigh = partial(head.weighed, areas=areas, minutes=lead * sampling.step_minutes)
        yield carry(_weighed(*next(outputs), weigh=weigh, beside=beside), way)


def _weighed(
    said: Tensor, silent: Tensor | None, *, weigh: Callable[..., Tensor], beside: Beside
) -> Tensor:
    """The layers that are moved out, of what is ``said``, and said with silent differences."""
    layers = weigh(said, chances=beside.chances)
    if silent is None:
        return layers
    return torch.cat([layers, layers[:1] - weigh(silent, chances=False)[:1]])


def at_issue_time(
    inputs: Iterator[Tensor], *, network: MIM, head: RainHead, given: int, beside: Beside
) -> Iterator[tuple[Tensor, Tensor | None]]:
    """For each lead, without end, what the head says where the air is at issue time.

    ``inputs`` are the ``given`` frames as the head makes channels of them, (C, H, W). What is said
    is (L, H, W), as ``RainHead.said`` has it. For effects with what is said at that
    step, from the same state, when the network's differences are silent; else with None.
    """
    config = network.config

    def keep(prediction: Tensor) -> tuple[Tensor, Tensor]:
        """Of a patched prediction what is fed back, and what is said of every cell: no more."""
        said = head.said(network.as_channels(prediction), chances=beside.chances)
        return network.field(prediction), from_patches(said.flatten(1, 2), patch=config.patch)

    def step(
        fed: Tensor, state: NetworkState | None, *, consume: bool = True
    ) -> tuple[tuple[Tensor, ...], NetworkState]:
        if can_tile(config):
            return step_in_tiles(network, fed, state, consume=consume, keep=keep)
        prediction, new = network.step(fed, state)
        return keep(prediction), new

    def advance(fed: Tensor, state: NetworkState | None) -> NetworkState:
        if can_tile(config):
            return advance_in_tiles(network, fed, state, consume=True)
        return network.advance(fed, state)[1]

    def patched(frame: Tensor) -> Tensor:
        padding = (0, -width % config.patch, 0, -height % config.patch)
        padded = torch.nn.functional.pad(frame[None], padding, mode="replicate")
        return to_patches(padded, patch=config.patch)

    state: NetworkState | None = None
    for number, frame in enumerate(inputs, start=1):
        height, width = frame.shape[-2:]
        fed = patched(frame)
        if number < given:
            state = advance(fed, state)
    del inputs, frame
    while True:
        silent = None
        if beside.effects:
            with differences_silent(network):
                (_, silent), _ = step(fed, state, consume=False)
            silent = silent[0, :, :height, :width]
        (fed, said), state = step(fed, state)
        said = said[0, :, :height, :width]
        yield said, silent
        del said, silent  # before the next step
