"""How the echoes move: pysteps' Lucas-Kanade optical flow, and its units."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np

from nowcast.field.errors import MethodError
from nowcast.forecast.pysteps_quietly import inverse_distances, quietly, sparse_flow

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nowcast.field.grid import Grid
    from nowcast.field.schema import Radar

    Motion = NDArray[np.float32]
    Rates = NDArray[np.float32]

DRY_MM_H = 0.1
DRY_DB = -15.0
# On larger grids the flow is found between block means: a continent's motion has no detail of a
# cell, and the optical flow of 25 million cells would take minutes.
_LARGEST_GRID = 4_500_000
# Rows that are filled in at once: what that takes on the way stays in the cache.
_BAND_ROWS = 16


def decibel(rate_mm_h: NDArray[np.floating]) -> Rates:
    """The rate (mm h-1) in dB; below 0.1 mm/h, and where unseen, the floor of -15 dB."""
    wet = rate_mm_h >= DRY_MM_H  # False for NaN
    in_db = np.full(rate_mm_h.shape, DRY_DB, np.float32)
    np.log10(rate_mm_h, out=in_db, where=wet, casting="same_kind")
    return np.multiply(in_db, np.float32(10.0), out=in_db, where=wet)


def rate_of_decibel(in_db: NDArray[np.floating]) -> Rates:
    """The rate (mm h-1) of dB: no rain at -10 dB and below, NaN stays NaN."""
    rate = np.power(10.0, np.asarray(in_db, np.float32) / np.float32(10.0))
    rate[in_db <= 10.0 * np.log10(DRY_MM_H)] = 0.0
    return np.asarray(rate, dtype=np.float32)


def motion_of(past: Radar, *, frames: int = 4, block: int | None = None) -> Motion:
    """The motion of the newest frames: (2, H, W) in cells per time step, always finite.

    Component 0 is along the columns (x, eastwards), component 1 down the rows. Found by sparse
    Lucas-Kanade tracking of the last ``frames`` frames in dB, all pairs pooled, filled in by
    inverse distances (pysteps' ``LK``; Bouguet, Intel Corp., 2001). What one of the frames misses
    counts as dry in all of them: so the edge of the seen area stands still and is not tracked, not
    even where a radar drops out. Nothing can be followed through a frame without echoes, or one
    that shows less than half of what the newest does: it and those before it are not used.
    With a single frame left, or without echoes in the newest, the motion is zero.

    ``block`` is the side of the block means between which the flow is found, in cells; by default
    1, and more on grids of more than 4.5 million cells. Raises MethodError where the flow fails.
    """
    rates = _trackable(past["rainfall_rate"].values[-frames:])
    shape = past["rainfall_rate"].shape[1:]
    if len(rates) < 2:
        return np.zeros((2, *shape), np.float32)
    side = block if block is not None else int(np.ceil(np.sqrt(np.prod(shape) / _LARGEST_GRID)))
    images = decibel(_block_means(rates, side) if side > 1 else rates)
    flow = _lucas_kanade(images, newest=past["time"].values[-1])
    return _spread(flow * np.float32(side), side, shape) if side > 1 else flow


def motion_m_s(motion: Motion, *, grid: Grid, step: np.timedelta64) -> tuple[Motion, Motion]:
    """The motion (m s-1) towards increasing x and increasing y, each (H, W).

    ``motion`` is that of motion_of, per time ``step``; its rows go down and y goes up. On a lat/lon
    grid every row has its own metres along x; on a projected one they are the map's.
    """
    seconds = step / np.timedelta64(1, "s")
    height, width = grid.cell_metres
    along: NDArray[np.float64] | float = width
    if grid.is_geographic:
        middle = (grid.extent[2] + grid.extent[3]) / 2
        along = (width * np.cos(np.deg2rad(grid.y)) / np.cos(np.deg2rad(middle)))[:, np.newaxis]
    eastwards = motion[0] * (along / seconds)
    northwards = -motion[1] * (height / seconds)
    return eastwards.astype(np.float32), northwards.astype(np.float32)


def _trackable(rates: Rates) -> Rates:
    """The newest frames that can be followed into each other, NaN where one of them is."""
    seen = np.isfinite(rates)
    extent = seen.sum(axis=(1, 2))
    blind = (extent < extent[-1] / 2) | ~(rates >= DRY_MM_H).any(axis=(1, 2))
    first = np.flatnonzero(blind)[-1] + 1 if blind.any() else 0
    return np.where(seen[first:].all(axis=0), rates[first:], np.float32(np.nan))


def _lucas_kanade(images: Rates, *, newest: np.datetime64) -> Motion:
    import cv2  # noqa: PLC0415 - late: heavy, and needed here alone

    track = sparse_flow()
    try:
        with quietly():
            places, moves = track(images)
            motion = _filled_in(places, moves, shape=images.shape[1:])
    except (cv2.error, ValueError, IndexError, RuntimeError, np.linalg.LinAlgError) as error:
        raise MethodError(
            f"no motion from {len(images)} frames of {images.shape[1]}x{images.shape[2]} cells up "
            f"to {newest}: Lucas-Kanade failed ({error})"
        ) from error
    if not np.isfinite(motion).all():
        raise MethodError(f"no motion up to {newest}: Lucas-Kanade gave NaN or infinite values")
    return motion


def _filled_in(
    places: NDArray[np.floating], moves: NDArray[np.floating], *, shape: tuple[int, ...]
) -> Motion:
    """The motion (2, H, W) between vectors at places (x, y), by inverse distances.

    Each cell by itself, so that bands of rows on several threads have the numbers of pysteps' dense
    field, sooner.
    """
    motion = np.zeros((2, *shape), np.float32)
    if not len(places):
        return motion
    fill, (height, width) = inverse_distances(), shape

    def fill_rows(start: int) -> None:
        # pysteps measures distances in steps of the axes: of a single row there is none.
        first = min(start, max(height - 2, 0))
        rows = np.arange(first, min(start + _BAND_ROWS, height))
        motion[:, rows] = fill(places, moves, np.arange(width), rows)

    with ThreadPoolExecutor() as threads:
        list(threads.map(fill_rows, range(0, height, _BAND_ROWS)))
    return motion


def _block_means(rates: Rates, side: int) -> Rates:
    """Means of the seen cells of ``side`` x ``side`` blocks, NaN where none was seen."""
    height, width = rates.shape[1:]
    missing = (0, -height % side), (0, -width % side)
    padded = np.pad(rates, ((0, 0), *missing), constant_values=np.nan)
    blocks = padded.reshape(len(rates), padded.shape[1] // side, side, -1, side)
    seen = np.isfinite(blocks).sum(axis=(2, 4))
    total = np.nan_to_num(blocks).sum(axis=(2, 4))
    means = np.where(seen > 0, total / np.maximum(seen, 1), np.nan)
    return np.asarray(means, dtype=np.float32)


def _spread(motion: Motion, side: int, shape: tuple[int, ...]) -> Motion:
    """The motion of blocks at every cell: linear between the centres of blocks."""
    from torch import from_numpy  # noqa: PLC0415 - late: torch is heavy
    from torch.nn.functional import interpolate  # noqa: PLC0415

    cells = interpolate(
        from_numpy(motion).unsqueeze(0), scale_factor=side, mode="bilinear", align_corners=False
    )
    return np.asarray(cells[0, :, : shape[0], : shape[1]].contiguous().numpy())
