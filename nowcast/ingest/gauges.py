"""Rain gauges from files: NetCDF of stations and times, or a table with a reading a row."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from nowcast.field.errors import FormatError, SchemaError, SourceError, UsageError
from nowcast.field.gauges import gauges_dataset
from nowcast.ingest import gauges_netcdf, gauges_table

if TYPE_CHECKING:
    from nowcast.field.gauges import Gauges
    from nowcast.ingest.gauges_table import Readings

Stamp = Literal["end", "start"]
STAMPS: tuple[Stamp, ...] = ("end", "start")
# What stands for a missing reading.
_CODES = (-1.0, -9.0, -99.0, -999.0, -9999.0)


def matches(path: Path) -> bool:
    """Whether the file holds gauges. Raises nothing."""
    return gauges_netcdf.matches(path) or gauges_table.matches(path)


def read_gauges(
    path: Path, *, interval_minutes: float | None = None, stamp: Stamp = "end"
) -> Gauges:
    """The gauges of a file.

    ``interval_minutes`` is what an amount was gathered in; left out, it is the time from one
    reading to the next. ``stamp`` says whether times are those of its end, as services have it, or
    of its start. Raises SourceError for a file that is none of gauges, and UsageError where there
    is but one time and so no telling the interval.
    """
    if not path.is_file():
        raise SourceError(f"{path}: there is no such file")
    is_table = gauges_table.matches(path)
    found = gauges_table.readings(path) if is_table else gauges_netcdf.readings(path)
    interval = interval_minutes or _spacing(path, found)
    shift = np.timedelta64(round(interval * 60e9), "ns") if stamp == "start" else np.timedelta64(0)
    amount = np.where(np.isin(found.amount_mm, _CODES), np.nan, found.amount_mm)
    try:
        return gauges_dataset(
            amount,
            times=found.times + shift,
            stations=found.stations,
            interval_minutes=interval,
            attrs={"source_file": path.name},
        )
    except SchemaError as error:
        raise FormatError(f"{path}: {error}") from error


def _spacing(path: Path, found: Readings) -> float:
    """The most common time (min) from one reading to the next."""
    steps = np.diff(np.unique(found.times))
    if not steps.size:
        raise UsageError(
            f"{path}: readings of one time, so that nobody can tell over how long they were "
            "gathered: give the interval (--interval MINUTES)"
        )
    lengths, counts = np.unique(steps, return_counts=True)
    return float(lengths[counts.argmax()] / np.timedelta64(1, "m"))
