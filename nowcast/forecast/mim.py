"""MIM as a nowcaster: frames to Lagrangian coordinates, the network, and out along the motion."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, fields
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from mim_core import checkpoint
from mim_core.precision import resolved
from mim_core.tiles import can_tile
from nowcast.field import schema
from nowcast.field.errors import MethodError, WeightsError
from nowcast.forecast.advect import displacements, paths, to_lagrangian, warp
from nowcast.forecast.base import require_history
from nowcast.forecast.extrapolation import motion_variables
from nowcast.forecast.head import RainHead, Sampling
from nowcast.forecast.members import ensemble
from nowcast.forecast.motion import decibel, motion_of
from nowcast.forecast.noise import NoiseSource
from nowcast.forecast.parts import parts
from nowcast.forecast.quality import quality_flag
from nowcast.forecast.rollout import Beside, moved_out
from nowcast.forecast.texture import tuned
from nowcast.large_blocks import give_back

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from numpy.typing import ArrayLike, NDArray
    from torch import Tensor

    from mim_core.model import MIM

    Rates = NDArray[np.float32]

# Less than this is not rain: a network never says exactly 0, and radars do not measure it.
DRIZZLE_MM_H = 0.05
# Probabilities are said in parts of this: no more is known of them, and a file of them takes a
# quarter of the room and half the time.
PARTS_OF_A_CHANCE = 1024
# Probabilities of more cells (leads times grid) are left out: they would not fit in memory.
PROBABILITY_CELLS = 60_000_000
# What a forecast takes at its peak for each cell and channel, measured on MRMS (3500x7000) with 32
# channels. At once: without probabilities. In tiles: with those of two leads (11.5 GB), and 12
# leads without (9.0 GB). A process that asks for more than there is gets killed without a word:
# refused before.
BYTES_AT_ONCE = 26
BYTES_IN_TILES = 16
BYTES_IN_TILES_OF_RATES = 12
SHARE_OF_MEMORY = 0.8
CONTINENT_CELLS = 10_000_000  # from which on memory counts more than the time to get it anew
LEAD_DIMS = ("lead_time", *schema.CELL_DIMS)


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
        members: of the ensemble that is drawn from the probabilities; 0 for none.
        seed: of the members.
        effects: whether it is said what the difference memory adds to the rain, which takes a
            second run of the network.
        precision: of the network's convolutions, as ``mim_core.precision`` names it: "auto" is bf16
            where the hardware multiplies that, which training did too. What is said is in fp32.
        find_motion: gives the motion of the echoes (2, y, x), in cells a step: x, then down y.

    """

    weights: Path
    device: str = "cpu"
    probabilities: bool = True
    members: int = 0
    seed: int = 1
    effects: bool = False
    precision: str = "auto"
    name: str = "mim"
    find_motion: Callable[[schema.Radar], Rates] = motion_of

    def __getstate__(self) -> dict[str, object]:
        """The settings alone: another process reads the weights from their file."""
        return {setting.name: getattr(self, setting.name) for setting in fields(self)}

    @property
    def history(self) -> int:
        """The frames that the weights were trained to see."""
        return self._loaded.head.history

    @property
    def thresholds_mm_h(self) -> tuple[float, ...]:
        """The thresholds that the weights know probabilities of."""
        return self._loaded.head.thresholds_mm_h

    def __call__(self, past: schema.Radar, *, steps: int) -> schema.Forecast:
        """Rain rate, probabilities of exceedance and members for ``steps`` leads.

        NaN where the air comes from what was not seen at issue time. Raises ShortHistoryError,
        NothingObservedError, MethodError (out of memory) and WeightsError.
        """
        require_history(past, needed=self.history, method=self.name)
        shape = past["rainfall_rate"].shape[1:]
        self._refuse_what_does_not_fit(shape, steps=steps)
        motion = self.find_motion(past)
        try:
            rate, chances, members, effects = self._forecast(past, motion, steps=steps)
        except (MemoryError, torch.OutOfMemoryError) as error:
            raise MethodError(f"{self.name}: no memory for a grid of {shape}") from error
        extra: dict[str, tuple[tuple[str, ...], ArrayLike]] = {
            **motion_variables(past, motion),
            "quality_flag": (schema.CELL_DIMS, quality_flag(past)),
        }
        coords: dict[str, ArrayLike] = {}
        if chances is not None:
            coords["threshold"] = self.thresholds_mm_h
            extra["probability_of_exceedance"] = (("threshold", *LEAD_DIMS), chances)
            step_minutes = Sampling.of(past).step_minutes
            decided = self._loaded.head.decided(steps=steps, step_minutes=step_minutes)
            if decided is not None:
                extra["decision_probability"] = (("threshold", "lead_time"), decided)
        if members is not None:
            coords["realization"] = np.arange(self.members)
            extra["rainfall_rate_member"] = (("realization", *LEAD_DIMS), members)
        if effects is not None:
            extra["rainfall_rate_from_differences"] = (LEAD_DIMS, effects)
        return schema.forecast_dataset(
            rate,
            past=past,
            source=f"mim: Memory In Memory network, {self._loaded.head.form} coordinates",
            extra=extra,
            coords=coords,
            attrs={"model_sha256": self._loaded.sha256},
        )

    def _refuse_what_does_not_fit(self, shape: tuple[int, ...], *, steps: int) -> None:
        """Raise MethodError for a grid that the memory of this machine is too small for."""
        if self.members and not self._says_chances(shape, steps=steps):
            raise MethodError(
                f"{self.name} draws members from probabilities, and says none for {steps} leads of "
                f"{shape[0]}x{shape[1]} cells: ask for fewer leads, or for no members"
            )
        config = self._loaded.network.config
        in_tiles = (
            BYTES_IN_TILES if self._says_chances(shape, steps=steps) else BYTES_IN_TILES_OF_RATES
        )
        bytes_per_channel = in_tiles if can_tile(config) else BYTES_AT_ONCE
        needed = bytes_per_channel * config.num_hidden[0] * math.prod(shape)
        there = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        if torch.device(self.device).type == "cpu" and needed > SHARE_OF_MEMORY * there:
            raise MethodError(
                f"{self.name} needs about {needed / 1e9:.0f} GB for {shape[0]}x{shape[1]} cells, "
                f"of {there / 1e9:.0f} GB here: cut the grid, or take a larger machine"
            )

    def _says_chances(self, shape: tuple[int, ...], *, steps: int) -> bool:
        fits = steps * math.prod(shape) <= PROBABILITY_CELLS
        return (self.probabilities or self.members > 0) and fits

    @torch.no_grad()
    def _forecast(
        self, past: schema.Radar, motion: NDArray[np.float32], *, steps: int
    ) -> tuple[Rates, Rates | None, Rates | None, Rates | None]:
        """Rates (steps, y, x), and chances, members and effects, each None where not asked for."""
        shape = past["rainfall_rate"].shape[1:]
        says_chances = self._says_chances(shape, steps=steps)
        velocity = torch.from_numpy(motion).to(self.device)
        rate = torch.empty((steps, *shape))
        count = len(self.thresholds_mm_h) if says_chances else 0
        chances = torch.empty((count, *rate.shape))
        effects = torch.empty(rate.shape if self.effects else 0)
        sampling = Sampling.of(past)
        # Members want them all at once; a continent, that draws none, has room for one.
        ways = displacements(velocity, steps=steps) if self.members else None
        with self._mixed():
            for lead, layers in enumerate(
                self._layers(past, sampling, ways=ways, velocity=velocity, steps=steps)
            ):
                rate[lead] = torch.where(layers[0] < DRIZZLE_MM_H, 0.0, layers[0])
                chances[:, lead] = layers[1 : 1 + count]
                if self.effects:
                    effects[lead] = layers[-1]
                if math.prod(shape) > CONTINENT_CELLS:
                    give_back()
        members = None if ways is None else self._drawn(chances, sampling, past=past, ways=ways)
        every = chances.view(-1)
        for part in parts(len(every), values_each=1, like=every):
            every[part].mul_(PARTS_OF_A_CHANCE).round_().div_(PARTS_OF_A_CHANCE)
        return (
            rate.numpy(),
            chances.numpy() if says_chances else None,
            None if members is None else members.numpy(),
            effects.numpy() if self.effects else None,
        )

    def _layers(
        self,
        past: schema.Radar,
        sampling: Sampling,
        *,
        ways: Tensor | None,
        velocity: Tensor,
        steps: int,
    ) -> Iterator[Tensor]:
        """For each lead what the head says, moved out, and effects below it: (L, y, x).

        Moved along the ``ways`` if they are known (steps, 2, y, x), else along the ``velocity``.
        """
        network, head, _ = self._loaded
        frames = torch.tensor(past["rainfall_rate"].values[-self.history :], device=self.device)
        if not head.moves_along:
            velocity, ways = torch.zeros_like(velocity), None
        along = paths(velocity, steps=steps) if ways is None else ways
        if not bool((frames > DRIZZLE_MM_H).any()):  # dry in, dry out
            unseen = torch.where(torch.isnan(frames[-1:]), torch.nan, 0.0)
            dry = unseen.expand(head.layers(chances=True), *frames.shape[1:])
            return (warp(dry[None], way[None])[0] for way in along)
        return moved_out(
            to_lagrangian(frames.unsqueeze(1), velocity)[:, 0],
            sampling,
            network=network,
            head=head,
            ways=along,
            beside=Beside(
                chances=self._says_chances(frames.shape[1:], steps=steps), effects=self.effects
            ),
        )

    def _mixed(self) -> torch.autocast:
        """In it convolutions take bf16 or fp16 where the precision says so."""
        device = torch.device(self.device).type
        precision = resolved(self.precision, accelerator=device)
        dtype = torch.float16 if precision == "16-mixed" else torch.bfloat16
        return torch.autocast(device, dtype=dtype, enabled=precision != "32-true")

    def _drawn(
        self, chances: Tensor, sampling: Sampling, *, past: schema.Radar, ways: Tensor
    ) -> Tensor:
        """The members (member, lead, y, x), with the texture of the newest frame."""
        newest = past["rainfall_rate"].values[-1]
        like = NoiseSource.like(
            torch.from_numpy(decibel(newest)),
            cell_km=sampling.cell_km,
            step_minutes=sampling.step_minutes,
        )
        ways = ways.cpu()
        noise = tuned(
            like,
            torch.from_numpy(newest),
            chances,
            thresholds_mm_h=self.thresholds_mm_h,
            displacement=ways,
            members=self.members,
        )
        return ensemble(
            chances,
            thresholds_mm_h=self.thresholds_mm_h,
            noise=noise,
            displacement=ways,
            members=self.members,
            seed=self.seed,
        )

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
        # Maps then lie channels-last from step to step, as the fastest kernels have them.
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch takes it
        return _Loaded(
            network, RainHead.from_dict(head_settings), checkpoint.sha256_of(self.weights)
        )
