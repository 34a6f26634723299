"""A forecast unpacked, so that a click on a place is answered at once.

In a forecast file every field is packed by itself; the timeline of a place would unpack all of
them. So that is done once, into a nameless file, which the system keeps in memory or not, as there
is room.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nowcast.web.opened import Opened

_STEPS, _UNSEEN = 200, 255  # a probability is kept to half a per cent


@dataclass(frozen=True, eq=False)
class Series:
    """Rain rates and probabilities by place.

    Attributes:
        rates: rain rate (mm h-1), (lead, y, x).
        chances: probability of exceedance in steps of half a per cent, (lead, threshold, y, x).

    """

    rates: NDArray[np.float32]
    chances: NDArray[np.uint8]

    @classmethod
    def of(cls, opened: Opened) -> Series:
        """All of a forecast; takes seconds for 24 leads of 765x700 with probabilities."""
        leads, thresholds = len(opened.leads), opened.thresholds
        rates = _room((leads, *opened.grid.shape), np.float32)
        chances = _room((leads, len(thresholds), *opened.grid.shape), np.uint8)
        for lead in range(leads):
            rates[lead] = opened.rate(lead)
            for index, threshold in enumerate(thresholds):
                said = opened.probability(threshold, lead) * np.float32(_STEPS)
                np.nan_to_num(said, copy=False, nan=_UNSEEN)
                np.rint(said, out=said)
                chances[lead, index] = said
        return cls(rates, chances)

    def rate(self, row: int, column: int) -> NDArray[np.float32]:
        """Rain rate (mm h-1) of every lead at a cell, (lead,)."""
        return np.array(self.rates[:, row, column])

    def probability(self, row: int, column: int) -> NDArray[np.float32]:
        """Probabilities (0 to 1) of every lead at a cell, (lead, threshold); NaN: unseen."""
        coded = np.array(self.chances[..., row, column])
        said = coded.astype(np.float32) / _STEPS
        said[coded == _UNSEEN] = np.nan
        return said


def _room(shape: tuple[int, ...], dtype: type[np.generic]) -> NDArray[Any]:
    """An array in a nameless file, which goes with it."""
    if 0 in shape:
        return np.empty(shape, dtype)
    with tempfile.TemporaryFile(prefix="nowcast-view-") as file:
        return np.memmap(file, dtype=dtype, mode="w+", shape=shape)
