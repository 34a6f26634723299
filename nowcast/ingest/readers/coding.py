"""Stored numbers and what they stand for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from nowcast.field.units import ZR

if TYPE_CHECKING:
    from numpy.typing import NDArray

Quantity = Literal["dbz", "rate"]
MARSHALL_PALMER = ZR()
FMI_ZR = ZR(a=223.0, b=1.53)


@dataclass(frozen=True)
class Coding:
    """A field stored as numbers: ``gain * number + offset`` is reflectivity (dBZ) or rate (mm h-1).

    Attributes:
        nodata: the number of a cell that no radar saw, if there is one.
        undetect: the number of a cell that was seen and held no echo, if there is one.

    """

    gain: float
    offset: float
    nodata: float | None
    undetect: float | None
    quantity: Quantity = "dbz"
    zr: ZR = MARSHALL_PALMER

    def rate_mm_h(self, stored: NDArray[Any]) -> NDArray[np.float32]:
        """Rain rate (mm h-1) of stored numbers: NaN for nodata, 0 for undetect."""
        if stored.dtype.kind == "u" and stored.dtype.itemsize <= 2:
            # Every possible number once, then a lookup: ten times faster than 36 million powers.
            every = np.arange(2 ** (8 * stored.dtype.itemsize), dtype=np.float32)
            table = self._decoded(every)
            return np.asarray(table[stored])
        return self._decoded(stored.astype(np.float32))

    def _decoded(self, numbers: NDArray[np.float32]) -> NDArray[np.float32]:
        physical = np.float32(self.gain) * numbers + np.float32(self.offset)
        with np.errstate(over="ignore"):  # numbers that no cell holds, or infinite rain: refused
            rate = self.zr.rate_mm_h(physical) if self.quantity == "dbz" else physical
        if self.undetect is not None:
            rate[numbers == np.float32(self.undetect)] = 0
        if self.nodata is not None:
            rate[numbers == np.float32(self.nodata)] = np.nan
        return rate
