"""How sure a score is: intervals by drawing cycles again.

Cycles that follow each other share their weather, so they are drawn in blocks (circular block
bootstrap, Politis and Romano 1992): a score is as sure as the number of independent events, not of
pixels or frames.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nowcast.field.errors import SchemaError, UsageError
from nowcast.verify.tally import Tally, total

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray


@dataclass(frozen=True)
class Interval:
    """A score and where it would lie with other cycles of the same kind; NaN where undefined."""

    value: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]


@dataclass(frozen=True)
class Resampling:
    """How cycles are drawn.

    Attributes:
        draws: how many times.
        level: the part of the draws within the interval.
        block_cycles: how many cycles in a row are drawn together; None: the cube root of their
            number, rounded.
        seed: the same seed draws the same cycles.

    """

    draws: int = 1000
    level: float = 0.95
    block_cycles: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.draws < 1 or not 0 < self.level < 1 or (self.block_cycles or 1) < 1:
            raise UsageError(
                f"{self.draws} draws, level {self.level}, blocks of {self.block_cycles} cycles: "
                "expected at least 1 draw, a level between 0 and 1, blocks of at least 1"
            )

    def weights(self, cycles: int) -> NDArray[np.float64] | None:
        """How often each cycle is drawn (draw, cycle); None for fewer than two blocks of cycles."""
        block = self.block_cycles or max(1, round(cycles ** (1 / 3)))
        if cycles < 2 * block:
            return None
        blocks = -(-cycles // block)
        starts = np.random.default_rng(self.seed).integers(cycles, size=(self.draws, blocks))
        drawn = (starts[..., np.newaxis] + np.arange(block)) % cycles
        drawn = drawn.reshape(self.draws, -1)[:, :cycles]
        counts = np.zeros((self.draws, cycles))
        np.add.at(counts, (np.arange(self.draws)[:, np.newaxis], drawn), 1.0)
        return counts


def score_interval(
    tallies: Sequence[Tally],
    score: Callable[[Tally], NDArray[np.float64]],
    *,
    resampling: Resampling = Resampling(),
) -> Interval:
    """The score of all cycles together and its interval; one tally a cycle, in order of time.

    ``score`` is one of ``SCORES`` or any function of a tally that leaves leading axes alone. The
    interval is NaN where there are fewer than two blocks of cycles: what cannot be known is not
    claimed.
    """
    pooled = total(tallies)
    value = score(pooled)
    weights = resampling.weights(len(tallies))
    if weights is None:
        return _unknown(value)
    return _interval(value, score(_drawn(tallies, pooled, weights)), resampling.level)


def difference_interval(
    first: Sequence[Tally],
    second: Sequence[Tally],
    score: Callable[[Tally], NDArray[np.float64]],
    *,
    resampling: Resampling = Resampling(),
) -> Interval:
    """The score of the first method less that of the second, on the same cycles, and its interval.

    Both are drawn alike, so the weather they share cancels: 0 outside the interval means that the
    order is resolved. Raises SchemaError where they are not of the same cycles.
    """
    if [tally.issued for tally in first] != [tally.issued for tally in second]:
        raise SchemaError(
            f"{len(first)} and {len(second)} cycles that are not the same: compare like with like"
        )
    pooled = total(first), total(second)
    value = score(pooled[0]) - score(pooled[1])
    weights = resampling.weights(len(first))
    if weights is None:
        return _unknown(value)
    drawn = score(_drawn(first, pooled[0], weights)) - score(_drawn(second, pooled[1], weights))
    return _interval(value, drawn, resampling.level)


def _drawn(tallies: Sequence[Tally], pooled: Tally, weights: NDArray[np.float64]) -> Tally:
    """The pooled tally of every draw at once: all its sums with a leading axis draw."""
    pieces = {}
    for name, piece in pooled.pieces().items():
        sums = {}
        for field, whole in piece.arrays().items():
            each = np.zeros((len(tallies), *whole.shape))
            for k, tally in enumerate(tallies):
                held = getattr(tally, name)
                if held is not None:
                    each[k] = getattr(held, field)
            sums[field] = np.tensordot(weights, each, axes=1)
        pieces[name] = type(piece).of(sums)
    return pooled.with_pieces(pieces)


def _interval(value: NDArray[np.float64], drawn: NDArray[np.float64], level: float) -> Interval:
    """Percentiles over the draws in which the score is defined."""
    edges = (1 - level) / 2, (1 + level) / 2
    some = np.isfinite(drawn).any(axis=0)
    low, high = (np.full(value.shape, np.nan) for _ in range(2))
    if some.any():
        low[some], high[some] = np.nanquantile(drawn[:, some], edges, axis=0)
    return Interval(value=value, low=low, high=high)


def _unknown(value: NDArray[np.float64]) -> Interval:
    return Interval(value=value, low=np.full_like(value, np.nan), high=np.full_like(value, np.nan))
