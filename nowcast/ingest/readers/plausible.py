"""Rates that cannot be: what rounding explains is mended, all else is refused aloud."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nowcast.field.errors import FormatError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

_ROUNDING_MM_H = 1e-3
_FLOAT32 = 1.001  # a step of 0.001 is a little more in float32


def plausible(
    rate_mm_h: NDArray[np.float32], *, path: Path, step_mm_h: float = 0.0
) -> NDArray[np.float32]:
    """The rates, in place, with 0 for those below 0 by no more than one step of the coding.

    NaN stays NaN. Raises FormatError on larger negative rates and on infinite ones: they are a code
    for something that the file does not explain, and neither dry nor missing may be guessed.
    """
    lowest = float(np.fmin.reduce(rate_mm_h, axis=None, initial=np.inf))
    highest = float(np.fmax.reduce(rate_mm_h, axis=None, initial=-np.inf))
    if lowest < -_FLOAT32 * max(step_mm_h, _ROUNDING_MM_H):
        count = int((rate_mm_h == lowest).sum())
        raise FormatError(
            f"{path}: {count} cells hold the impossible rate {lowest:g} mm/h, "
            "expected NaN or at least 0: the file does not say what that number stands for"
        )
    if np.isposinf(highest):
        raise FormatError(
            f"{path}: infinite rates, expected finite ones, 0 where dry or NaN where unseen"
        )
    if lowest < 0:
        np.maximum(rate_mm_h, 0, out=rate_mm_h)
    return rate_mm_h
