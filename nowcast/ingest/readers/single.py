"""Frames of a file that holds one."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from nowcast.field.errors import FormatError, SchemaError
from nowcast.field.schema import frames_dataset

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from nowcast.field.grid import Grid
    from nowcast.field.schema import Frames

_NO_TIME = np.array([], dtype="datetime64[ns]")


def single_frame(
    rate_mm_h: NDArray[np.float32],
    *,
    path: Path,
    grid: Grid,
    stated: NDArray[np.datetime64],
    stamp: np.datetime64 | None,
    attrs: Mapping[str, Any],
) -> Frames:
    """Frames of one field (y, x); its time is ``stamp``, or else the one that the file states.

    Raises FormatError where there is neither, or where the field breaks the conventions.
    """
    if stamp is None and stated.size == 0:
        raise FormatError(
            f"{path}: holds no time, and none is known from its name: "
            "give the stamp, or a feed whose names hold one"
        )
    time = stated[0] if stamp is None else stamp
    try:
        return frames_dataset(rate_mm_h[np.newaxis], times=[time], grid=grid, attrs=attrs)
    except SchemaError as error:
        raise FormatError(f"{path}: {error}") from error


def utc(text: str, form: str) -> NDArray[np.datetime64]:
    """The one UTC time of ``text`` in strptime's ``form``; none where it is no time."""
    try:
        # No time zone: numpy's datetime64 has none, and all times here are UTC.
        time = datetime.strptime(text, form)  # noqa: DTZ007
    except ValueError:
        return _NO_TIME
    return np.array([time], dtype="datetime64[ns]")


def utc_of(*numbers: int) -> NDArray[np.datetime64]:
    """The one UTC time of year, month, day, hour, minute, second; none where it is no time."""
    try:
        time = datetime(*numbers)  # type: ignore[arg-type] # noqa: DTZ001
    except ValueError:
        return _NO_TIME
    return np.array([time], dtype="datetime64[ns]")
