"""A step of the network in tiles: the same numbers as on the whole field, in the memory of a tile.

A step looks a few pixels to each side (``reach``). So every tile is stepped with that much of the
whole field's frame and state around it, and what lies within the tile is kept: nothing is blended,
and there is no seam. A norm over the whole field would make every pixel depend on all others, and
peepholes of a pixel belong to one grid; networks with either are refused.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor

from mim_core.config import MIMConfig
from mim_core.model import MIM, NetworkState
from mim_core.nested import each

Kept = TypeVar("Kept", Tensor, tuple[Tensor, ...])

SIDE = 192  # patched pixels of a tile: more are no faster, fewer cost more surroundings
# Convolutions one after another on the way through the first layer, and through each block above.
_FIRST = {"st_lstm": 1, "predrnn_st_lstm": 2, "causal_lstm": 3}
_BLOCK = {"st_lstm": 2, "predrnn_st_lstm": 2, "causal_lstm": 4}


class _Span(NamedTuple):
    """One axis of a tile: from where to where it goes in the field, without and with its halo."""

    start: int
    stop: int
    first: int
    last: int

    def own(self, finer: int) -> slice:
        """The tile in the field, of which each place may be parted into ``finer`` ones."""
        return slice(finer * self.start, finer * self.stop)

    def inner(self, finer: int) -> slice:
        """The same within the tile and its halo."""
        return slice(finer * (self.start - self.first), finer * (self.stop - self.first))


class _Tile(NamedTuple):
    """Rows and columns of a tile."""

    rows: _Span
    columns: _Span

    def cut(self, field: Tensor, above: Tensor | None = None) -> Tensor:
        """The tile with its halo. Its rows ``above`` are taken from there where these are given."""
        columns = slice(self.columns.first, self.columns.last)
        if above is None:
            return field[..., self.rows.first : self.rows.last, columns]
        below = field[..., self.rows.start : self.rows.last, columns]
        return torch.cat([above[..., columns], below], dim=-2)

    def finer(self, part: Tensor) -> int:
        """How many places a ``part`` has along each side of one of the tile's."""
        return part.shape[-1] // (self.columns.last - self.columns.first)

    def paste(self, part: Tensor, whole: Tensor) -> Tensor:
        """Write what lies within the tile of a ``part``, which has the halo, into the ``whole``."""
        rows, columns, finer = self.rows, self.columns, self.finer(part)
        inner = part[..., rows.inner(finer), columns.inner(finer)]
        whole[..., rows.own(finer), columns.own(finer)] = inner
        return whole


