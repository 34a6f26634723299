"""Traffic counted on a grid of city blocks: TaxiBJ and its kin, New York taxis and bicycles.

Flows are what comes into a cell and goes out of it within one slot of time. Where on Earth the
cells lie is in none of the files.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from nowcast.field.errors import FormatError
from nowcast.ingest.readers import npz
from nowcast.ingest.readers.hdf5 import open_hdf5, root_names

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import ArrayLike, NDArray

_LIMIT = 1 << 30
_EXPECTED = (
    "gridded traffic: HDF5 with data (time, 2, y, x) and date, npz with volume (time, y, x, 2), "
    "or npz with x, y and x_offsets (samples, steps, cells, 2)"
)
_TAXIBJ, _STDN, _STSSL = {"data", "date"}, {"volume"}, {"x", "y", "x_offsets"}
_STSSL_PARTS = ("train", "val", "test")
# Files of samples number the cells; these are the cities that were published so: rows, columns and
# minutes. Row by row, as their graphs of neighbours show (i next to i + 1 and to i + columns).
_STSSL_CITIES = {128: (16, 8, 60), 200: (10, 20, 30), 1024: (32, 32, 30)}
_STDN_MINUTES = 30
_DAY_MINUTES, _SLOTS_OF_HALF_HOURS, _SLOTS_OF_HOURS = 1440, 48, 24


def matches(path: Path) -> bool:
    """Whether this is a traffic file, or a folder of samples, of a known layout."""
    if path.is_dir():
        return any(matches(part) for part in _parts(path))
    found = root_names(path) or set(npz.names(path))
    return any(layout <= found for layout in (_TAXIBJ, _STDN, _STSSL))


def open_traffic(path: Path, *, start: np.datetime64 | None = None) -> xr.Dataset:
    """``inflow`` and ``outflow`` (time, y, x), counts per slot, float32.

    Times are the city's local ones, at the start of a slot: as the file dates them, or else counted
    from ``start``, the time of the first frame; without either ``time`` has no coordinate. y and x
    count rows and columns in the order of the file. A folder of train, val and test samples is
    joined. Raises FormatError and UnsafeFileError.
    """
    if path.is_dir():
        parts = [_samples(part) for part in _parts(path)]
        if not parts:
            raise FormatError(f"{path}: no train.npz, val.npz or test.npz, expected {_EXPECTED}")
        flows, minutes = _joined([flow for flow, _ in parts], path=path), parts[0][1]
        return _dataset(flows, minutes=minutes, path=path, start=start)
    found = root_names(path) or set(npz.names(path))
    if found >= _TAXIBJ:
        return _taxibj(path)
    if found >= _STDN:
        volume = npz.array(path, "volume", limit=_LIMIT)
        if volume.ndim != 4 or volume.shape[-1] != 2:
            raise FormatError(f"{path}: volume of shape {volume.shape}, expected {_EXPECTED}")
        # Trips that start in a cell go out of it.
        flows = np.stack([volume[..., 1], volume[..., 0]])
        return _dataset(flows, minutes=_STDN_MINUTES, path=path, start=start)
    if found >= _STSSL:
        flows, minutes = _samples(path)
        return _dataset(flows, minutes=minutes, path=path, start=start)
    names = ", ".join(sorted(found)) or "neither HDF5 nor npz"
    raise FormatError(f"{path}: {names}, expected {_EXPECTED}")


def _taxibj(path: Path) -> xr.Dataset:
    """Zhang et al. (2017, AAAI): inflow first; dates are a day and a slot, the first being 01."""
    with open_hdf5(path) as file:
        data, dates = np.asarray(file["data"]), [_text(date) for date in file["date"][()]]
    if data.ndim != 4 or data.shape[1] != 2 or data.shape[0] != len(dates) or not dates:
        raise FormatError(
            f"{path}: data of shape {data.shape} for {len(dates)} dates, expected {_EXPECTED}"
        )
    times, minutes = _slot_times(dates, path=path)
    dataset = _dataset(data.swapaxes(0, 1), minutes=minutes, path=path, start=None)
    return (
        dataset.assign_coords(time=("time", times, _TIME_ATTRS))
        .sortby("time")
        .drop_duplicates("time")
    )


def _text(date: bytes | str) -> str:
    return date.decode("ascii", "replace") if isinstance(date, bytes) else str(date)


def _slot_times(dates: list[str], *, path: Path) -> tuple[NDArray[np.datetime64], int]:
    """When the slots start, and the minutes of one: half an hour, or an hour if no day has more."""
    try:
        days = np.array([f"{d[:4]}-{d[4:6]}-{d[6:8]}" for d in dates], dtype="datetime64[D]")
        slots = np.array([int(date[8:]) for date in dates])
    except ValueError as error:
        raise FormatError(
            f"{path}: dates such as {dates[0]!r} ({error}), expected yyyymmdd and a slot from 01"
        ) from error
    if slots.min() < 1 or slots.max() > _SLOTS_OF_HALF_HOURS:
        raise FormatError(
            f"{path}: slots {slots.min()} to {slots.max()} of a day, expected 1 to 48"
        )
    hourly = slots.max() <= _SLOTS_OF_HOURS and np.unique(days).size > 1
    minutes = _DAY_MINUTES // (_SLOTS_OF_HOURS if hourly else _SLOTS_OF_HALF_HOURS)
    return (days + (slots - 1) * np.timedelta64(minutes, "m")).astype("datetime64[ns]"), minutes


def _parts(folder: Path) -> list[Path]:
    return [part for name in _STSSL_PARTS if (part := folder / f"{name}.npz").is_file()]


def _samples(path: Path) -> tuple[NDArray[Any], int]:
    """Flows (2, time, y, x) and minutes, of samples that begin one step after the other."""
    after = npz.array(path, "y", limit=_LIMIT)
    if after.ndim != 4 or after.shape[1] != 1 or after.shape[3] != 2:
        raise FormatError(f"{path}: y of shape {after.shape}, expected (samples, 1, cells, 2)")
    if after.shape[2] not in _STSSL_CITIES:
        known = ", ".join(map(str, _STSSL_CITIES))
        raise FormatError(f"{path}: {after.shape[2]} cells, expected {known}")
    before, offsets = npz.array(path, "x", limit=_LIMIT), npz.array(path, "x_offsets", limit=_LIMIT)
    newest = np.flatnonzero(offsets.ravel() == 0)
    if newest.size != 1 or not np.array_equal(before[1:, newest[0]], after[:-1, 0]):
        raise FormatError(f"{path}: samples that do not follow each other, expected every step")
    rows, columns, minutes = _STSSL_CITIES[after.shape[2]]
    # Ji et al. (2023, AAAI): inflow first.
    return np.moveaxis(after[:, 0].reshape(-1, rows, columns, 2), -1, 0), minutes


def _joined(parts: list[NDArray[Any]], *, path: Path) -> NDArray[Any]:
    if len({part.shape[2:] for part in parts}) != 1:
        raise FormatError(f"{path}: parts on different grids, expected one city")
    return np.concatenate(parts, axis=1)


_TIME_ATTRS = {"long_name": "start of the slot, local time of the city"}


def _dataset(
    flows: ArrayLike, *, minutes: int, path: Path, start: np.datetime64 | None
) -> xr.Dataset:
    """The Dataset of flows (2: in and out, time, y, x)."""
    values = np.asarray(flows, dtype=np.float32)
    _, count, height, width = values.shape
    names = {"inflow": "coming into the cell", "outflow": "going out of the cell"}
    coordinates: dict[str, Any] = {
        "y": ("y", np.arange(height), {"long_name": "row in the file", "units": "1"}),
        "x": ("x", np.arange(width), {"long_name": "column in the file", "units": "1"}),
    }
    if start is not None:
        steps = np.arange(count) * np.timedelta64(minutes, "m")
        coordinates["time"] = ("time", (start + steps).astype("datetime64[ns]"), _TIME_ATTRS)
    if not (np.isfinite(values).all() and values.min(initial=0) >= 0):
        raise FormatError(f"{path}: negative or missing counts, expected counts of trips")
    return xr.Dataset(
        {
            name: (
                ("time", "y", "x"),
                flow,
                {"long_name": f"trips {direction} within {minutes} min", "units": "1"},
            )
            for (name, direction), flow in zip(names.items(), values, strict=True)
        },
        coords=coordinates,
        attrs={
            "title": "Traffic on a grid of city blocks",
            "cadence_minutes": minutes,
            "georeference": "none: the file does not say where its rows and columns lie",
        },
    )
