"""Batches as a pure function of the step, so that their order needs no saving."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Protocol

import torch
from torch import Tensor

from mim_core.sampling import generator_at

# By name: "frames" (B, T, C, H, W), "mask" where something was not seen, "true_frame_flag" where
# the loss asks for it. Each has the sequences of the batch as its first dimension.
Batch = Mapping[str, Tensor]
BatchAt = Callable[[int], Batch]


class Samples(Protocol):
    """A map-style data set whose items are one sequence each, without the batch dimension."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Mapping[str, Tensor]: ...


def from_samples(samples: Samples, *, batch_size: int, seed: int) -> BatchAt:
    """Batch of each step, the samples shuffled anew in every epoch; none is dropped.

    A batch that meets the end of an epoch is filled up from the next one.
    """
    if len(samples) == 0:
        raise ValueError("samples: found none, expected at least one")

    @lru_cache(maxsize=2)
    def order(epoch: int) -> list[int]:
        drawn: list[int] = torch.randperm(
            len(samples), generator=generator_at(seed, epoch)
        ).tolist()
        return drawn

    def batch_at(step: int) -> Batch:
        places = range(step * batch_size, (step + 1) * batch_size)
        chosen = [samples[order(place // len(samples))[place % len(samples)]] for place in places]
        return {name: torch.stack([item[name] for item in chosen]) for name in chosen[0]}

    return batch_at


def with_reversed_time(batch_at: BatchAt) -> BatchAt:
    """Each batch twice: forward in time, then backward (the augmentation of the authors' code).

    Only "frames" and "mask" are turned, so flags are to be added after this, not before.
    """

    def turned(step: int) -> Batch:
        batch = batch_at(step // 2)
        if step % 2 == 0:
            return batch
        return {
            name: values.flip(1) if name in ("frames", "mask") else values
            for name, values in batch.items()
        }

    return turned
