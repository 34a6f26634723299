"""How much of a region reaches a threshold: what the network says, and what does so now.

How likely strong rain is, a network says by the rain that it has learnt from. Where a radar or the
weather is another, it errs all over a region alike: too much strong rain on a winter's day, too
little in a hailstorm that lives on. How much of the region is as wet now is a forecast too, which
errs otherwise; S-PROG and STEPS trust it alone (Seed, J. Appl. Meteor. 42, 381, 2003; Bowler et
al., Q. J. R. Meteorol. Soc. 132, 2127, 2006). So all logits of a region are shifted alike, until
the sum of its probabilities lies between the two. Which cells are the likelier ones stays.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

BLOCK = 256  # cells on a side; a region is three by three blocks, and shifts are linear between
SAMPLED_EVERY = 5  # cells: probabilities are smooth, and the network's patches have four
FEW_CELLS = 20.0  # of so few that reach a threshold nothing follows
FURTHEST = 3.0  # that logits are shifted
SPAN, BINS = 14.0, 113  # logits are counted in bins from minus to plus this
HALVINGS = 20


class WetAreas:
    """What part of each region reaches the thresholds at issue time, and what follows from it."""

    def __init__(
        self, newest_mm_h: Tensor, *, thresholds_mm_h: Sequence[float], share: float
    ) -> None:
        """``newest_mm_h`` (H, W), NaN where unseen; ``share`` of now's area in what is said."""
        self.share = share
        seen = torch.isfinite(newest_mm_h)
        self.cells = _regions(_block_sums(seen)[None])[0].clamp(min=1.0)
        reached = [_block_sums(newest_mm_h >= (1 - 1e-5) * least) for least in thresholds_mm_h]
        self.parts = _regions(torch.stack(reached)) / self.cells
        rows, columns = (
            torch.arange(SAMPLED_EVERY // 2, length, SAMPLED_EVERY, device=seen.device)
            for length in seen.shape
        )
        self._samples = torch.nonzero(seen[rows][:, columns].flatten()).squeeze(1)
        blocks = rows[:, None] // BLOCK * self.cells.shape[1] + columns // BLOCK
        self._blocks = blocks.flatten()[self._samples]

    def shifted(self, logits: Tensor) -> Tensor:
        """The ``logits`` (K, H, W) of one lead, changed in place; they never rise with K."""
        height, width = logits.shape[-2:]
        shifts = self.shifts(logits)
        above = None
        for layer, shift in zip(logits, shifts, strict=True):
            between = functional.interpolate(shift[None, None], scale_factor=BLOCK, mode="bilinear")
            layer.add_(between[0, 0, :height, :width])
            if above is not None:
                layer.clamp_(max=above)
            above = layer
        return logits

    def shifts(self, logits: Tensor) -> Tensor:
        """By how much the ``logits`` (K, H, W) of every block are shifted, (K, rows, columns)."""
        counts = self._counted(logits)
        centres = torch.linspace(-SPAN, SPAN, BINS, device=logits.device)
        total = counts.sum(dim=-1).clamp(min=1.0)

        def part(shift: Tensor) -> Tensor:
            return (counts * torch.sigmoid(centres + shift[..., None])).sum(dim=-1) / total

        few = FEW_CELLS / self.cells
        now, said = (self.parts + few).log(), (part(torch.zeros_like(total)) + few).log()
        wanted = ((1.0 - self.share) * said + self.share * now).exp() - few
        low = torch.full_like(total, -FURTHEST)
        high = -low
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            less = part(middle) < wanted
            low, high = torch.where(less, middle, low), torch.where(less, high, middle)
        return torch.where(counts.sum(dim=-1) > 0, (low + high) / 2, 0.0)

    def _counted(self, logits: Tensor) -> Tensor:
        """How many sampled cells of each region have a logit in a bin, (K, rows, columns, BINS)."""
        start = SAMPLED_EVERY // 2
        sampled = logits[:, start::SAMPLED_EVERY, start::SAMPLED_EVERY].flatten(1)
        nearest = (sampled[:, self._samples].float() + SPAN) * ((BINS - 1) / (2 * SPAN))
        bins = nearest.round().long()
        thresholds, (rows, columns) = len(logits), self.cells.shape
        layer = torch.arange(thresholds, device=logits.device)[:, None] * (rows * columns)
        index = (layer + self._blocks) * BINS + bins.clamp(0, BINS - 1)
        counts = torch.bincount(index.flatten(), minlength=thresholds * rows * columns * BINS)
        counts = counts.view(thresholds, rows, columns, BINS).permute(0, 3, 1, 2).float()
        return _regions(counts.flatten(0, 1)).view(counts.shape).permute(0, 2, 3, 1)


def _block_sums(marked: Tensor) -> Tensor:
    """How many cells of each block are ``marked`` (H, W), (rows, columns)."""
    height, width = marked.shape
    padded = functional.pad(marked.float(), (0, -width % BLOCK, 0, -height % BLOCK))
    return functional.avg_pool2d(padded[None], BLOCK)[0] * BLOCK**2


def _regions(blocks: Tensor) -> Tensor:
    """Sums (N, rows, columns) over three by three ``blocks``, of those that there are."""
    return functional.avg_pool2d(blocks, 3, stride=1, padding=1) * 9
