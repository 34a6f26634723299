"""Mutants: a whole file, wrong in one of many ways; the same number gives the same mutant."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import shutil
import struct
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Random = np.random.Generator

_HEADER = 2048
# Numbers at which readers go wrong: none, minus one, the ends of their types, and just beyond.
_NUMBERS = (0, 1, -1, 127, 128, 255, 256, 32767, 65535, 2**31 - 1, 2**31, 2**32 - 1, -(2**31))
_LONG_NUMBERS = (*_NUMBERS, 2**40, 2**62, 2**63 - 1, 2**64 - 1)
_VALUES: tuple[Any, ...] = (
    *(0, 1, -1, 1e308, -1e308, float("nan"), float("inf"), 2**31 - 1, 2**62, 1e-300),
    *("", "x", "0" * 5000, "\x00", "99999999", "250000", "+proj=pipeline", "+init=epsg:4326"),
    *(b"\xff\xfe", np.zeros(1000), np.array([]), np.array([["a", "b"]], dtype="S1")),
)
_HDF5 = (b"\x89HDF\r\n\x1a\n",)


def write_mutant(seed: Path, number: int, into: Path) -> Path:
    """The mutant of that number, under the seed's name."""
    random = np.random.default_rng(number)
    path = into / seed.name
    if seed.is_dir():
        shutil.copytree(seed, path)
        victim = random.choice(sorted(str(file) for file in path.rglob("*") if file.is_file()))
        target = path / victim
        target.write_bytes(_mutated(target.read_bytes(), random))
        return path
    content = seed.read_bytes()
    if content.startswith(_HDF5) and random.random() < 0.4:
        path.write_bytes(content)
        _change_attributes(path, random)
    elif content.startswith(b"\x1f\x8b") and random.random() < 0.7:
        pack = random.choice([gzip.compress, bz2.compress])
        path.write_bytes(pack(_mutated(gzip.decompress(content), random)))
    else:
        path.write_bytes(_mutated(content, random))
    return path


def _mutated(content: bytes, random: Random) -> bytes:
    data = bytearray(content)
    for _ in range(int(random.choice([1, 1, 1, 2, 4]))):
        change = _CHANGES[int(random.integers(len(_CHANGES)))]
        data = bytearray(change(data, random)) if data else data
    return bytes(data)


def _place(data: bytearray, random: Random) -> int:
    """Anywhere; every other time in the header, where most of the sense lies."""
    end = len(data) if random.random() < 0.5 else min(len(data), _HEADER)
    return int(random.integers(end))


def _flip_bits(data: bytearray, random: Random) -> bytearray:
    for _ in range(int(random.integers(1, 9))):
        data[_place(data, random)] ^= 1 << int(random.integers(8))
    return data


def _set_bytes(data: bytearray, random: Random) -> bytearray:
    for _ in range(int(random.integers(1, 5))):
        data[_place(data, random)] = int(random.choice([0, 1, 0x7F, 0x80, 0xFF, 0x20, 0x39]))
    return data


def _set_number(data: bytearray, random: Random) -> bytearray:
    place, size = _place(data, random), int(random.choice([2, 4, 8]))
    numbers = _LONG_NUMBERS if size == 8 else _NUMBERS
    number = numbers[int(random.integers(len(numbers)))] % 2 ** (8 * size)
    order = ">" if random.random() < 0.5 else "<"
    data[place : place + size] = struct.pack(order + {2: "H", 4: "I", 8: "Q"}[size], number)
    return data


def _cut(data: bytearray, random: Random) -> bytearray:
    return data[: int(random.integers(len(data)))]


def _lengthen(data: bytearray, random: Random) -> bytearray:
    return data + random.bytes(int(random.integers(1, 5000)))


def _blank(data: bytearray, random: Random) -> bytearray:
    place, size = _place(data, random), int(random.integers(1, 513))
    data[place : place + size] = bytes([int(random.choice([0, 0xFF]))]) * size
    return data


def _scramble(data: bytearray, random: Random) -> bytearray:
    place, size = _place(data, random), int(random.integers(1, 257))
    data[place : place + size] = random.bytes(size)
    return data


def _copy(data: bytearray, random: Random) -> bytearray:
    source, target = _place(data, random), _place(data, random)
    block = data[source : source + int(random.integers(1, 257))]
    data[target : target + len(block)] = block
    return data


def _remove(data: bytearray, random: Random) -> bytearray:
    place = _place(data, random)
    del data[place : place + int(random.integers(1, 65))]
    return data


def _insert(data: bytearray, random: Random) -> bytearray:
    place = _place(data, random)
    data[place:place] = random.bytes(int(random.integers(1, 65)))
    return data


_CHANGES: tuple[Callable[[bytearray, Random], bytearray], ...] = (
    *(_flip_bits, _flip_bits, _set_bytes, _set_number, _set_number, _cut, _lengthen),
    *(_blank, _scramble, _copy, _remove, _insert),
)


def _change_attributes(path: Path, random: Random) -> None:
    """Attributes, types and shapes that are well formed and wrong."""
    with (
        contextlib.suppress(OSError, RuntimeError, ValueError, KeyError, TypeError),
        h5py.File(path, "r+") as file,
    ):
        places: list[tuple[str, str]] = [("/", name) for name in file.attrs]
        file.visititems(lambda where, item: places.extend((where, name) for name in item.attrs))
        for _ in range(int(random.integers(1, 4))):
            where, name = places[int(random.integers(len(places)))]
            if random.random() < 0.2:
                file[where].attrs.pop(name, None)
            else:
                file[where].attrs[name] = _VALUES[int(random.integers(len(_VALUES)))]
