"""The handwritten digits that Moving MNIST is made of: idx files, and who may see which digit."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Part = Literal["train", "validation", "test"]

_MAGIC = 0x0803  # unsigned bytes in three dimensions
_HEADER_BYTES = 16
_LIMIT = 1 << 29  # bytes of an unpacked file: ten times the largest there is
# Of ten digits in a row seven are learnt from, one chooses between networks, two are kept for the
# test. In a row, since the second half of the MNIST test digits is harder than the first.
_PLACES: dict[Part, tuple[int, ...]] = {
    "train": (0, 1, 2, 3, 4, 5, 6),
    "validation": (7,),
    "test": (8, 9),
}


def read_digits(path: Path) -> NDArray[np.uint8]:
    """The digits (N, rows, columns), 0 to 255, of an idx file, gzipped or not.

    Raises ValueError for a file that is not one, or is cut short, and OSError as open does.
    """
    with path.open("rb") as file:
        zipped = file.read(2) == b"\x1f\x8b"
    try:
        with gzip.open(path) if zipped else path.open("rb") as file:
            content = file.read(_LIMIT + 1)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(f"{path}: damaged gzip ({error}); copy the file again") from error
    if len(content) < _HEADER_BYTES or len(content) > _LIMIT:
        raise ValueError(f"{path}: {len(content)} bytes, expected an idx file of MNIST digits")
    magic, count, rows, columns = np.frombuffer(content[:_HEADER_BYTES], ">u4").tolist()
    if magic != _MAGIC:
        raise ValueError(f"{path}: starts with {magic:#010x}, expected {_MAGIC:#010x}, idx images")
    expected = _HEADER_BYTES + count * rows * columns
    if len(content) != expected or count == 0:
        raise ValueError(
            f"{path}: {len(content)} bytes, expected {expected} for {count} digits of "
            f"{rows}x{columns}; copy the file again"
        )
    flat = np.frombuffer(content, np.uint8, offset=_HEADER_BYTES)
    return flat.reshape(count, rows, columns)


def digits_of(digits: NDArray[np.uint8], part: Part) -> NDArray[np.uint8]:
    """The digits (N, rows, columns) of one part; no digit is in two parts.

    Raises ValueError where there are too few digits for every part to have one.
    """
    if len(digits) < 10:
        raise ValueError(f"digits: found {len(digits)}, expected 10 or more to split them")
    chosen = np.isin(np.arange(len(digits)) % 10, _PLACES[part])
    found: NDArray[np.uint8] = digits[chosen]
    return found
