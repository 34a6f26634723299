"""Zarr folders, looked through before they are opened.

The codecs that a Zarr array names are run while it is read, and one of them, pickle, runs whatever
the file says. A link among the chunks makes any file of this machine readable as radar data.
"""

from __future__ import annotations

import json
import math
import os
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nowcast.field.errors import FormatError, UnsafeFileError

if TYPE_CHECKING:
    from collections.abc import Iterator

_METADATA = ("zarr.json", ".zmetadata", ".zgroup", ".zarray", ".zattrs")
_MARKERS = ("zarr.json", ".zmetadata", ".zgroup")
_METADATA_BYTES = 16 * 2**20
# More than Blosc can unpack.
_BLOSC_BYTES = 2**31
_HARMLESS_CODECS = {
    "adler32",
    "bitround",
    "blosc",
    "bytes",
    "bz2",
    "crc32",
    "crc32c",
    "delta",
    "endian",
    "fixedscaleoffset",
    "fletcher32",
    "gzip",
    "lz4",
    "lzma",
    "packbits",
    "quantize",
    "shuffle",
    "sharding_indexed",
    "transpose",
    "vlen-bytes",
    "vlen-utf8",
    "zlib",
    "zstd",
}


def is_zarr(folder: Path) -> bool:
    """Whether this is the folder of a Zarr group."""
    return any((folder / name).is_file() for name in _MARKERS)


def check_folder(folder: Path, *, dataset_bytes: int) -> None:
    """Refuses links, codecs that may run code, and arrays of more than ``dataset_bytes``.

    Raises UnsafeFileError, and FormatError on metadata that is no JSON.
    """
    blosc: set[Path] = set()
    for place, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = Path(place, name)
            if path.is_symlink():
                raise UnsafeFileError(
                    f"{folder}: {path.relative_to(folder)} is a link, "
                    "expected all data in this folder: not read"
                )
        for name in set(files) & set(_METADATA):
            document = _json(Path(place, name))
            for array in _arrays(document):
                _check_array(array, path=Path(place, name), dataset_bytes=dataset_bytes)
                if array is document and "blosc" in _outermost(array):
                    blosc.add(Path(place))
        if blosc & {Path(place), *Path(place).parents}:
            for name in set(files) - set(_METADATA):
                _check_blosc(Path(place, name))


def _json(path: Path) -> object:
    if path.stat().st_size > _METADATA_BYTES:
        raise UnsafeFileError(f"{path}: more than {_METADATA_BYTES} bytes of metadata: not read")
    try:
        document: object = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError, OSError) as error:
        raise FormatError(f"{path}: damaged ({error}), expected JSON: fetch it again") from error
    return document


def _arrays(document: object) -> Iterator[dict[str, Any]]:
    """The descriptions of arrays anywhere in a document, also of consolidated ones."""
    waiting = [document]
    while waiting:
        part = waiting.pop()
        if not isinstance(part, dict):
            continue
        if "shape" in part and ("dtype" in part or "data_type" in part):
            yield part
        else:
            waiting.extend(part.values())


def _check_array(array: dict[str, Any], *, path: Path, dataset_bytes: int) -> None:
    for codec in _codecs(array):
        # Names may be prefixed by who defined them: numcodecs.pickle.
        if codec.rpartition(".")[2] not in _HARMLESS_CODECS:
            raise UnsafeFileError(
                f"{path}: stored with codec {codec}, "
                f"expected one of {', '.join(sorted(_HARMLESS_CODECS))}: not read"
            )
    try:
        kind = array.get("dtype", array.get("data_type"))
        size = np.dtype(kind).itemsize if isinstance(kind, str) else 8
    except TypeError:
        size = 8  # string types of Zarr's own
    try:
        declared = math.prod(int(length) for length in array["shape"]) * size
    except (TypeError, ValueError) as error:
        raise FormatError(f"{path}: damaged ({error}), expected the shape of an array") from error
    if declared > dataset_bytes:
        raise UnsafeFileError(
            f"{path}: declares {declared} bytes, expected at most {dataset_bytes}: not read"
        )


def _outermost(array: dict[str, Any]) -> tuple[str, ...]:
    """The codec that was applied last, which the bytes on disk begin with."""
    codecs = array.get("codecs")
    last = codecs[-1:] if isinstance(codecs, list) else array.get("compressor")
    return tuple(_codecs(last))[:1]


def _check_blosc(chunk: Path) -> None:
    """Blosc itself reads on behind the end of a chunk that is cut short, and makes rain of it.

    It also takes the size that a chunk unpacks to for a signed number.
    """
    with chunk.open("rb") as stream:
        header = stream.read(16)
    size = chunk.stat().st_size
    _, unpacked, _, stated = struct.unpack("<4I", header) if len(header) == 16 else (0, 0, 0, 16)
    if unpacked >= _BLOSC_BYTES:
        raise FormatError(
            f"{chunk}: damaged, unpacks to {unpacked} bytes, expected fewer than {_BLOSC_BYTES}: "
            "fetch the folder again"
        )
    if size < stated:
        raise FormatError(
            f"{chunk}: cut short, {size} bytes, expected {stated}: fetch the folder again"
        )


def _codecs(part: object) -> Iterator[str]:
    """The names of all codecs, also of those inside shards."""
    if isinstance(part, list):
        for item in part:
            yield from _codecs(item)
    elif isinstance(part, dict):
        name = part.get("id", part.get("name"))
        if isinstance(name, str):
            yield name
        for key in ("codecs", "index_codecs", "filters", "compressor", "configuration"):
            yield from _codecs(part.get(key))
