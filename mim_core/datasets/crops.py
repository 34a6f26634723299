"""Crops of a long series of large frames, as the MIM paper takes 64x64 pixels of radar maps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from mim_core.datasets.windows import masked

_TRIES = 200


@dataclass(frozen=True, eq=False)
class Crops(Dataset[Mapping[str, Tensor]]):
    """``count`` crops of ``series`` (T, C, H, W); NaN is unseen.

    Time and place of each follow from the seed and its number. A place is taken where everything
    is seen in all frames and at least ``busy_share`` of the pixels of the middle
    frame reach ``busy``: a crop of clear sky teaches and tests nothing. Where none is found in
    200 draws the best one seen is taken. An item holds ``frames`` (length, C, size, size), with 0
    where unseen, and ``mask``, 1 where seen.
    """

    series: Tensor
    length: int
    size: int = 64
    count: int = 1000
    seed: int = 0
    busy: float = 0.0
    busy_share: float = 0.0

    def __post_init__(self) -> None:
        """Refuse a series that has no crop."""
        if self.series.ndim != 4:
            raise ValueError(f"series: found {self.series.ndim} dimensions, expected (T, C, H, W)")
        frames, _, height, width = self.series.shape
        if frames < self.length or min(height, width) < self.size:
            raise ValueError(
                f"series: found {frames} frames of {height}x{width}, expected {self.length} or "
                f"more of {self.size}x{self.size} or more"
            )

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Mapping[str, Tensor]:
        if not 0 <= index < self.count:
            raise IndexError(f"crop {index}: expected 0 to {self.count - 1}")
        generator = np.random.default_rng([self.seed, index])
        frames, _, height, width = self.series.shape
        best, best_worth = self.series[:0], -1.0
        for _ in range(_TRIES):
            start = int(generator.integers(frames - self.length + 1))
            top = int(generator.integers(height - self.size + 1))
            left = int(generator.integers(width - self.size + 1))
            crop = self.series[
                start : start + self.length, :, top : top + self.size, left : left + self.size
            ]
            worth = self._worth(crop)
            if worth > best_worth:
                best, best_worth = crop, worth
            if best_worth >= 1.0:
                break
        return masked(best)

    def _worth(self, crop: Tensor) -> float:
        """1 or more for a crop to take; else how near it comes."""
        seen = torch.isfinite(crop).float().mean().item()
        if seen < 1.0:
            return seen - 1.0
        busy = (crop[self.length // 2] >= self.busy).float().mean().item()
        return busy / self.busy_share if self.busy_share > 0 else 1.0
