"""What the tests of the ladder have methods do, in the service's children."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

from nowcast.build_service import ServiceRecipe
from nowcast.field.errors import MethodError

if TYPE_CHECKING:
    from nowcast.field.schema import Radar
    from nowcast.forecast.base import Nowcaster


@dataclass(frozen=True)
class Breaks:
    """A method that ends badly once it is asked for a forecast.

    Attributes:
        manner: ``dies`` of a signal, ``hangs``, ``declines``, or makes a ``mistake``.

    """

    manner: str
    history: int = 1

    def __call__(self, past: Radar, *, steps: int) -> NoReturn:
        if self.manner == "dies":
            os.kill(os.getpid(), signal.SIGSEGV)
        if self.manner == "hangs":
            time.sleep(600)
        if self.manner == "declines":
            raise MethodError(f"{steps} steps of {past.sizes['time']} frames are too hard")
        raise ZeroDivisionError("a mistake")


@dataclass(frozen=True)
class Fragile(ServiceRecipe):
    """The service's recipe, some of whose methods break: their names, and how they do."""

    broken: tuple[tuple[str, str], ...] = ()

    def nowcaster(self, method: str) -> Nowcaster:
        manner = dict(self.broken).get(method)
        return Breaks(manner) if manner else super().nowcaster(method)
