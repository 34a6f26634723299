"""Arrays out of an npz file without running what is in it, and never more than expected."""

from __future__ import annotations

import math
import pickletools
import tokenize
import zipfile
import zlib
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from nowcast.field.errors import FormatError, UnsafeFileError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

_BROKEN = (
    OSError,
    EOFError,
    KeyError,
    NotImplementedError,  # a compression that Python lacks
    RuntimeError,  # an encrypted member
    SyntaxError,
    ValueError,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
)
_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}
# All that the pickle of an object array of times without time zone may name.
_WORDS = frozenset(
    {"numpy.core.multiarray", "numpy._core.multiarray", "_reconstruct", "numpy", "ndarray"}
    | {"dtype", "datetime", "O8", "|"}
)
_DATETIME_BYTES = 10
_DATES_LIMIT = 16 << 20


def names(path: Path) -> tuple[str, ...]:
    """The names of the arrays in the file; none where it is no npz file."""
    try:
        with zipfile.ZipFile(path) as archive:
            return tuple(
                member.removesuffix(".npy")
                for member in archive.namelist()
                if member.endswith(".npy")
            )
    except _BROKEN:
        return ()


def array(path: Path, name: str, *, limit: int) -> NDArray[Any]:
    """One array of the file, read-only.

    Raises FormatError where it is damaged, missing or holds Python objects, and UnsafeFileError
    where it declares more than ``limit`` bytes.
    """
    with _member(path, name) as (stream, shape, fortran, kind):
        if kind.hasobject:
            raise FormatError(f"{path}: {name} holds Python objects, expected numbers")
        size = math.prod(shape) * kind.itemsize
        if size > limit:
            raise UnsafeFileError(
                f"{path}: {name} declares {size} bytes, expected at most {limit}: not read"
            )
        data = stream.read(size)
        if len(data) != size or stream.read(1):
            raise FormatError(f"{path}: {name} does not hold the {shape} {kind} that it declares")
    return np.frombuffer(data, kind).reshape(shape, order="F" if fortran else "C")


def times(path: Path, name: str) -> NDArray[np.datetime64]:
    """The times of an array of datetime objects (or of datetime64), UTC.

    Such an array is stored as a pickle, which loading would run. pickletools takes it apart without
    running anything, and a datetime without time zone is ten bytes. Raises FormatError where the
    pickle names anything but numpy arrays and datetimes, or holds another number of them.
    """
    with _member(path, name) as (stream, shape, _, kind):
        pickled = stream.read(_DATES_LIMIT) if kind.hasobject else None
    if pickled is None:
        return array(path, name, limit=_DATES_LIMIT).astype("datetime64[ns]")
    try:
        found = list(_datetimes(pickled))
    except ValueError as error:
        raise FormatError(f"{path}: {name}: {error}, expected times") from error
    if len(found) != math.prod(shape):
        raise FormatError(f"{path}: {name} holds {len(found)} times, expected {math.prod(shape)}")
    return np.array(found, dtype="datetime64[ns]")


@contextmanager
def _member(
    path: Path, name: str
) -> Iterator[tuple[IO[bytes], tuple[int, ...], bool, np.dtype[Any]]]:
    """A member's stream behind its header; shape, column-first order and type from the header."""
    try:
        with zipfile.ZipFile(path) as archive, archive.open(f"{name}.npy") as stream:
            read_header = _HEADERS[np.lib.format.read_magic(stream)]
            yield stream, *read_header(stream)
    except _BROKEN as error:
        raise FormatError(
            f"{path}: array {name} cannot be read ({error}), expected an npz file that holds it"
        ) from error


def _datetimes(pickled: bytes) -> Iterator[np.datetime64]:
    for _, argument, _ in pickletools.genops(pickled):
        if isinstance(argument, str):
            foreign = set(argument.split()) - _WORDS
            if foreign:
                raise ValueError(f"a pickle that names {', '.join(sorted(foreign))}")
        elif isinstance(argument, bytes) and len(argument) == _DATETIME_BYTES:
            yield _datetime(argument)


def _datetime(state: bytes) -> np.datetime64:
    """The time of a datetime's ten bytes: year in two, month to second, microsecond in three."""
    # The month's highest bit tells the two one o'clocks of an autumn night apart: UTC has one.
    year, month = int.from_bytes(state[:2], "big"), state[2] & 0x7F
    day, hour, minute, second = state[3:7]
    text = f"{year:04d}-{month:02d}-{day:02d}T{hour:02d}:{minute:02d}:{second:02d}"
    return np.datetime64(text, "ns") + np.timedelta64(int.from_bytes(state[7:], "big"), "us")
