"""The frame between two others, made of both by moving each halfway along the motion."""

from __future__ import annotations

import contextlib
import io
import warnings
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Field = NDArray[np.float32]
    Motion = NDArray[np.float32]

_LARGEST = 800
_FLOOR_MM_H = 0.1


def between(before_mm_h: Field, after_mm_h: Field) -> Field:
    """The rain rate (mm h-1), (y, x), halfway in time between two frames.

    Both neighbours move half the way along the motion between them, the earlier one forwards, the
    later one backwards, and their mean is taken; where one is unseen the other stands alone, and
    where both are, the result is NaN. The motion is Lucas and Kanade's (pysteps), the scheme
    semi-Lagrangian with the displacement of the trajectory's midpoint (Germann and Zawadzki, 2002,
    doi:10.1175/1520-0493(2002)130<2859:SDOTPO>2.0.CO;2). The mean smooths what the motion misses,
    so peaks come out somewhat low.
    """
    motion = motion_between(before_mm_h, after_mm_h)
    parts = [advected(before_mm_h, motion, 0.5), advected(after_mm_h, motion, -0.5)]
    seen = np.isfinite(parts)
    total = np.where(seen, parts, np.float32(0)).sum(axis=0)
    count = seen.sum(axis=0)
    mean = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    return mean.astype(np.float32)


def motion_between(before_mm_h: Field, after_mm_h: Field) -> Motion:
    """Displacement (2, y, x) in cells, along x first, from one frame to the next.

    0 where nothing moves, as between dry frames. Large fields are thinned first: a motion is
    smooth, and on 24 million cells its interpolation alone would take gigabytes.
    """
    shape = before_mm_h.shape
    factor = max(1, -(-max(shape) // _LARGEST))
    images = np.stack([_decibel(_thinned(f, factor)) for f in (before_mm_h, after_mm_h)])
    if (images == images[0, 0, 0]).all():
        return np.zeros((2, *shape), dtype=np.float32)
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pysteps.motion.lucaskanade import dense_lucaskanade  # noqa: PLC0415

        motion: Motion = dense_lucaskanade(images).astype(np.float32)
    return motion if factor == 1 else _spread(motion, factor, shape)


def advected(rate_mm_h: Field, motion: Motion, share: float) -> Field:
    """The field moved by ``share`` of the motion; NaN where it came from unseen or outside."""
    rows, columns = np.indices(rate_mm_h.shape, dtype=np.float32)
    share32 = np.float32(share)
    path = share32 * motion
    for _ in range(2):
        # The displacement of a parcel is that at the middle of its way, which it depends on.
        middle = rows - path[1] / 2, columns - path[0] / 2
        path = share32 * np.stack([_at(part, *middle, beyond="edge") for part in motion])
    origin = rows - path[1], columns - path[0]
    seen = np.isfinite(rate_mm_h)
    weight = _at(seen.astype(np.float32), *origin)
    value = _at(np.where(seen, rate_mm_h, np.float32(0)), *origin)
    moved = np.full(rate_mm_h.shape, np.nan, dtype=np.float32)
    np.divide(value, weight, out=moved, where=weight > 0.5)
    return moved


def _at(field: Field, rows: Field, columns: Field, *, beyond: str = "zero") -> Field:
    """The field between its cells, bilinear to a 32nd of a cell; beyond the edge 0 or the edge."""
    import cv2  # noqa: PLC0415

    border = cv2.BORDER_REPLICATE if beyond == "edge" else cv2.BORDER_CONSTANT
    found = cv2.remap(field, columns, rows, cv2.INTER_LINEAR, borderMode=border)
    return np.asarray(found, dtype=np.float32)


def _spread(motion: Motion, factor: int, shape: tuple[int, ...]) -> Motion:
    """The motion of a thinned field, in cells of the whole one."""
    import cv2  # noqa: PLC0415

    _, rows, columns = (factor * n for n in motion.shape)
    parts = [cv2.resize(part, (columns, rows), interpolation=cv2.INTER_LINEAR) for part in motion]
    return np.stack([part[: shape[0], : shape[1]] for part in parts]) * np.float32(factor)


def _decibel(rate_mm_h: Field) -> Field:
    """10 log10 of the rate for the eye of the motion: dry and unseen both lie on the floor."""
    wet = np.where(np.isfinite(rate_mm_h), rate_mm_h, 0)
    return (10 * np.log10(np.maximum(wet, _FLOOR_MM_H))).astype(np.float32)


def _thinned(field: Field, factor: int) -> Field:
    """Means over blocks of ``factor`` cells, of what was seen; the last blocks may be smaller."""
    if factor == 1:
        return field
    rows, columns = (-(-n // factor) for n in field.shape)
    padded = np.full((rows * factor, columns * factor), np.nan, dtype=np.float32)
    padded[: field.shape[0], : field.shape[1]] = field
    blocks = padded.reshape(rows, factor, columns, factor)
    count = np.isfinite(blocks).sum(axis=(1, 3))
    mean: Field = np.nansum(blocks, axis=(1, 3)) / np.where(count > 0, count, np.nan)
    return mean.astype(np.float32)
