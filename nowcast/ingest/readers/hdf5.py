"""HDF5 files, opened with care: whole, harmless, and with errors that name the file.

A file of 1,400 bytes can declare 28.8 GB, and one with external storage makes the library read any
file of this machine as radar data. So the object tree is walked, and refused where it leads out or
is absurd, before anything is read.
"""

from __future__ import annotations

import io
import math
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

from nowcast.field.errors import FormatError, SchemaError, UnsafeFileError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SIGNATURE = b"\x89HDF\r\n\x1a\n"
# Filters of the library itself, and the codecs that the netCDF and h5py wheels bring along.
_KNOWN_FILTERS = {
    1: "deflate",
    2: "shuffle",
    3: "fletcher32",
    4: "szip",
    5: "nbit",
    6: "scaleoffset",
    307: "bzip2",
    32000: "lzf",
    32001: "blosc",
    32004: "lz4",
    32008: "bitshuffle",
    32015: "zstd",
}
_SLACK_BYTES = 64 * 2**10
# What h5py raises on damaged metadata and damaged chunks.
_BROKEN = (OSError, RuntimeError, KeyError, ValueError, TypeError, OverflowError)


@dataclass(frozen=True)
class Limits:
    """What a file may declare.

    Attributes:
        dataset_bytes: the size of one array after decompression.
        cells: how many values it has; what is decoded takes four bytes for each.
        expansion: how much larger than the file an array may be; deflate reaches 1032 at most.
        harmless_bytes: arrays up to this size may expand however much they like.
        objects: how many groups and arrays a file may hold.

    """

    dataset_bytes: int = 512 * 2**20
    cells: int = 2**26
    expansion: int = 2000
    harmless_bytes: int = 64 * 2**20
    objects: int = 10_000


@contextmanager
def open_hdf5(
    path: Path, *, content: bytes | None = None, limits: Limits = Limits()
) -> Iterator[h5py.File]:
    """The file, open for reading and found to be whole and harmless.

    ``content`` stands for the bytes on disk where they lie in an archive; ``path`` then only names
    them. Raises FormatError on an empty, truncated, foreign or damaged file, also where the damage
    shows while the file is used, and UnsafeFileError on one that leads to other files or declares
    more than ``limits`` allow.
    """
    size = _size(path, content)
    _check_signature(path, content)
    try:
        # A file system without locks, or a writer that still holds the file, is no reason to fail.
        source = path if content is None else io.BytesIO(content)
        file = h5py.File(source, "r", locking="best-effort")
    except _BROKEN as error:
        raise FormatError(
            f"{path}: truncated or damaged HDF5 of {size} bytes ({_reason(error)}), "
            "expected a whole file: fetch it again"
        ) from error
    try:
        with file:
            _check_tree(file, path=path, size=size, limits=limits)
            yield file
    except SchemaError as error:  # a grid that cannot be
        raise FormatError(f"{path}: {error}") from error
    except _BROKEN as error:
        raise FormatError(
            f"{path}: damaged HDF5 ({_reason(error)}), expected a whole one: fetch it again"
        ) from error


def root_names(path: Path) -> frozenset[str]:
    """The names at the root of an HDF5 file; none where it is no such file. Raises nothing."""
    try:
        _check_signature(path, None)
        with h5py.File(path, "r", locking="best-effort") as file:
            # A damaged name comes as bytes.
            return frozenset(name for name in file if isinstance(name, str))
    except (FormatError, *_BROKEN):
        return frozenset()


@dataclass(frozen=True)
class Attributes:
    """Attributes of some groups of one file, looked up in the nearest group first."""

    path: Path
    groups: tuple[h5py.Group, ...]

    @classmethod
    def of(cls, path: Path, file: h5py.Group, *names: str) -> Attributes:
        """Those of the groups of ``file`` that exist, the first named being the nearest."""
        groups = (file.get(name) for name in names)
        return cls(path, tuple(group for group in groups if group is not None))

    def get(self, name: str) -> Any | None:
        """The value, as h5py gives it but for arrays of one element; None where there is none."""
        for group in self.groups:
            if name in group.attrs:
                value = group.attrs[name]
                is_single = isinstance(value, np.ndarray) and value.size == 1
                return value.reshape(-1)[0] if is_single else value
        return None

    def text(self, name: str, default: str | None = None) -> str:
        """The value as text."""
        value = self.get(name)
        if value is None:
            value = default
        if isinstance(value, bytes):
            return value.decode("utf-8", errors="replace").strip("\x00 ")
        if isinstance(value, str):
            return str(value).strip("\x00 ")
        raise self._refusal(name, value, "text")

    def number(self, name: str, default: float | None = None) -> float:
        """The value as a number; text that spells one will do."""
        value = self.get(name)
        if value is None:
            value = default
        try:
            return float(value)  # type: ignore[arg-type]
        except (TypeError, ValueError):
            raise self._refusal(name, value, "a number") from None

    def _refusal(self, name: str, value: object, expected: str) -> FormatError:
        places = ", ".join(str(group.name) for group in self.groups) or "groups that are not there"
        found = "missing" if value is None else f"{value!r:.60}"
        return FormatError(
            f"{self.path}: attribute {name} of {places} is {found}, expected {expected}"
        )


