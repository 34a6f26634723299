"""Regions: what is summed over wide surroundings, and how much of them reaches a threshold.

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
    from collections.abc import Iterable, Sequence

    from torch import Tensor

BLOCK = 256  # cells on a side; a region is three by three blocks, and what holds is linear between
SAMPLED_EVERY = 5  # cells: what is summed is smooth, and the network's patches have four
FURTHEST = 3.0  # that logits are shifted
SPAN, BINS = 14.0, 113  # logits are counted in bins from minus to plus this
HALVINGS = 20


class Regions:
    """The regions of a grid, and sums over what is seen of them, from a sample of the cells."""

    def __init__(self, seen: Tensor) -> None:
        """``seen`` (H, W) says where there is something to be summed."""
        self.seen = seen
        rows, columns = (
            torch.arange(0, length, SAMPLED_EVERY, device=seen.device) for length in seen.shape
        )
        self.blocks = (-(-seen.shape[0] // BLOCK), -(-seen.shape[1] // BLOCK))
        self._samples = torch.nonzero(seen[rows][:, columns].flatten()).squeeze(1)
        numbers = rows[:, None] // BLOCK * self.blocks[1] + columns // BLOCK
        self._block_of_sample = numbers.flatten()[self._samples]

    def sampled(self, layers: Tensor) -> Tensor:
        """The samples (..., n) of ``layers`` (..., H, W)."""
        thinned = layers[..., ::SAMPLED_EVERY, ::SAMPLED_EVERY].flatten(-2)
        return thinned[..., self._samples].float()

    def sums(self, samples: Tensor) -> Tensor:
        """The sums (N, rows, columns) around every block of ``samples`` (N, n)."""
        blocks = samples.new_zeros((len(samples), self.blocks[0] * self.blocks[1]))
        blocks.index_add_(1, self._block_of_sample, samples)
        return _around(blocks.view(-1, *self.blocks))

    def counts(self, bins: Tensor, *, of: int) -> Tensor:
        """How many samples around every block are in each of the bins: (N, rows, columns, of).

        ``bins`` (N, n) are their numbers.
        """
        places = self.blocks[0] * self.blocks[1]
        layer = torch.arange(len(bins), device=bins.device)[:, None] * places
        index = (layer + self._block_of_sample) * of + bins
        counts = torch.bincount(index.flatten(), minlength=len(bins) * places * of)
        counts = counts.view(len(bins), *self.blocks, of).permute(0, 3, 1, 2).float()
        return _around(counts.flatten(0, 1)).view(counts.shape).permute(0, 2, 3, 1)

    def totals(self, layers: Iterable[Tensor]) -> Tensor:
        """The sums (N, rows, columns) around every block of N ``layers`` (H, W), of seen cells."""
        sums = [_block_sums(torch.where(self.seen, layer, 0.0)) for layer in layers]
        return _around(torch.stack(sums))

    def total(self, marked: Tensor) -> Tensor:
        """How many of the seen cells around every block are ``marked`` (H, W), (rows, columns)."""
        return self.totals([marked.float()])[0]

    def between(self, blocks: Tensor) -> Tensor:
        """What is said for ``blocks`` (rows, columns) at every cell (H, W), linear between them."""
        wide = functional.interpolate(blocks[None, None], scale_factor=BLOCK, mode="bilinear")
        return wide[0, 0, : self.seen.shape[0], : self.seen.shape[1]]


class WetAreas:
    """What part of each region reaches the thresholds at issue time, and what follows from it."""

    def __init__(
        self, newest_mm_h: Tensor, *, thresholds_mm_h: Sequence[float], share: float
    ) -> None:
        """``newest_mm_h`` (H, W), NaN where unseen; ``share`` of now's area in what is said."""
        self.regions, self.share = Regions(torch.isfinite(newest_mm_h)), share
        self.parts = None
        if share:
            # One threshold after the other: on a continent all at once would not fit in memory.
            reached = [
                self.regions.total(newest_mm_h >= (1 - 1e-5) * least) for least in thresholds_mm_h
            ]
            cells = self.regions.total(self.regions.seen).clamp(min=1.0)
            self.parts = torch.stack(reached) / cells

    def shifted(self, logits: Tensor) -> Tensor:
        """The ``logits`` (K, H, W) of one lead, changed in place; they never rise with K."""
        return logits if self.parts is None else self._moved(logits, share=self.share)

    def softened(self, logits: Tensor, firmness: float) -> Tensor:
        """The ``logits`` times the ``firmness``, (K, H, W), changed in place.

        As much of every region is said to reach a threshold as before.
        """
        return logits if firmness == 1.0 else self._moved(logits, firmness=firmness)

    def _moved(self, logits: Tensor, *, share: float = 0.0, firmness: float = 1.0) -> Tensor:
        above = None
        shifts = self._shifts(logits, share=share, firmness=firmness)
        for layer, shift in zip(logits, shifts, strict=True):
            if firmness != 1.0:
                layer.mul_(firmness)
            layer.add_(self.regions.between(shift))
            if above is not None:
                layer.clamp_(max=above)
            above = layer
        return logits

    def _shifts(self, logits: Tensor, *, share: float, firmness: float) -> Tensor:
        """By how much the ``logits`` (K, H, W) of every block are shifted, (K, rows, columns).

        After it they have, times the ``firmness``, the sum that they had, but for the ``share`` of
        now's areas.
        """
        nearest = (self.regions.sampled(logits) + SPAN) * ((BINS - 1) / (2 * SPAN))
        counts = self.regions.counts(nearest.round().long().clamp(0, BINS - 1), of=BINS)
        centres = torch.linspace(-SPAN, SPAN, BINS, device=logits.device)
        total = counts.sum(dim=-1)

        def part(stretched: Tensor, shift: Tensor) -> Tensor:
            likely = torch.sigmoid(stretched + shift[..., None])
            return (counts * likely).sum(dim=-1) / total.clamp(min=1.0)

        wanted = part(centres, torch.zeros_like(total))
        if self.parts is not None:
            wanted = (1.0 - share) * wanted + share * self.parts
        furthest = FURTHEST + abs(1.0 - firmness) * SPAN
        low, high = torch.full_like(total, -furthest), torch.full_like(total, furthest)
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            less = part(firmness * centres, middle) < wanted
            low, high = torch.where(less, middle, low), torch.where(less, high, middle)
        return torch.where(total > 0, (low + high) / 2, 0.0)


def _block_sums(layer: Tensor) -> Tensor:
    """The sum of each block of a ``layer`` (H, W), (rows, columns)."""
    height, width = layer.shape
    padded = functional.pad(layer, (0, -width % BLOCK, 0, -height % BLOCK))
    means: Tensor = functional.avg_pool2d(padded[None], BLOCK)[0]
    return means * BLOCK**2


def _around(blocks: Tensor) -> Tensor:
    """Sums (N, rows, columns) over three by three ``blocks``, of those that there are."""
    return functional.avg_pool2d(blocks, 3, stride=1, padding=1) * 9
