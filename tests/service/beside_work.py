"""What the tests of fetchers and slow products have other processes do."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from nowcast.build_service import ServiceRecipe
from nowcast.field.errors import ProductError
from nowcast.service.clock import SystemClock
from nowcast.service.fetchers import Fetchers
from nowcast.service.hooks import Status

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nowcast.field.schema import Radar
    from nowcast.forecast.base import Nowcaster
    from nowcast.products.base import Product

STATUS = Status(now=np.datetime64("2026-06-01T00:00", "ns"), tick=0.0, tick_seconds=0.0)

_DEAF = "import os, signal, sys, time; signal.signal(15, signal.SIG_IGN); "
_WRITE = "open(sys.argv[1], 'a').write(f'{os.getpid()}\\n'); "


def noting(path: Path, *, code: int) -> tuple[str, ...]:
    """A program that writes down its number and ends."""
    return sys.executable, "-S", "-c", f"import os, sys; {_WRITE} sys.exit({code})", str(path)


def lasting(path: Path, *, deaf: bool = False) -> tuple[str, ...]:
    """A program that writes down its number and goes on; deaf to the signal to end, or not."""
    first = _DEAF if deaf else "import os, sys, time; "
    return sys.executable, "-S", "-c", f"{first}{_WRITE} time.sleep(600)", str(path)


@dataclass(frozen=True)
class Unfollowed(ServiceRecipe):
    """A recipe by which nothing can follow a forecast."""

    def followers(self) -> Sequence[Product]:
        raise ProductError("the disk is full: make room")


@dataclass(frozen=True)
class HangsWhile(ServiceRecipe):
    """A recipe whose methods hang for as long as a file is there."""

    sign: Path = Path()

    def nowcaster(self, method: str) -> Nowcaster:
        return _HangsWhile(super().nowcaster(method), self.sign)


@dataclass(frozen=True)
class _HangsWhile:
    inner: Nowcaster
    sign: Path
    history: int = 1

    def __call__(self, past: Radar, *, steps: int) -> object:
        while self.sign.exists():
            time.sleep(0.05)
        return self.inner(past, steps=steps)


if __name__ == "__main__":  # a service that is killed while its fetcher runs
    fetchers = Fetchers([lasting(Path(sys.argv[1]))], SystemClock(), print)
    fetchers(STATUS)
    time.sleep(600)
