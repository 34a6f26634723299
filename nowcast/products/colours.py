"""The colour scales of our maps, readable with every kind of colour vision.

Rain falls in lightness from pale to dark blue (light rain) and again from yellow to almost black
(heavy rain), so that a cloudburst stands out as a dark core in a warm ring. The colours were found
by optimisation: any two classes of a scale, and each class and the land and sea below it, differ by
a CIEDE2000 of at least 8 in normal vision and for protanopes, deuteranopes and tritanopes (Machado
et al. 2009, doi:10.1109/TVCG.2009.113); the tests compute it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

LAND = "#f6f4ee"
SEA = "#e3e4e3"


@dataclass(frozen=True)
class ColourScale:
    """Classes of a quantity and their colours.

    Class i holds values from ``levels[i]`` on and below ``levels[i + 1]``; the last one is open.
    Values below the first level have no colour.

    Attributes:
        name: what is shown, as a legend says it.
        unit: the unit of the labels, as a legend says it.
        levels: the lower bounds of the classes, ascending.
        colours: one ``#rrggbb`` a class.
        labels: the levels as a legend writes them.

    """

    name: str
    unit: str
    levels: tuple[float, ...]
    colours: tuple[str, ...]
    labels: tuple[str, ...]

    def __post_init__(self) -> None:
        if not len(self.levels) == len(self.colours) == len(self.labels):
            raise ValueError(
                f"scale {self.name}: {len(self.levels)} levels, {len(self.colours)} colours and "
                f"{len(self.labels)} labels, expected as many of each"
            )
        if list(self.levels) != sorted(set(self.levels)):
            raise ValueError(f"scale {self.name}: levels {self.levels} do not ascend")

    @cached_property
    def _table(self) -> NDArray[np.uint8]:
        """Red, green, blue, alpha: nothing, the classes, nothing (unseen)."""
        table = np.zeros((len(self.colours) + 2, 4), dtype=np.uint8)
        for row, colour in enumerate(self.colours, start=1):
            table[row] = [*bytes.fromhex(colour.removeprefix("#")), 255]
        return table

    def classes(self, values: ArrayLike) -> NDArray[np.intp]:
        """The class of each value: -1 below the first level, ``len(levels)`` where unseen (NaN)."""
        array = np.asarray(values, dtype=np.float32)
        found = np.searchsorted(np.asarray(self.levels, np.float32), array, side="right") - 1
        return np.where(np.isnan(array), len(self.levels), found)

    def rgba(self, values: ArrayLike) -> NDArray[np.uint8]:
        """Colours (..., 4) of ``values``; transparent below the first level and where NaN."""
        return self._table[self.classes(values) + 1]


RAIN_RATE = ColourScale(
    name="rain rate",
    unit="mm h⁻¹",
    levels=(0.1, 0.3, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 20.0, 30.0, 50.0, 100.0),
    labels=("0.1", "0.3", "0.5", "1", "2", "3", "5", "10", "20", "30", "50", "100"),
    colours=(
        *("#c7ecfd", "#94cceb", "#63acdd", "#378aca", "#1966ab", "#0d4185"),
        *("#fff049", "#fab328", "#ee781d", "#cb3b28", "#820e36", "#25052b"),
    ),
)

PROBABILITY = ColourScale(
    name="probability",
    unit="%",
    levels=(0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9),
    labels=("10", "20", "30", "40", "50", "60", "70", "80", "90"),
    colours=(
        *("#fff099", "#d8cb61", "#adab4d", "#83965b", "#57816e"),
        *("#31697c", "#1d4b77", "#012961", "#00063e"),
    ),
)
