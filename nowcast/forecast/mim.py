"""MIM as a nowcaster: frames to Lagrangian coordinates, the network, and out along the motion."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from mim_core import checkpoint
from mim_core.patches import from_patches, to_patches
from mim_core.tiles import can_tile, step_in_tiles
from nowcast.field import schema
from nowcast.field.errors import MethodError, WeightsError
from nowcast.forecast.advect import displacements, to_lagrangian, warp
from nowcast.forecast.base import require_history
from nowcast.forecast.head import RainHead
from nowcast.forecast.motion import motion_m_s, motion_of
from nowcast.forecast.quality import quality_flag

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import Tensor

    from mim_core.model import MIM, NetworkState

# Less than this is not rain: a network never says exactly 0, and radars do not measure it.
DRIZZLE_MM_H = 0.05
# Probabilities of more cells (leads times grid) are left out: they would not fit in memory.
PROBABILITY_CELLS = 60_000_000
# What a forecast takes at its peak, measured on MRMS (3500x7000) with 32 channels: 20 GB. A process
# that asks for more than the machine has is killed without a word, so it is refused before.
BYTES_PER_CELL_AND_CHANNEL = 26
SHARE_OF_MEMORY = 0.7


class _Loaded(NamedTuple):
    network: MIM
    head: RainHead
    sha256: str


@dataclass(frozen=True)
class Mim:
    """The network with the weights of a file; any grid, any number of leads.

    Attributes:
        weights: a checkpoint with a head for rain.
        device: where torch computes.
        probabilities: whether probabilities of exceedance are said too.

    """

    weights: Path
    device: str = "cpu"
    probabilities: bool = True
    name: str = "mim"

    @property
    def history(self) -> int:
        """The frames that the weights were trained to see."""
        return self._loaded.head.history

    def __call__(self, past: schema.Radar, *, steps: int) -> schema.Forecast:
        """Rain rate and probabilities of exceedance for ``steps`` leads.

        NaN where the air comes from what was not seen at issue time. Raises ShortHistoryError,
        NothingObservedError, MethodError (out of memory) and WeightsError.
        """
        require_history(past, needed=self.history, method=self.name)
        motion = motion_of(past)
        frames = past["rainfall_rate"].values[-self.history :]
        self._refuse_what_does_not_fit(frames.shape[1:])
        try:
            rate, chances = self._forecast(frames, motion, steps=steps)
        except (MemoryError, torch.OutOfMemoryError) as error:
            raise MethodError(f"{self.name}: no memory for a grid of {frames.shape[1:]}") from error
        head = self._loaded.head
        grid = schema.grid_of(past)
        motion_x, motion_y = motion_m_s(motion, grid=grid, step=schema.cadence(past))
        extra: dict[str, tuple[tuple[str, ...], NDArray[np.generic]]] = {
            "motion_x": (schema.CELL_DIMS, motion_x),
            "motion_y": (schema.CELL_DIMS, motion_y),
            "quality_flag": (schema.CELL_DIMS, quality_flag(past)),
        }
        if chances is not None:
            extra["probability_of_exceedance"] = (("threshold", "lead_time", "y", "x"), chances)
        return schema.forecast_dataset(
            rate,
            past=past,
            source="mim: Memory In Memory network in Lagrangian coordinates",
            extra=extra,
            coords={} if chances is None else {"threshold": head.thresholds_mm_h},
            attrs={"model_sha256": self._loaded.sha256},
        )

    def _refuse_what_does_not_fit(self, shape: tuple[int, ...]) -> None:
        """Raise MethodError for a grid that the memory of this machine is too small for."""
        channels = self._loaded.network.config.num_hidden[0]
        needed = BYTES_PER_CELL_AND_CHANNEL * channels * int(np.prod(shape))
        there = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        if torch.device(self.device).type == "cpu" and needed > SHARE_OF_MEMORY * there:
            raise MethodError(
                f"{self.name} needs about {needed / 1e9:.0f} GB for {shape[0]}x{shape[1]} cells, "
                f"of {there / 1e9:.0f} GB here: cut the grid, or take a larger machine"
            )

    @torch.no_grad()
    def _forecast(
        self, frames: NDArray[np.float32], motion: NDArray[np.float32], *, steps: int
    ) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
        """Rates (steps, y, x) and probabilities (threshold, steps, y, x) or None."""
        head, shape = self._loaded.head, frames.shape[1:]
        count = len(head.thresholds_mm_h)
        fits = steps * shape[0] * shape[1] <= PROBABILITY_CELLS
        says_chances = self.probabilities and fits
        rate = np.empty((steps, *shape), np.float32)
        chances = np.empty((count, steps, *shape), np.float32) if says_chances else None
        velocity = torch.from_numpy(motion).to(self.device)
        newest = torch.from_numpy(frames[-1:]).to(self.device)
        if not np.nanmax(frames) > DRIZZLE_MM_H:  # dry in, dry out
            dry = newest.new_zeros((1 + count * says_chances, *shape))
            said_at_issue: Iterator[Tensor] = (dry for _ in range(steps))
        else:
            outputs = self._outputs(torch.from_numpy(frames), velocity, steps=steps)
            said_at_issue = (head.said(output, chances=says_chances) for output in outputs)
        ways = displacements(velocity, steps=steps)
        for lead, layers in enumerate(said_at_issue):
            # Unseen at issue time stays unseen, wherever the air goes.
            hidden = torch.isnan(newest)
            moved = warp(torch.where(hidden, torch.nan, layers)[None], ways[lead : lead + 1])[0]
            said = moved[0].cpu().numpy()
            rate[lead] = np.where(said < DRIZZLE_MM_H, 0.0, said)
            if chances is not None:
                chances[:, lead] = moved[1:].cpu().numpy()
        return rate, chances

    def _outputs(self, frames: Tensor, velocity: Tensor, *, steps: int) -> Iterator[Tensor]:
        """For each lead the output of the network (C, H, W), still at issue time.

        One lead at a time, and in tiles where the network allows, so that a continent needs the
        memory of the state and of a few maps.
        """
        network, head, _ = self._loaded
        step = partial(step_in_tiles, network) if can_tile(network.config) else network.step
        height, width = frames.shape[-2:]
        patch = network.config.patch
        moved = to_lagrangian(frames[:, None].to(self.device), velocity)[:, 0]
        padding = (0, -width % patch, 0, -height % patch)
        inputs = torch.nn.functional.pad(head.inputs(moved), padding, mode="replicate")
        state: NetworkState | None = None
        for frame in inputs[:-1]:
            _, state = step(to_patches(frame[None], patch=patch), state)
        fed = to_patches(inputs[-1:], patch=patch)
        for _ in range(steps):
            prediction, state = step(fed, state)
            fed = network.field(prediction)
            yield from_patches(prediction, patch=patch)[0, :, :height, :width]

    @cached_property
    def _loaded(self) -> _Loaded:
        """The network, ready to run; raises WeightsError naming the file."""
        try:
            network, metadata = checkpoint.load(self.weights, map_location=self.device)
        except checkpoint.CheckpointError as error:
            raise WeightsError(str(error)) from error
        head_settings = metadata.get("head")
        if not isinstance(head_settings, dict):
            raise WeightsError(f"{self.weights}: no head in the header, expected weights for rain")
        network.eval().requires_grad_(requires_grad=False)
        return _Loaded(
            network, RainHead.from_dict(head_settings), checkpoint.sha256_of(self.weights)
        )
