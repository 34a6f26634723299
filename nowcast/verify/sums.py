"""Sums first, ratios last: what is kept of a comparison adds over cycles, regions and months.

Every statistic of this package is a frozen dataclass of float64 arrays that derives from ``Sums``;
its scores are properties, read off at the end. All arrays of one statistic share their leading axes
(lead, threshold, ...), which no property looks at: a sum over one lead, over a table of leads, or
over a thousand bootstrap draws is read the same way.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Self, TypeVar

import numpy as np

from nowcast.field.errors import SchemaError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True, eq=False)
class Sums:
    """Arrays that add; a subclass names them as its fields.

    Counts are float64 too: exact up to 2**53, and a weighted sum (every case alike, a bootstrap
    draw) stays a sum.
    """

    def __post_init__(self) -> None:
        for field in fields(self):
            value = np.asarray(getattr(self, field.name), dtype=np.float64)
            object.__setattr__(self, field.name, value)

    def __add__(self, other: Self) -> Self:
        mine, theirs = self.arrays(), other.arrays()
        for name, array in mine.items():
            if array.shape != theirs[name].shape:
                raise SchemaError(
                    f"{type(self).__name__}: {name} of shape {array.shape} and of shape "
                    f"{theirs[name].shape} do not add: other leads, thresholds, scales or members"
                )
        return type(self)(**{name: array + theirs[name] for name, array in mine.items()})

    def __mul__(self, weight: float) -> Self:
        return type(self)(**{name: array * weight for name, array in self.arrays().items()})

    def equals(self, other: Self) -> bool:
        """Whether all sums are the same, to the last bit."""
        theirs = other.arrays()
        return all(np.array_equal(array, theirs[name]) for name, array in self.arrays().items())

    def arrays(self) -> dict[str, NDArray[np.float64]]:
        """The sums by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def of(cls, arrays: Mapping[str, ArrayLike]) -> Self:
        """The statistic of these ``arrays``; raises SchemaError where names are amiss."""
        expected = {field.name for field in fields(cls)}
        if set(arrays) != expected:
            raise SchemaError(f"{cls.__name__}: sums {sorted(arrays)}, expected {sorted(expected)}")
        return cls(**arrays)


AnySums = TypeVar("AnySums", bound=Sums)


def stack(parts: Sequence[AnySums]) -> AnySums:
    """The parts, all of one shape, as one statistic with a new first axis."""
    arrays = [part.arrays() for part in parts]
    stacked = {name: np.stack([one[name] for one in arrays]) for name in arrays[0]}
    return type(parts[0]).of(stacked)


def ratio(numerator: ArrayLike, denominator: ArrayLike) -> NDArray[np.float64]:
    """The quotient; NaN (undefined) where the denominator is 0."""
    above = np.asarray(numerator, dtype=np.float64)
    below = np.asarray(denominator, dtype=np.float64)
    out = np.full(np.broadcast_shapes(above.shape, below.shape), np.nan)
    np.divide(above, below, out=out, where=below != 0)
    return out
