"""The bytes of a plain, gzip or bzip2 file, and never more of them than the format can need."""

from __future__ import annotations

import bz2
import gzip
import zlib
from typing import TYPE_CHECKING

from nowcast.field.errors import FormatError, UnsafeFileError

if TYPE_CHECKING:
    from io import BufferedReader
    from pathlib import Path

_GZIP, _BZIP2 = b"\x1f\x8b", b"BZh"
_CHUNK = 1 << 20
_BROKEN = (OSError, EOFError, zlib.error)


def head(path: Path, size: int) -> bytes:
    """The first ``size`` bytes, decompressed; fewer, or none, where the file does not give them."""
    try:
        with _opened(path) as stream:
            return stream.read(size)
    except _BROKEN:
        return b""


def contents(path: Path, *, expected: str, limit: int) -> bytes:
    """All bytes of the file, decompressed.

    Raises FormatError where it is empty, damaged or cut short, and UnsafeFileError where it holds
    more than ``limit`` bytes: reading stops there, however much a small file expands to.
    """
    data = bytearray()
    try:
        with _opened(path) as stream:
            while chunk := stream.read(_CHUNK):
                data += chunk
                if len(data) > limit:
                    raise UnsafeFileError(
                        f"{path}: holds more than {limit} bytes, expected {expected}: not read"
                    )
    except _BROKEN as error:
        raise FormatError(f"{path}: cannot be read ({error}), expected {expected}") from error
    if not data:
        raise FormatError(f"{path}: empty, expected {expected}")
    return bytes(data)


def _opened(path: Path) -> gzip.GzipFile | bz2.BZ2File | BufferedReader:
    with path.open("rb") as plain:
        magic = plain.read(3)
    if magic.startswith(_GZIP):
        return gzip.open(path, "rb")
    if magic == _BZIP2:
        return bz2.open(path, "rb")
    return path.open("rb")
