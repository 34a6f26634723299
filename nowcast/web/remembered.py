"""What was made is kept while there is room, and made by one thread only."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

T = TypeVar("T")


class Remembered(Generic[T]):
    """The most recently used values, up to a total size.

    Where a hundred clients ask for one picture at once, it is painted once: the others wait. What
    raises is not kept.
    """

    def __init__(self, room: float, *, size: Callable[[T], float] = lambda _: 1.0) -> None:
        self._room, self._size = room, size
        self._kept: OrderedDict[Hashable, T] = OrderedDict()
        self._used = 0.0
        self._lock = threading.Lock()
        self._making: dict[Hashable, threading.Lock] = {}

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """The value of a key; made by ``make`` where it is not kept."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
            turn = self._making.setdefault(key, threading.Lock())
        with turn:
            with self._lock:
                if key in self._kept:
                    return self._kept[key]
            try:
                value = make()
                self._keep(key, value)
            finally:
                with self._lock:
                    self._making.pop(key, None)
            return value

    def _keep(self, key: Hashable, value: T) -> None:
        with self._lock:
            self._kept[key] = value
            self._used += self._size(value)
            while self._used > self._room and len(self._kept) > 1:
                _, old = self._kept.popitem(last=False)
                self._used -= self._size(old)