def _size(path: Path, content: bytes | None) -> int:
    try:
        size = path.stat().st_size if content is None else len(content)
    except OSError as error:
        raise FormatError(f"{path}: cannot be opened ({error.strerror})") from error
    if size == 0:
        raise FormatError(f"{path}: empty, expected an HDF5 file")
    return size


def _check_signature(path: Path, content: bytes | None) -> None:
    """The signature stands at the start, or behind a user's block of 512, 1024, 2048, ... bytes."""
    try:
        with path.open("rb") if content is None else io.BytesIO(content) as stream:
            start = stream.read(16)
            offset = 512
            found = start.startswith(SIGNATURE)
            while not found and offset <= 2**16:
                stream.seek(offset)
                found = stream.read(len(SIGNATURE)) == SIGNATURE
                offset *= 2
    except OSError as error:
        raise FormatError(f"{path}: cannot be opened ({error.strerror})") from error
    if not found:
        raise FormatError(f"{path}: starts with {start!r}, expected the signature of HDF5")


def _check_tree(file: h5py.File, *, path: Path, size: int, limits: Limits) -> None:
    waiting, seen = [file["/"]], set()
    while waiting:
        group = waiting.pop()
        for name in group:
            place = f"{group.name.rstrip('/')}/{name}"
            link = group.get(name, getlink=True)
            if isinstance(link, h5py.ExternalLink):
                raise UnsafeFileError(
                    f"{path}: {place} is a link to another file ({link.filename}), "
                    "expected all data in this file: not read"
                )
            if isinstance(
                link, h5py.SoftLink
            ):  # leads elsewhere in this file, which is walked anyway
                continue
            child = group[name]
            address = h5py.h5o.get_info(child.id).addr
            if address in seen:
                continue
            seen.add(address)
            if len(seen) > limits.objects:
                raise UnsafeFileError(
                    f"{path}: more than {limits.objects} objects, expected a radar file: not read"
                )
            if isinstance(child, h5py.Dataset):
                _check_dataset(child, path=path, size=size, limits=limits)
            elif isinstance(child, h5py.Group):
                waiting.append(child)


def _check_dataset(dataset: h5py.Dataset, *, path: Path, size: int, limits: Limits) -> None:
    creation = dataset.id.get_create_plist()
    if creation.get_layout() == h5py.h5d.VIRTUAL:
        raise UnsafeFileError(
            f"{path}: {dataset.name} is put together from other files, "
            "expected all data in this file: not read"
        )
    if creation.get_layout() == h5py.h5d.CONTIGUOUS and creation.get_external_count():
        name = creation.get_external(0)[0]
        raise UnsafeFileError(
            f"{path}: {dataset.name} is stored in another file ({name!r}), "
            "expected all data in this file: not read"
        )
    for index in range(creation.get_nfilters()):
        code = creation.get_filter(index)[0]
        if code not in _KNOWN_FILTERS:
            known = ", ".join(_KNOWN_FILTERS.values())
            raise UnsafeFileError(
                f"{path}: {dataset.name} is stored with filter {code}, expected {known}: not read"
            )
    _check_size(dataset, path=path, size=size, limits=limits)


def _check_size(dataset: h5py.Dataset, *, path: Path, size: int, limits: Limits) -> None:
    cells, item_bytes = math.prod(dataset.shape or ()), dataset.id.get_type().get_size()
    if cells > limits.cells:
        raise UnsafeFileError(
            f"{path}: {dataset.name} declares {cells} values, "
            f"expected at most {limits.cells}: not read"
        )
    declared = cells * item_bytes
    if declared > limits.dataset_bytes:
        raise UnsafeFileError(
            f"{path}: {dataset.name} declares {declared} bytes, "
            f"expected at most {limits.dataset_bytes}: not read"
        )
    if declared > max(limits.harmless_bytes, limits.expansion * size):
        raise UnsafeFileError(
            f"{path}: {dataset.name} declares {declared} bytes in a file of {size}, "
            f"expected at most {limits.expansion} times its size: not read"
        )
    if dataset.chunks is None:
        return
    # A chunk may unpack to a thousand times its size, whatever it should hold.
    whole = math.prod(
        -(-n // chunk) * chunk for n, chunk in zip(dataset.shape, dataset.chunks, strict=True)
    )
    allotted, stored = whole * item_bytes, dataset.id.get_storage_size()
    if stored > 2 * allotted + _SLACK_BYTES:
        raise UnsafeFileError(
            f"{path}: {dataset.name} takes {stored} bytes in the file and declares {allotted}, "
            "expected the first to be smaller: not read"
        )


def _reason(error: BaseException) -> str:
    """The library's own words, on one line."""
    return " ".join(str(error).split())[:200]
