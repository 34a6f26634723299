"""Windows of any gridded time series: radar, traffic, rain with wind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor
from torch.utils.data import Dataset


@dataclass(frozen=True, eq=False)
class Windows(Dataset[Mapping[str, Tensor]]):
    """Every run of ``length`` consecutive frames of ``series`` (T, C, H, W); NaN is unseen.

    An item holds ``frames`` (length, C, H, W), with 0 where unseen, and ``mask`` of the same shape,
    1 where seen. ``stride`` frames lie between the starts of two items, and ``gaps`` lists frames
    that do not follow the one before them: no window reaches over one.
    """

    series: Tensor
    length: int
    stride: int = 1
    gaps: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        """Refuse a series that has no window."""
        if self.series.ndim != 4:
            raise ValueError(f"series: found {self.series.ndim} dimensions, expected (T, C, H, W)")
        if self.length < 2 or self.stride < 1:
            raise ValueError(
                f"length {self.length} and stride {self.stride}: expected 2 and 1 or more"
            )
        if not self.starts:
            raise ValueError(
                f"series: found no {self.length} frames in a row among {self.series.shape[0]}"
            )

    def __len__(self) -> int:
        return len(self.starts)

    def __getitem__(self, index: int) -> Mapping[str, Tensor]:
        start = self.starts[index]
        return masked(self.series[start : start + self.length])

    @cached_property
    def starts(self) -> list[int]:
        """The first frame of each window."""
        last = self.series.shape[0] - self.length
        return [
            start
            for start in range(0, last + 1, self.stride)
            if not any(start < gap < start + self.length for gap in self.gaps)
        ]


def masked(frames: Tensor) -> Mapping[str, Tensor]:
    """``frames`` with 0 where they are NaN, and ``mask``, 1 where they are not."""
    seen = torch.isfinite(frames)
    return {"frames": torch.where(seen, frames, 0.0), "mask": seen.to(frames.dtype)}
