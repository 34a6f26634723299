"""Rates that cannot be: rounding becomes dry, a few stray cells unseen, and many are refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from nowcast.field.errors import FormatError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

_ROUNDING_MM_H = 1e-3
_FLOAT32 = 1.001  # a step of 0.001 is a little more in float32
_STRAY = 0.01


def plausible(
    rate_mm_h: NDArray[np.float32], *, path: Path, step_mm_h: float = 0.0
) -> dict[str, Any]:
    """Mends the rates in place, and says as attributes what was done.

    Rates below 0 by no more than one step of the coding become 0. Other negative rates, and
    infinite ones, become NaN: BOM's interpolation leaves some -0.1 mm beside dry cells, and what
    rain fell there is unknown; the attribute ``impossible_cells`` counts them. Raises FormatError
    where they are more than one in a hundred of the cells that are not NaN: then the number stands
    for something that the file does not explain.
    """
    lowest = float(np.fmin.reduce(rate_mm_h, axis=None, initial=np.inf))
    highest = float(np.fmax.reduce(rate_mm_h, axis=None, initial=-np.inf))
    least = -min(_FLOAT32 * max(step_mm_h, _ROUNDING_MM_H), 1e30)
    attrs: dict[str, Any] = {}
    if lowest < least or np.isposinf(highest):
        impossible = (rate_mm_h < least) | np.isposinf(rate_mm_h)
        count, known = int(impossible.sum()), int((~np.isnan(rate_mm_h)).sum())
        if count > _STRAY * known:
            found = f"{lowest:g}" if lowest < least else "infinite"
            raise FormatError(
                f"{path}: {count} of {known} cells hold impossible rates, {found} mm/h among them, "
                "expected NaN or at least 0: the file does not say what that number stands for"
            )
        rate_mm_h[impossible] = np.nan
        attrs["impossible_cells"] = count
    if lowest < 0:
        np.maximum(rate_mm_h, 0, out=rate_mm_h)
    return attrs
