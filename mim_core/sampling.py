"""Scheduled sampling: how often training feeds the true frame, as a pure function of the step.

A schedule gives one probability a step of the network; ``draw_flags`` makes flags of them, which
``MIM.forward`` takes as ``true_frame_flag``. Nothing is counted up, so a resumed run continues.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor


def scheduled(
    step: int, *, input_length: int, total_length: int, end: int = 50_000
) -> tuple[float, ...]:
    """Probability of the true frame at each forecast step: from 1 linearly to 0 at step ``end``.

    The default falls by 2e-5 a step, as in the MIM paper. total_length - input_length - 1 entries.
    """
    probability = max(0.0, 1.0 - step / end)
    return (probability,) * (total_length - input_length - 1)


def reverse_scheduled(
    step: int,
    *,
    input_length: int,
    total_length: int,
    turns: tuple[int, int] = (25_000, 50_000),
    decay: float = 5_000.0,
) -> tuple[float, ...]:
    """Probability of the true frame at each step but the first (PredRNN-v2, arXiv 2103.09504).

    Within the input it is 0.5 until ``turns[0]``, rises towards 1 with the e-folding ``decay`` and
    is 1 from ``turns[1]``; in the forecast it is 0.5, then falls linearly to 0 over the same steps.
    total_length - 2 entries: input_length - 1 of the input, then the forecast's.
    """
    first, last = turns
    if step < first:
        within, beyond = 0.5, 0.5
    elif step < last:
        within = 1.0 - 0.5 * math.exp(-(step - first) / decay)
        beyond = 0.5 * (1.0 - (step - first) / (last - first))
    else:
        within, beyond = 1.0, 0.0
    return (within,) * (input_length - 1) + (beyond,) * (total_length - input_length - 1)


def draw_flags(
    probabilities: Sequence[float],
    *,
    shape: tuple[int, int, int, int],
    generator: torch.Generator,
) -> Tensor:
    """Flags (B, len(probabilities), C, H, W), 1 with the probability of each step, else 0.

    ``shape`` is (B, C, H, W) of the patched frames. A flag is drawn for each sequence and step
    and holds for the whole frame; the answer is a view that takes no memory.
    """
    batch, channels, height, width = shape
    chance = torch.tensor(probabilities, dtype=torch.float64)
    drawn = torch.rand(batch, len(probabilities), generator=generator, dtype=torch.float64)
    flags = (drawn < chance).float()[:, :, None, None, None]
    return flags.expand(batch, len(probabilities), channels, height, width)


def generator_at(seed: int, step: int, *, device: torch.device | str = "cpu") -> torch.Generator:
    """A generator that depends on ``seed`` and ``step`` alone."""
    mixed = (seed * 0x9E3779B97F4A7C15 + step * 0xBF58476D1CE4E5B9 + 0x94D049BB133111EB) % 2**63
    return torch.Generator(device=device).manual_seed(mixed)
