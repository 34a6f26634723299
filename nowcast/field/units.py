"""The only place where units are converted.

Rates are mm h-1, accumulations mm over a stated interval, reflectivity dBZ. NaN (unseen) stays NaN,
and 0 (dry) and minus infinity dBZ (no echo) are each other's images.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

RATE = "mm h-1"


@dataclass(frozen=True)
class ZR:
    """A relation Z = a R**b between reflectivity factor Z (mm6 m-3) and rain rate R (mm h-1).

    The default is that of Marshall and Palmer (J. Meteor. 5, 165, 1948).
    """

    a: float = 200.0
    b: float = 1.6

    def __post_init__(self) -> None:
        if not (self.a > 0 and self.b > 0):
            raise ValueError(f"Z-R relation: a {self.a} and b {self.b} must be positive")

    def rate_mm_h(self, dbz: ArrayLike) -> NDArray[np.float32]:
        """Rain rate (mm h-1) of reflectivity (dBZ); NaN stays NaN, no echo (-inf) gives 0."""
        decibel = np.asarray(dbz, dtype=np.float32)
        scale = np.float32(np.log(10.0) / (10.0 * self.b))
        rate = np.exp(decibel * scale - np.float32(np.log(self.a) / self.b))
        return np.asarray(rate, dtype=np.float32)

    def dbz(self, rate_mm_h: ArrayLike) -> NDArray[np.float32]:
        """Reflectivity (dBZ) of a rain rate (mm h-1); NaN stays NaN, dry (0) gives -inf."""
        rate = np.asarray(rate_mm_h, dtype=np.float32)
        with np.errstate(divide="ignore"):
            decibel = 10.0 * (np.log10(self.a) + self.b * np.log10(rate))
        return np.asarray(decibel, dtype=np.float32)


def rate_from_accumulation(depth_mm: ArrayLike, *, minutes: float) -> NDArray[np.float32]:
    """Mean rain rate (mm h-1) of a depth (mm) that fell within ``minutes``; NaN stays NaN."""
    if minutes <= 0:
        raise ValueError(f"an accumulation interval of {minutes} min, expected more than 0")
    return np.asarray(depth_mm, dtype=np.float32) * np.float32(60.0 / minutes)


def rate_from_m_s(rate_m_s: ArrayLike) -> NDArray[np.float32]:
    """Rain rate (mm h-1) of one in m s-1; NaN stays NaN."""
    return np.asarray(rate_m_s, dtype=np.float32) * np.float32(3.6e6)
