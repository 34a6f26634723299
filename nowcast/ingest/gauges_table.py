"""Gauges in a table, a reading a row: the DWD's, as they come with RADOLAN, and others like it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from nowcast.field.errors import FormatError
from stations.errors import StationsError
from stations.station import Station
from stations.table import columns

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

_TIMES = ("time", "timestamp", "datetime", "date_time", "valid_time")
_AMOUNTS = (
    *("rainfall_amount", "precipitation_amount", "precipitation", "amount_mm", "rain_mm"),
    *("amount", "rain", "rainfall", "precip"),
)


class Readings(NamedTuple):
    """What a file of gauges holds.

    Attributes:
        amount_mm: (station, time), NaN where there is no reading.
        times: UTC, (time,), as they are stamped.
        stations: where the gauges stand.

    """

    amount_mm: NDArray[np.float64]
    times: NDArray[np.datetime64]
    stations: tuple[Station, ...]


def matches(path: Path) -> bool:
    """Whether the first line names a time, an amount and a place. Raises nothing."""
    try:
        with path.open("rb") as file:
            header = file.readline(4096).decode("utf-8-sig")
    except (OSError, UnicodeDecodeError):
        return False
    names = [name.strip().lower() for name in header.split(",")]
    try:
        columns(names)
    except StationsError:
        return False
    return bool(set(_TIMES) & set(names)) and bool(set(_AMOUNTS) & set(names))


def readings(path: Path) -> Readings:
    """The readings of a table; times without a zone are UTC.

    Raises FormatError where a time, place or amount is no such thing, a station moves, or has two
    readings of one time.
    """
    rows = _rows(path)
    names = [str(name).strip().lower() for name in rows.columns]
    try:
        places = columns(names)
    except StationsError as error:
        raise FormatError(f"{path}: {error}") from error
    identified = places.get("id", places.get("name"))
    if identified is None:
        raise FormatError(f"{path}: columns {', '.join(names)}: none says which station")
    tidy = pd.DataFrame(
        {
            "station": rows.iloc[:, identified].astype(str),
            "name": rows.iloc[:, places.get("name", identified)].astype(str),
            "time": _times(path, rows.iloc[:, _place(path, names, _TIMES)]),
            "lon": _numbers(path, rows.iloc[:, places["lon"]], "longitude"),
            "lat": _numbers(path, rows.iloc[:, places["lat"]], "latitude"),
            "amount": _numbers(path, rows.iloc[:, _place(path, names, _AMOUNTS)], "amount"),
        }
    )
    twice = tidy.duplicated(["station", "time"])
    if twice.any():
        row = tidy[twice].iloc[0]
        raise FormatError(f"{path}: two readings of station {row['station']} at {row['time']}")
    first = tidy.drop_duplicates("station").set_index("station")
    moved = tidy.groupby("station")[["lon", "lat"]].nunique(dropna=False).max(axis=1)
    if (moved > 1).any():
        raise FormatError(f"{path}: station {moved.idxmax()} stands at more than one place")
    wide = tidy.pivot_table(
        index="station", columns="time", values="amount", sort=True, dropna=False
    ).reindex(first.index)
    return Readings(
        amount_mm=wide.to_numpy(dtype=np.float64),
        times=wide.columns.to_numpy(dtype="datetime64[ns]"),
        stations=_stations(path, first),
    )


def _rows(path: Path) -> pd.DataFrame:
    """The rows, in UTF-8 or else the Latin-1 of older files."""
    for encoding in ("utf-8-sig", "latin-1"):
        try:
            found = pd.read_csv(path, encoding=encoding)
        except UnicodeDecodeError:
            continue
        except (OSError, ValueError) as error:
            raise FormatError(f"{path}: no table of gauges: {error}") from error
        if found.empty:
            raise FormatError(f"{path}: holds no readings, expected one a row")
        return found
    raise FormatError(f"{path}: no text, expected a table of gauges")


def _place(path: Path, names: list[str], known: tuple[str, ...]) -> int:
    found = next((names.index(name) for name in known if name in names), None)
    if found is None:
        raise FormatError(f"{path}: columns {', '.join(names)}: none of {', '.join(known)}")
    return found


def _times(path: Path, column: pd.Series[str]) -> pd.Series[pd.Timestamp]:
    try:
        return pd.to_datetime(column, utc=True, format="ISO8601").dt.tz_localize(None)
    except (ValueError, TypeError) as error:
        raise FormatError(f"{path}: a time that is none: {error}") from error


def _numbers(path: Path, column: pd.Series[str], what: str) -> pd.Series[float]:
    found = pd.to_numeric(column, errors="coerce")
    wrong = found.isna() & column.notna()
    if wrong.any():
        line = int(np.flatnonzero(wrong.to_numpy())[0]) + 2
        raise FormatError(f"{path}, line {line}: {what} {column[wrong].iloc[0]!r}, no number")
    return found.astype(np.float64)


def _stations(path: Path, first: pd.DataFrame) -> tuple[Station, ...]:
    try:
        return tuple(
            Station(str(one), lon=lon, lat=lat, name=str(name))
            for one, name, lon, lat in zip(
                first.index, first["name"], first["lon"], first["lat"], strict=True
            )
        )
    except StationsError as error:
        raise FormatError(f"{path}: {error}") from error
