"""TaxiBJ and its kin (Zhang et al., AAAI 2017): flows into and out of the blocks of a city.

The protocol of the MIM paper: days that lack a slot are left out, flows are scaled to 0..1 by the
least and the most of the frames before the test, and the last days (four weeks of TaxiBJ) are
the test. Reading files is not done here: flows come as arrays, with their times.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from mim_core.datasets.digits import Part
from mim_core.datasets.windows import Windows

_DAY = np.timedelta64(24 * 60, "m")


@dataclass(frozen=True, eq=False)
class Flows:
    """The frames of the complete days of a city, in order, and how they were scaled.

    Attributes:
        frames: (T, 2, H, W), 0 to 1 before the test (a test day may know more traffic).
        gaps: the frames that do not follow the one before them.
        slots: frames a day.
        least, most: flows that became 0 and 1.
        validation, test: the first frame of each.

    """

    frames: Tensor
    gaps: tuple[int, ...]
    slots: int
    least: float
    most: float
    validation: int
    test: int

    def windows(self, part: Part, *, length: int) -> Windows:
        """The sequences of a part: those whose last frame lies in it.

        So a sequence of the test may begin the evening before, and no frame of the test is seen
        while training. Raises ValueError where there is none.
        """
        first, stop = self._bounds(part, length=length)
        inside = tuple(gap - first for gap in self.gaps if first < gap < stop)
        return Windows(self.frames[first:stop], length=length, gaps=inside)

    def beside_usual(self, part: Part, *, length: int) -> BesideUsual:
        """The sequences of a part with what is usual at those times of day."""
        first, _ = self._bounds(part, length=length)
        return BesideUsual(self.windows(part, length=length), flows=self, first=first)

    def usual(self, index: int) -> Tensor:
        """The mean of the same slot on all days before that of frame ``index``: (2, H, W).

        Zero on the first day.
        """
        earlier = self.frames[index % self.slots : index : self.slots]
        return earlier.mean(dim=0) if len(earlier) else torch.zeros_like(self.frames[0])

    def _bounds(self, part: Part, *, length: int) -> tuple[int, int]:
        if part == "train":
            return 0, self.validation
        if part == "validation":
            return max(0, self.validation - length + 1), self.test
        return max(0, self.test - length + 1), len(self.frames)


@dataclass(frozen=True, eq=False)
class BesideUsual(Dataset[Mapping[str, Tensor]]):
    """Windows whose items also hold ``usual`` (length, 2, H, W): see ``Flows.usual``."""

    windows: Windows
    flows: Flows
    first: int  # of the windows' frames among those of the flows

    def __len__(self) -> int:
        return len(self.windows)

    def __getitem__(self, index: int) -> Mapping[str, Tensor]:
        start = self.first + self.windows.starts[index]
        times = range(start, start + self.windows.length)
        usual = torch.stack([self.flows.usual(time) for time in times])
        return {**self.windows[index], "usual": usual}


def flows_of(
    counts: NDArray[np.float32],
    times: NDArray[np.datetime64],
    *,
    slots: int,
    test_days: int,
    validation_days: int = 0,
) -> Flows:
    """The flows of counts (T, 2, H, W) at ``times`` (T,), ``slots`` of which make a day.

    Negative counts are errors of the files and become 0, as in the authors' code. Raises
    ValueError where no complete day is left to learn from, or counts are missing.
    """
    if counts.ndim != 4 or len(counts) != len(times):
        raise ValueError(
            f"counts: found shape {counts.shape} for {len(times)} times, expected (T, C, H, W)"
        )
    if not np.isfinite(counts).all():
        raise ValueError("counts: found values that are not finite, expected counts")
    kept = complete_days(times, slots=slots)
    counts, times = np.maximum(counts[kept], 0.0), times[kept]
    days = len(counts) // slots
    if days <= test_days + validation_days:
        raise ValueError(
            f"counts: found {days} complete days, expected more than the {test_days} of the test "
            f"and the {validation_days} of the validation"
        )
    test = (days - test_days) * slots
    least, most = float(counts[:test].min()), float(counts[:test].max())
    if most <= least:
        raise ValueError(f"counts: found {least:g} everywhere, expected traffic")
    step = _DAY // slots
    scaled = ((counts - least) / (most - least)).astype(np.float32)
    return Flows(
        frames=torch.from_numpy(scaled),
        gaps=tuple((np.flatnonzero(np.diff(times) != step) + 1).tolist()),
        slots=slots,
        least=least,
        most=most,
        validation=test - validation_days * slots,
        test=test,
    )


def complete_days(times: NDArray[np.datetime64], *, slots: int) -> NDArray[np.bool_]:
    """Which of ``times`` (rising, none twice) belong to a day that has all of its slots: (T,)."""
    days = times.astype("datetime64[D]")
    _, place, count = np.unique(days, return_inverse=True, return_counts=True)
    complete: NDArray[np.bool_] = (count == slots)[place]
    return complete
