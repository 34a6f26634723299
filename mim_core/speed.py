"""MIM with its convolutions in the transform domain: the same weights, equations and numbers.

    fast = accelerated(network, grid=frames.shape[-2:])
    predictions = fast(frames, total_length=20)

The cells are those of ``mim_core.cells``; only what they convolve with is exchanged. Weights are
transformed when the network is made, and used at every step: make it anew after each change of
them, that is for each batch in training, whose gradients flow to the weights of ``network``.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from mim_core.cells import STLSTM, Gates, MIMBlock, PeepholeLSTM, Reduce
from mim_core.model import MIM, NetworkState
from mim_core.recurrent import Recurrent
from mim_core.transform import KERNELS, Axis, Spectrum, Term, Transform, field_of_sum, product


def accelerated(network: MIM, *, grid: tuple[int, int]) -> MIM:
    """A network that computes what ``network`` does, faster, for patched frames of ``grid``.

    It shares the weights of ``network`` as they are now. Where the transform domain has no
    advantage (kernels other than 3, 5 and 7) it is ``network`` itself.
    """
    if network.config.kernel_size not in KERNELS:
        return network
    return TransformedMIM(network, grid=grid)


class TransformedMIM(MIM):
    """See ``accelerated``. The maps of its state have the pixel order of the transform."""

    def __init__(self, network: MIM, *, grid: tuple[int, int]) -> None:
        Recurrent.__init__(self, network.config)
        weight = network.output.weight
        transform = Transform.of(grid, kernel=network.config.kernel_size, like=weight)
        self.order = _Order(transform.rows, transform.columns, grid)
        shared = {id(parameter): parameter for parameter in network.parameters()}
        for name, part in network.named_children():
            self.add_module(name, copy.deepcopy(part, shared))
        with torch.autocast(weight.device.type, enabled=False):
            for part in (self.first, self.differences, self.blocks):
                _exchange(part, transform, self.order)
        self.train(network.training)

    def step(self, frame: Tensor, state: NetworkState | None) -> tuple[Tensor, NetworkState]:
        """As ``MIM.step``; ``state`` is one that this network gave. In fp32 under autocast too."""
        with torch.autocast(frame.device.type, enabled=False):
            return super().step(self.order.enter(frame.to(self.output.weight.dtype)), state)

    def _predict(self, hidden: Tensor, frame: Tensor) -> Tensor:
        return super()._predict(self.order.leave(hidden), self.order.leave(frame))


@dataclass(frozen=True)
class _Order:
    """The order of the pixels of a field in the transform, whose maps are (B, C, row, column)."""

    rows: Axis
    columns: Axis
    grid: tuple[int, int]

    def enter(self, field: Tensor) -> Tensor:
        """(B, C, H, W) -> the same in this order, with the tiles that reach over the end."""
        rows, columns = self.rows, self.columns
        (height, width), (batch, channels) = self.grid, field.shape[:2]
        field = functional.pad(field, (0, columns.length - width, 0, rows.length - height))
        tiles = field.view(batch, channels, rows.tiles, rows.tile, columns.tiles, columns.tile)
        by_place = tiles.permute(3, 2, 5, 4, 0, 1)  # place, tile, place, tile, batch, channel
        return _as_field(by_place.reshape(rows.length, columns.length, batch, channels))

    def leave(self, field: Tensor) -> Tensor:
        """Back to (B, C, H, W)."""
        rows, columns = self.rows, self.columns
        (height, width), (batch, channels) = self.grid, field.shape[:2]
        by_place = _as_field(field).reshape(
            rows.tile, rows.tiles, columns.tile, columns.tiles, batch, channels
        )
        tiles = by_place.permute(4, 5, 1, 0, 3, 2)
        whole = tiles.reshape(batch, channels, rows.length, columns.length)
        return whole[..., :height, :width]


class _TransformedGates(nn.Module):
    """``Gates`` in the transform domain, which the maps leave when all that is added is added."""

    def __init__(
        self, gates: Gates, transform: Transform, *, seen: Tensor, is_shared: bool
    ) -> None:
        """``seen`` is 1 on the pixels of the field; ``is_shared`` maps are used in two sums."""
        super().__init__()
        self.gates, self.transform, self.seen, self.is_shared = gates, transform, seen, is_shared
        self.weights = [
            Spectrum.of_weight(weight, transform)
            for weight in gates.convolution.weight.chunk(gates.count)
        ]

    def forward(self, x: Tensor | None) -> tuple[_Sum | Tensor, ...]:
        if x is None and self.gates.norm is not None:
            return tuple(self.gates(None))
        biases = self.gates.bias.chunk(self.gates.count)
        if x is None:  # the convolution of zeros is its bias
            return tuple(_Sum(self.transform, bias) for bias in biases)
        samples = Spectrum.of_field(_as_field(x), self.transform)
        sums = tuple(
            self._sum(Term(samples, weights), bias)
            for weights, bias in zip(self.weights, biases, strict=True)
        )
        return sums if self.gates.norm is None else self._normalised(sums, self.gates.norm)

    def _sum(self, term: Term, bias: Tensor) -> _Sum:
        if self.is_shared:
            return _Sum(self.transform, bias, shared=(product(term),))
        return _Sum(self.transform, bias, terms=(term,))

    def _normalised(self, sums: tuple[_Sum, ...], norm: nn.GroupNorm) -> tuple[Tensor, ...]:
        maps = torch.stack([_as_field(summed.computed()) for summed in sums])
        # (gate, row, column, B, C), of which each sequence has one mean and one variance.
        over = (0, 1, 2, 4)
        count = self.seen.sum() * len(sums) * maps.shape[-1]
        mean = (maps * self.seen).sum(over, keepdim=True) / count
        off = (maps - mean) * self.seen
        variance = off.square().sum(over, keepdim=True) / count
        shape = (len(sums), 1, 1, 1, -1)
        weight, bias = norm.weight.view(shape), norm.bias.view(shape)
        normalised = torch.addcmul(bias, off * torch.rsqrt(variance + norm.eps), weight)
        return tuple(_as_field(gate) for gate in normalised)


@dataclass(frozen=True)
class _Sum:
    """A sum of convolutions, computed when something else than a sum is asked for.

    So that several are added before their common way back from the transform domain.
    """

    transform: Transform
    bias: Tensor  # (C,)
    terms: tuple[Term, ...] = ()
    shared: tuple[Tensor, ...] = ()

    def __add__(self, other: _Sum | Tensor | float) -> _Sum | Tensor:
        if isinstance(other, _Sum):
            bias, terms = self.bias + other.bias, self.terms + other.terms
            return _Sum(self.transform, bias, terms, self.shared + other.shared)
        if isinstance(other, Tensor):
            return self.computed() + other
        return _Sum(self.transform, self.bias + other, self.terms, self.shared)

    def computed(self) -> Tensor:
        """(B, C, row, column), or (1, C, 1, 1) where nothing depends on the pixel."""
        if not self.terms and not self.shared:
            return self.bias.view(1, -1, 1, 1)
        return _as_field(field_of_sum(self.terms, self.bias, self.transform, shared=self.shared))

    @classmethod
    def __torch_function__(
        cls,
        function: Callable[..., Tensor],
        types: object,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Tensor:
        del types
        computed = [arg.computed() if isinstance(arg, cls) else arg for arg in args]
        return function(*computed, **(kwargs or {}))


class _PointwiseReduce(nn.Module):
    """``Reduce`` as matrix products."""

    def __init__(self, reduce: Reduce) -> None:
        super().__init__()
        self.convolution = reduce.convolution

    def forward(self, c: Tensor, m: Tensor) -> Tensor:
        of_c, of_m = self.convolution.weight.flatten(1).chunk(2, dim=1)
        assert self.convolution.bias is not None
        c, m = _as_field(c), _as_field(m)
        reduced = torch.addmm(self.convolution.bias, c.flatten(0, 2), of_c.T)
        reduced = torch.addmm(reduced, m.flatten(0, 2), of_m.T)
        return _as_field(reduced.view(*c.shape[:3], -1))


def _exchange(module: nn.Module, transform: Transform, order: _Order) -> None:
    """Put the transform into the cells within ``module``, in place."""
    for name, part in module.named_children():
        if isinstance(part, Gates):
            is_shared = isinstance(module, STLSTM | MIMBlock) and name == "input_gates"
            seen = _as_field(order.enter(torch.ones(1, 1, *order.grid).to(part.bias)))
            gates = _TransformedGates(part, transform, seen=seen, is_shared=is_shared)
            setattr(module, name, gates)
        elif isinstance(part, Reduce):
            setattr(module, name, _PointwiseReduce(part))
        else:
            _exchange(part, transform, order)
    if isinstance(module, PeepholeLSTM):
        for name in ("input_forget_peepholes", "output_peepholes"):
            peepholes = getattr(module, name)
            if peepholes.shape[-2:] == order.grid:
                delattr(module, name)  # a parameter, which must not be set to what is none
                setattr(module, name, order.enter(peepholes[None])[0])


def _as_field(x: Tensor) -> Tensor:
    """[batch, C, row, column] to [row, column, batch, C], or the reverse; nothing is moved."""
    return x.permute(2, 3, 0, 1)
