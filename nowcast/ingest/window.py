"""Which frames make the sequence that ends at one of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nowcast.ingest.catalogue import Catalogue


class Between(NamedTuple):
    """A frame to be made of two others, by their places in the catalogue."""

    older: int
    newer: int


class Window(NamedTuple):
    """A sequence, oldest first.

    ``slots`` holds for each of ``times`` the place of its frame in the catalogue, or the two
    frames to make it of; ``degraded`` says what is not as it was asked for, empty where all is.
    """

    times: NDArray[np.datetime64]
    slots: tuple[int | Between, ...]
    degraded: str


def plan(catalogue: Catalogue, newest: int, *, step: np.timedelta64, frames: int) -> Window:
    """The sequence of at most ``frames`` frames, ``step`` apart, that ends at frame ``newest``.

    A missing frame between two that are there is to be made of them; two missing in a row, or
    the beginning of the archive, cut the sequence short.
    """
    end = catalogue.times[newest]
    slots: list[int | Between] = [newest]
    filled: list[str] = []
    reasons: list[str] = []
    newer = newest
    for back in range(1, frames):
        time = end - back * step
        found, older = (nearest(catalogue, time - wait, step=step) for wait in (0 * step, step))
        if found is not None:
            slots.append(found)
            newer = found
        elif older is not None:
            slots.append(Between(older, newer))
            filled.append(utc(time))
        else:
            reasons.append(f"{back} of {frames} frames of history: {_cut(catalogue, time, step)}")
            break
    if filled:
        reasons.append(f"{len(filled)} missing frame(s) infilled: {', '.join(reversed(filled))}")
    times = end - step * np.arange(len(slots) - 1, -1, -1)
    return Window(times, tuple(reversed(slots)), "; ".join(reasons))


def nearest(catalogue: Catalogue, time: np.datetime64, *, step: np.timedelta64) -> int | None:
    """The frame that stands for a time.

    Some services (MRMS) stamp the second at which a scan ended, so times wander a little.
    """
    return catalogue.index(time, within=step // 3)


def utc(time: np.datetime64) -> str:
    """A time as messages show it: ``2010-08-26T07:35Z``, with seconds where there are some."""
    whole = time == time.astype("datetime64[m]")
    return f"{np.datetime_as_string(time, unit='m' if whole else 's')}Z"


def _cut(catalogue: Catalogue, time: np.datetime64, step: np.timedelta64) -> str:
    """Why there is nothing at ``time`` and a step before it."""
    earlier = catalogue.times[catalogue.times < time]
    if earlier.size == 0:
        return f"the archive begins at {utc(catalogue.times[0])}"
    missing = round(float((time - earlier[-1]) / step))
    return f"{missing} frames missing from {utc(earlier[-1] + step)} to {utc(time)}"
