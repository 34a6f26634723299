"""Values as bytes, and back: what reads them runs no code that the bytes name.

A child that reads files of strangers may be taken over by one of them. So its answer is no pickle,
but a tree in JSON with arrays and bytes behind it. Of classes it names only those that the reader
has given it: NamedTuples and frozen dataclasses, which hold values and do nothing.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nowcast.field import errors

_HEAD = struct.Struct("<Q")
# Kinds of numpy that are numbers, times and texts; objects are none of them.
_KINDS = frozenset("biufcmMSU")
_COLLECTIONS = {kind.__name__: kind for kind in (list, tuple, set, frozenset)}


class PlainError(Exception):
    """Bytes that are no value, or a value that has no bytes; with the reason."""


def is_plain_class(found: object) -> bool:
    """Whether a class holds values and nothing else: a NamedTuple, or a frozen dataclass."""
    if not isinstance(found, type):
        return False
    if is_dataclass(found):
        return bool(found.__dataclass_params__.frozen)  # type: ignore[attr-defined]
    return issubclass(found, tuple) and hasattr(found, "_fields")


def write(value: object) -> bytes:
    """The bytes of a value; raises PlainError for one that is not plain."""
    writer = _Writer()
    try:
        tree = json.dumps(writer.tree(value), separators=(",", ":")).encode("ascii")
    except RecursionError as error:
        raise PlainError("nested too deeply, or in itself") from error
    return b"".join([_HEAD.pack(len(tree)), tree, *writer.parts])


def read(said: bytes, classes: Mapping[str, type]) -> Any:
    """The value of ``write``; ``classes`` are those that may be named in it.

    Raises PlainError for anything else.
    """
    try:
        (length,) = _HEAD.unpack_from(said)
        start = _HEAD.size + length
        tree = json.loads(said[_HEAD.size : start])
        return _Reader(memoryview(said)[start:], classes).value(tree)
    except PlainError:
        raise
    except Exception as error:  # whatever strange bytes lead to
        raise PlainError(f"no value: {type(error).__name__}: {error}") from error


@dataclass
class _Writer:
    """Makes a tree of lists, each of which begins with its kind, and keeps long bytes apart."""

    parts: list[bytes] = field(default_factory=list)
    length: int = 0

    def tree(self, value: object) -> Any:
        if value is None or type(value) in (bool, int, float, str):
            return value
        if is_plain_class(type(value)):
            return ["of", type(value).__name__, self._pairs(_contents(value))]
        if type(value) in _COLLECTIONS.values():
            return [type(value).__name__, [self.tree(one) for one in value]]  # type: ignore[attr-defined]
        return self._marked(value)

    def _marked(self, value: object) -> list[Any]:
        match value:
            case bytes() | bytearray():
                marked = ["bytes", *self._part(bytes(value))]
            case np.ndarray() | np.generic():
                marked = self._array(value)
            case Path():
                marked = ["path", str(value)]
            case errors.NowcastError():
                marked = self._error(value)
            case Mapping():
                marked = ["mapping", self._pairs(value)]
            case _:
                named = f"{type(value).__module__}.{type(value).__qualname__}"
                raise PlainError(f"a {named} is no plain value")
        return marked

    def _pairs(self, found: Mapping[Any, object]) -> list[Any]:
        return [[self.tree(name), self.tree(value)] for name, value in found.items()]

    def _part(self, content: bytes) -> tuple[int, int]:
        begin = self.length
        self.parts.append(content)
        self.length += len(content)
        return begin, len(content)

    def _array(self, value: np.ndarray | np.generic) -> list[Any]:
        if value.dtype.kind not in _KINDS:
            raise PlainError(f"an array of {value.dtype} is no plain value")
        kind = "array" if isinstance(value, np.ndarray) else "scalar"
        return [kind, value.dtype.str, list(value.shape), *self._part(value.tobytes())]

    def _error(self, error: errors.NowcastError) -> list[Any]:
        more = {name: value for name, value in vars(error).items() if not name.startswith("_")}
        return ["error", type(error).__name__, str(error), self._pairs(more)]


@dataclass(frozen=True)
class _Reader:
    """The inverse of ``_Writer``."""

    parts: memoryview
    classes: Mapping[str, type]

    def value(self, tree: Any) -> Any:
        if isinstance(tree, dict):
            raise PlainError("a mapping that is not marked as one")
        if not isinstance(tree, list):
            return tree
        kind, *rest = tree
        if kind in _COLLECTIONS:
            return _COLLECTIONS[kind](self.value(one) for one in rest[0])
        readers: dict[str, Callable[..., Any]] = {
            "bytes": self._part,
            "array": self._array,
            "scalar": lambda *told: self._array(*told)[()],
            "path": Path,
            "error": lambda name, words, more: _error(name, words, self._mapping(more)),
            "of": lambda name, given: self._of(name, self._mapping(given)),
            "mapping": self._mapping,
        }
        if kind not in readers:
            raise PlainError(f"an unknown kind of value: {kind!r:.60}")
        return readers[kind](*rest)

    def _mapping(self, pairs: list[tuple[Any, Any]]) -> dict[Any, Any]:
        return {self.value(name): self.value(value) for name, value in pairs}

    def _part(self, begin: int, size: int) -> bytes:
        if not 0 <= begin <= begin + size <= len(self.parts):
            raise PlainError(f"{size} bytes at {begin} of {len(self.parts)}")
        return bytes(self.parts[begin : begin + size])

    def _array(self, dtype: str, shape: list[int], begin: int, size: int) -> np.ndarray:
        kind = np.dtype(dtype)
        if kind.kind not in _KINDS or kind.fields is not None:
            raise PlainError(f"an array of {dtype!r:.60}")
        return np.frombuffer(self._part(begin, size), kind).reshape(shape).copy()

    def _of(self, name: str, given: Mapping[str, Any]) -> Any:
        known = self.classes.get(name)
        if known is None or not is_plain_class(known):
            raise PlainError(f"a {name!r:.60}, which is not expected here")
        return known(**given)


def _contents(value: Any) -> Mapping[str, object]:
    if is_dataclass(value):
        return {one.name: getattr(value, one.name) for one in fields(value) if one.init}
    contents: Mapping[str, object] = value._asdict()
    return contents


def _error(name: str, message: str, more: Mapping[str, Any]) -> errors.NowcastError:
    """An error of the family, with the attributes that its kind has."""
    known = getattr(errors, name, None)
    if not (isinstance(known, type) and issubclass(known, errors.NowcastError)):
        raise PlainError(f"an error {name!r:.60}, which is not of the family")
    made = known(message)
    for key in vars(made):
        if key in more:
            setattr(made, key, more[key])
    return made