def reach(config: MIMConfig) -> int:
    """How many patched pixels to each side one step can look at the most."""
    convolutions = _FIRST[config.first_layer]
    convolutions += _BLOCK[config.first_layer] * (len(config.num_hidden) - 1)
    # The blend of the output reaches into the neighbouring patches, as the cascade's shares do.
    blend = max(math.ceil(config.blend_kernel // 2 / config.patch), min(config.cascade_levels, 1))
    pixels_of_scales = (1 << config.cascade_levels) - 1  # 1 + 2 + 4 + ...
    return max(
        convolutions * (config.kernel_size // 2) + blend,
        math.ceil(pixels_of_scales / config.patch),
    )


def can_tile(config: MIMConfig) -> bool:
    """Whether the network may be stepped in tiles: no norm over the field, shared peepholes."""
    return not config.layer_norm and config.peepholes == "shared"


def _as_it_is(prediction: Tensor) -> Tensor:
    return prediction


@torch.no_grad()
def step_in_tiles(
    network: MIM,
    frame: Tensor,
    state: NetworkState | None,
    *,
    side: int = SIDE,
    consume: bool = False,
    keep: Callable[[Tensor], Kept] = _as_it_is,  # type: ignore[assignment]  # of a type variable
) -> tuple[Kept, NetworkState]:
    """``network.step(frame, state)`` in tiles of ``side`` patched pixels; no gradient flows.

    A field that is no larger is stepped as it is: tiles cost their surroundings, and a copy.
    ``frame`` is (B, C, H, W), patched. With ``consume`` the new state is written over the old one,
    which saves the memory of a state. ``keep`` says what of a prediction is wanted, say
    ``network.field``, as one tensor or as several, patched or not. Raises ValueError for a network
    that cannot be tiled.
    """

    def step(frame: Tensor, state: NetworkState | None) -> tuple[Kept, NetworkState]:
        prediction, new = network.step(frame, state)
        return keep(prediction), new

    return _in_tiles(step, network.config, frame, state, side=side, consume=consume)


@torch.no_grad()
def advance_in_tiles(
    network: MIM,
    frame: Tensor,
    state: NetworkState | None,
    *,
    side: int = SIDE,
    consume: bool = False,
) -> NetworkState:
    """The state of ``step_in_tiles`` alone: nothing is predicted, which saves a quarter."""

    def advance(
        frame: Tensor, state: NetworkState | None
    ) -> tuple[tuple[Tensor, ...], NetworkState]:
        return (), network.advance(frame, state)[1]

    return _in_tiles(advance, network.config, frame, state, side=side, consume=consume)[1]


def _in_tiles(
    step: Callable[[Tensor, NetworkState | None], tuple[Kept, NetworkState]],
    config: MIMConfig,
    frame: Tensor,
    state: NetworkState | None,
    *,
    side: int,
    consume: bool,
) -> tuple[Kept, NetworkState]:
    if not can_tile(config):
        raise ValueError(
            "layer_norm, peepholes: a norm over the whole field, or a peephole at each pixel, "
            "cannot be computed in tiles; expected layer_norm=False and peepholes='shared'"
        )
    height, width = frame.shape[-2:]
    if height <= side and width <= side:
        return step(frame, state)
    halo = reach(config)
    whole: tuple[Kept, NetworkState] | None = None
    above: NetworkState | None = None  # the last rows of the old state that were written over

    def room(part: Tensor, old: Tensor | None) -> Tensor:
        if old is not None:
            return old
        layout = torch.channels_last if _is_channels_last(part) else torch.contiguous_format
        finer = waiting[0][0].finer(part)
        shape = (*part.shape[:-2], finer * height, finer * width)
        return torch.empty(shape, dtype=part.dtype, device=part.device, memory_format=layout)

    for rows in _spans(height, side=side, halo=halo):
        below = None
        if consume and halo > 0:
            below = each(partial(_last_rows, rows=rows, count=halo), state, above)
        # A tile is written once those that see the old state below it are through.
        waiting: deque[tuple[_Tile, tuple[Kept, NetworkState]]] = deque()
        for columns in _spans(width, side=side, halo=halo):
            tile = _Tile(rows, columns)
            waiting.append((tile, step(tile.cut(frame), each(tile.cut, state, above))))
            if whole is None:
                whole = each(room, waiting[0][1], (None, state if consume else None))
            while waiting and waiting[0][0].columns.stop <= columns.stop - halo:
                done, part = waiting.popleft()
                each(done.paste, part, whole)
        for done, part in waiting:
            each(done.paste, part, whole)
        above = below
    assert whole is not None  # a field has at least one tile
    return whole


def _is_channels_last(part: Tensor) -> bool:
    return part.is_contiguous(memory_format=torch.channels_last) and not part.is_contiguous()


def _spans(length: int, *, side: int, halo: int) -> list[_Span]:
    """An axis cut into tiles."""
    found = []
    for start in range(0, length, side):
        stop = min(start + side, length)
        found.append(_Span(start, stop, max(start - halo, 0), min(stop + halo, length)))
    return found


def _last_rows(field: Tensor, above: Tensor | None, *, rows: _Span, count: int) -> Tensor:
    """A copy of the last rows of the field up to the end of a row of tiles, ``above`` these."""
    own = field[..., rows.start : rows.stop, :]
    return (own if above is None else torch.cat([above, own], dim=-2))[..., -count:, :].clone()
