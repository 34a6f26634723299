"""A step of the network in tiles: the same numbers as on the whole field, in the memory of a tile.

A step looks a few pixels to each side (``reach``). So every tile is stepped with that much of the
whole field's frame and state around it, and what lies within the tile is kept: nothing is blended,
and there is no seam. A norm over the whole field would make every pixel depend on all others, and
peepholes of a pixel belong to one grid; networks with either are refused.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor

from mim_core.config import MIMConfig
from mim_core.model import MIM, NetworkState

Tree = TypeVar("Tree")

# Convolutions one after another on the way through the first layer, and through each block above.
_FIRST = {"st_lstm": 1, "predrnn_st_lstm": 2, "causal_lstm": 3}
_BLOCK = {"st_lstm": 2, "predrnn_st_lstm": 2, "causal_lstm": 4}


class _Tile(NamedTuple):
    """Rows and columns of a tile in the whole field, with its surroundings and within these."""

    with_halo: tuple[slice, slice]
    kept: tuple[slice, slice]
    inner: tuple[slice, slice]


def reach(config: MIMConfig) -> int:
    """How many patched pixels to each side one step can look at the most."""
    convolutions = _FIRST[config.first_layer]
    convolutions += _BLOCK[config.first_layer] * (len(config.num_hidden) - 1)
    # The blend of the output reaches into the neighbouring patches.
    blend = math.ceil(config.blend_kernel // 2 / config.patch)
    return convolutions * (config.kernel_size // 2) + blend


def can_tile(config: MIMConfig) -> bool:
    """Whether the network may be stepped in tiles: no norm over the field, shared peepholes."""
    return not config.layer_norm and config.peepholes == "shared"


@torch.no_grad()
def step_in_tiles(
    network: MIM, frame: Tensor, state: NetworkState | None, *, side: int = 192
) -> tuple[Tensor, NetworkState]:
    """``network.step(frame, state)`` in tiles of ``side`` patched pixels; no gradient flows.

    A field that is no larger is stepped as it is: tiles cost their surroundings, and a copy.
    ``frame`` is (B, C, H, W), patched. Raises ValueError for a network that cannot be tiled.
    """
    if not can_tile(network.config):
        raise ValueError(
            "layer_norm, peepholes: a norm over the whole field, or a peephole at each pixel, "
            "cannot be computed in tiles; expected layer_norm=False and peepholes='shared'"
        )
    height, width = frame.shape[-2:]
    if height <= side and width <= side:
        stepped: tuple[Tensor, NetworkState] = network.step(frame, state)
        return stepped
    whole: tuple[Tensor, NetworkState] | None = None
    for tile in _tiles(height, width, side=side, halo=reach(network.config)):

        def cut(field: Tensor, place: tuple[slice, slice] = tile.with_halo) -> Tensor:
            return field[..., place[0], place[1]]

        part = network.step(cut(frame), _each(cut, state))
        if whole is None:
            whole = _each(lambda made: made.new_empty((*made.shape[:-2], height, width)), part)
        _paste(part, into=whole, tile=tile)
    assert whole is not None  # a field has at least one tile
    return whole


def _tiles(height: int, width: int, *, side: int, halo: int) -> Iterator[_Tile]:
    for top in range(0, height, side):
        for left in range(0, width, side):
            rows, inner_rows, kept_rows = _span(top, side=side, halo=halo, length=height)
            columns, inner_columns, kept_columns = _span(left, side=side, halo=halo, length=width)
            yield _Tile(
                with_halo=(rows, columns),
                kept=(kept_rows, kept_columns),
                inner=(inner_rows, inner_columns),
            )


def _span(start: int, *, side: int, halo: int, length: int) -> tuple[slice, slice, slice]:
    """One axis of a tile: with its halo, what to keep within that, and where it belongs."""
    stop = min(start + side, length)
    first, last = max(start - halo, 0), min(stop + halo, length)
    return slice(first, last), slice(start - first, stop - first), slice(start, stop)


def _each(work: Callable[[Tensor], Tensor], tree: Tree) -> Tree:
    """The same nested tuples with ``work`` done on every tensor; None stays None."""
    found: Any = tree
    if isinstance(found, Tensor):
        found = work(found)
    elif found is not None:
        parts = [_each(work, part) for part in found]
        found = type(found)(*parts) if hasattr(found, "_fields") else tuple(parts)
    result: Tree = found
    return result


def _paste(part: Any, *, into: Any, tile: _Tile) -> None:
    if isinstance(part, Tensor):
        into[..., tile.kept[0], tile.kept[1]] = part[..., tile.inner[0], tile.inner[1]]
    elif part is not None:
        for piece, target in zip(part, into, strict=True):
            _paste(piece, into=target, tile=tile)
