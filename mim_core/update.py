"""The pixelwise part of a cell, between its convolutions, as it is or compiled.

On small maps a step of MIM is some hundred small operations around few convolutions. Compiled, they
are one loop over the pixels a cell, and another for the derivative.
"""

from __future__ import annotations

import os
import shutil
import sysconfig
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import torch
from torch import Tensor, nn

Update = Callable[..., tuple[Tensor, ...]]


class Cell(nn.Module):
    """A cell whose pixelwise part is a method of its own, ``update``."""

    update: Update
    is_compilable = True
    is_compiled = False  # see ``compiled_updates``

    def _updated(self, *maps: Tensor | None) -> tuple[Tensor, ...]:
        """What ``update`` makes of what the convolutions say, and of the states."""
        if self.is_compiled and torch.is_grad_enabled() and _are_whole(maps):
            return _compiled(type(self).update)(self, *maps)
        return self.update(*maps)


@contextmanager
def compiled_updates(network: nn.Module) -> Iterator[None]:
    """Meanwhile the cells of ``network`` update compiled where gradients are asked for.

    The first use takes some ten seconds a kind of cell; where that fails, a warning says so, and
    the cells go on as they are. Numbers differ by rounding: a compiled loop works in fp32 inside,
    whatever its maps are.
    """
    cells = [module for module in network.modules() if isinstance(module, Cell)]
    for cell in cells:
        cell.is_compiled = cell.is_compilable
    try:
        yield
    finally:
        for cell in cells:
            cell.is_compiled = False


def can_compile(accelerator: str) -> bool:
    """Whether torch.compile has what it needs: on a CPU a C++ compiler and Python's headers."""
    if accelerator != "cpu":
        return True
    headers = Path(sysconfig.get_paths()["include"]) / "Python.h"
    compiler = os.environ.get("CXX", "g++")
    return headers.is_file() and shutil.which(compiler) is not None


def _are_whole(maps: tuple[Tensor | None, ...]) -> bool:
    """Not those of the first steps, which lack some or repeat one value: each would be compiled."""
    grids = {None if one is None else one.shape[-2:] for one in maps}
    return len(grids) == 1 and not any(one is None or 0 in one.stride() for one in maps)


class _Compiled:
    """An update by torch.compile; by itself from the first time on that this fails."""

    def __init__(self, update: Update) -> None:
        self._update = update
        self._fast: Update = torch.compile(update, dynamic=False)

    def __call__(self, cell: Cell, *maps: Tensor | None) -> tuple[Tensor, ...]:
        try:
            return self._fast(cell, *maps)
        except RuntimeError as error:  # as all errors of the compiler are
            updated = self._update(cell, *maps)  # raises what is not the compiler's fault
            self._fast = self._update
            reason = " ".join(str(error).split())[:300]
            warnings.warn(f"cells are not compiled: {reason}", stacklevel=2)
            return updated


@cache
def _compiled(update: Update) -> _Compiled:
    """All cells of a kind take the same."""
    return _Compiled(update)
