"""The chunks of a NetCDF file: compressed on threads, and put where HDF5 expects them.

HDF5 compresses one chunk after the other under a lock, with zlib: two seconds and a half for the
probabilities of 24 leads of 765x700. Here its three filters are applied outside, by ISA-L's
deflate (the same format, a sixth of zlib's time), and the chunks are written as they are.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
from isal import isal_zlib
from numcodecs import Fletcher32

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    Bytes = NDArray[np.uint8]

FILTERS = {"compression": "zlib", "complevel": 1, "shuffle": True, "fletcher32": True}
_DEFLATE_LEVEL = 1
# The cores that this process may use, where the system tells. More than 8 would wait for the one
# who writes, and each takes three times its plane of memory.
_CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
_THREADS = min(_CORES, 8)
# Chunks that are made before they are written.
_AT_ONCE = 32


def fill(path: Path, fields: Mapping[str, NDArray[Any]]) -> None:
    """Write the fields (..., y, x) into their variables of a NetCDF file, a plane (y, x) a chunk.

    The variables exist, empty, with FILTERS or some of them. Raises OSError where it cannot write.
    """
    with h5py.File(path, "r+") as file, ThreadPoolExecutor(_THREADS) as threads:
        for name, values in fields.items():
            variable = file[name].id
            made = variable.get_create_plist()
            filters = [made.get_filter(index)[0] for index in range(made.get_nfilters())]
            places = list(np.ndindex(values.shape[:-2]))
            for some in _in_groups(places):
                planes = [values[place] for place in some]
                chunks = threads.map(filtered, planes, repeat(filters))
                for place, chunk in zip(some, chunks, strict=True):
                    variable.write_direct_chunk((*place, 0, 0), chunk)


def filtered(plane: NDArray[Any], filters: Sequence[int]) -> bytes:
    """A plane as HDF5 stores it with these ``filters`` (their numbers, the first one first)."""
    data = np.frombuffer(np.ascontiguousarray(plane), np.uint8)
    for number in filters:
        data = _FILTERS[number](data, plane.itemsize)
    return data.tobytes()


def _summed(data: Bytes, _: int) -> Bytes:
    """The data and their checksum."""
    return np.frombuffer(Fletcher32().encode(data), np.uint8)


def _shuffled(data: Bytes, itemsize: int) -> Bytes:
    """The first bytes of all values, then the second ones, ...; then what is no whole value."""
    whole = len(data) // itemsize * itemsize
    by_place = data[:whole].reshape(-1, itemsize).T.ravel()
    return np.concatenate([by_place, data[whole:]]) if whole < len(data) else by_place


def _deflated(data: Bytes, _: int) -> Bytes:
    return np.frombuffer(isal_zlib.compress(data, _DEFLATE_LEVEL), np.uint8)


_FILTERS = {
    h5py.h5z.FILTER_FLETCHER32: _summed,
    h5py.h5z.FILTER_SHUFFLE: _shuffled,
    h5py.h5z.FILTER_DEFLATE: _deflated,
}


def _in_groups(places: list[tuple[int, ...]]) -> Iterator[list[tuple[int, ...]]]:
    for start in range(0, len(places), _AT_ONCE):
        yield places[start : start + _AT_ONCE]
