"""Nested tuples of tensors, as the state of a network is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from torch import Tensor

Tree = TypeVar("Tree")


def each(work: Callable[..., Tensor], tree: Tree, *others: Any) -> Tree:
    """The same nested tuples with ``work`` done on every tensor; None stays None.

    It is given the tensors in the same place of the ``others`` too; None where these are None.
    """
    found: Any = tree
    if isinstance(found, Tensor):
        found = work(found, *others)
    elif found is not None:
        beside = [(None,) * len(found) if other is None else other for other in others]
        parts = [each(work, *same) for same in zip(found, *beside, strict=True)]
        found = type(found)(*parts) if hasattr(found, "_fields") else tuple(parts)
    result: Tree = found
    return result


def tensors_of(tree: object) -> Iterator[Tensor]:
    """All tensors of it, in their order."""
    if isinstance(tree, Tensor):
        yield tree
    elif isinstance(tree, tuple):
        for part in tree:
            yield from tensors_of(part)
