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

from mim_core.cells import STLSTM, MIMBlock, PeepholeLSTM
from mim_core.gates import Gates, Reduce
from mim_core.model import MIM, NetworkState
from mim_core.recurrent import Recurrent
from mim_core.transform import Axis, Spectrum, Term, Transform, field_of_sum, product

# Channels from which the transform pays, and pixels of a side up to which, as measured: with fewer
# channels its own work, which grows with them once, outweighs the products, which grow twice.
WORTHWHILE_CHANNELS = {3: 128, 5: 48}
LONGEST_SIDE = 128


def accelerated(network: MIM, *, grid: tuple[int, int]) -> MIM:
    """A network that computes what ``network`` does, faster, for patched frames of ``grid``.

    It shares the weights of ``network`` as they are now. Where the transform does not pay it is
    ``network`` itself.
    """
    config = network.config
    least = WORTHWHILE_CHANNELS.get(config.kernel_size)
    if least is None or config.num_hidden[0] < least or max(grid) > LONGEST_SIDE:
        return network
    return TransformedMIM(network, grid=grid)


class TransformedMIM(MIM):
    """See ``accelerated``. The maps of its state have the pixel order of the transform.

    Raises ValueError for a kernel that has no transform here.
    """

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
            return super().step(frame.to(self.output.weight.dtype), state)

    def advance(self, frame: Tensor, state: NetworkState | None) -> tuple[Tensor, NetworkState]:
        """As ``MIM.advance``; the hidden state lies in the order of the transform."""
        with torch.autocast(frame.device.type, enabled=False):
            return super().advance(self.order.enter(frame.to(self.output.weight.dtype)), state)

    def _predict(self, hidden: Tensor, frame: Tensor) -> Tensor:
        return super()._predict(self.order.leave(hidden), frame)


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


class _Maps(tuple[Any, ...]):
    """What ``Gates`` says, parted by gate already."""

    __slots__ = ()

    def chunk(self, count: int, dim: int) -> _Maps:
        """As that of the tensor for which this stands."""
        assert (count, dim) == (len(self), 1)
        return self


class _TransformedGates(nn.Module):
    """``Gates`` in the transform domain, which the maps leave when all that is added is added."""

    def __init__(self, gates: Gates, transform: Transform, *, is_shared: bool) -> None:
        """``is_shared``: the maps are used in two sums, so their products are kept."""
        super().__init__()
        self.gates, self.transform, self.is_shared = gates, transform, is_shared
        weight = gates.convolution.weight
        parts = (weight,) if is_shared else weight.chunk(gates.count)
        self.weights = [Spectrum.of_weight(part, transform) for part in parts]

    def forward(self, x: Tensor | None) -> _Maps:
        biases = self.gates.bias.chunk(self.gates.count)
        if x is None:  # the convolution of zeros is its bias
            return _Maps(_Sum(self.transform, bias) for bias in biases)
        samples = Spectrum.of_field(_as_field(x), self.transform)
        terms = [Term(samples, weights) for weights in self.weights]
        if self.is_shared:
            products = product(terms[0]).chunk(len(biases), dim=-1)
            return _Maps(
                _Sum(self.transform, bias, shared=(part,))
                for bias, part in zip(biases, products, strict=True)
            )
        return _Maps(
            _Sum(self.transform, bias, terms=(term,))
            for bias, term in zip(biases, terms, strict=True)
        )


class _NormalisedGates(nn.Module):
    """``Gates`` with a norm, which wants every convolution by itself."""

    def __init__(self, gates: Gates, norm: nn.GroupNorm, *, transform: Transform) -> None:
        super().__init__()
        self.gates, self.norm, self.transform = gates, norm, transform
        self.weights = Spectrum.of_weight(gates.convolution.weight, transform)

    def forward(self, x: Tensor | None) -> Tensor | _Maps:
        if x is None:
            of_zeros: Tensor = self.gates(None)
            return of_zeros
        term = Term(Spectrum.of_field(_as_field(x), self.transform), self.weights)
        maps = field_of_sum([term], self.gates.bias, self.transform)
        variance, mean = self._moments(maps)
        scale = torch.rsqrt(variance + self.norm.eps) * self.norm.weight
        normalised = torch.addcmul(self.norm.bias - mean * scale, maps, scale)
        return _Maps(_as_field(gate) for gate in normalised.chunk(self.gates.count, dim=-1))

    def _moments(self, maps: Tensor) -> tuple[Tensor, Tensor]:
        """Variance and mean over the pixels of the field, (1, 1, B, 1)."""
        over, seen = (0, 1, 3), self.transform.seen
        if seen is None:
            return torch.var_mean(maps, over, correction=0, keepdim=True)
        count = seen.sum() * maps.shape[-1]
        mean = (maps * seen).sum(over, keepdim=True) / count
        squares = ((maps - mean) * seen).square().sum(over, keepdim=True)
        return squares / count, mean


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


class _JointGates(nn.Module):
    """``Gates`` of which all are added to those of another input, gate by gate: one product."""

    def __init__(self, gates: Gates, transform: Transform) -> None:
        super().__init__()
        self.gates, self.transform = gates, transform
        self.weights = Spectrum.of_weight(gates.convolution.weight, transform)

    def forward(self, x: Tensor | None) -> _Maps:
        terms: tuple[Term, ...] = ()
        if x is not None:  # the convolution of zeros is its bias
            terms = (Term(Spectrum.of_field(_as_field(x), self.transform), self.weights),)
        together = _Together(self.transform, self.gates.bias, terms, self.gates.count)
        return _Maps(_Joint(together, gate) for gate in range(self.gates.count))


@dataclass
class _Together:
    """All gates of one input, and what they are with those of another input when computed."""

    transform: Transform
    bias: Tensor
    terms: tuple[Term, ...]
    count: int
    maps: tuple[Tensor, ...] = ()

    def add(self, other: _Together) -> tuple[Tensor, ...]:
        """A map (B, C, row, column) a gate, or (1, C, 1, 1) where nothing depends on the pixel."""
        if not self.maps:
            terms, bias = self.terms + other.terms, self.bias + other.bias
            if terms:
                gates = field_of_sum(terms, bias, self.transform).chunk(self.count, dim=-1)
            else:
                gates = bias.view(1, 1, 1, -1).chunk(self.count, dim=-1)
            self.maps = tuple(_as_field(gate) for gate in gates)
        return self.maps


@dataclass(frozen=True)
class _Joint:
    """One gate of several that are computed at once, when the first of them is added."""

    together: _Together
    gate: int

    def __add__(self, other: object) -> Tensor:
        assert isinstance(other, _Joint)  # PeepholeLSTM adds nothing else
        return self.together.add(other.together)[self.gate]


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
            setattr(module, name, _exchanged(part, transform, of=module, name=name))
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


def _exchanged(gates: Gates, transform: Transform, *, of: nn.Module, name: str) -> nn.Module:
    """What takes the place of ``gates``, the attribute ``name`` ``of`` a cell."""
    if gates.norm is not None:
        return _NormalisedGates(gates, gates.norm, transform=transform)
    if isinstance(of, PeepholeLSTM):
        return _JointGates(gates, transform)
    is_shared = isinstance(of, STLSTM | MIMBlock) and name == "input_gates"
    return _TransformedGates(gates, transform, is_shared=is_shared)


def _as_field(x: Tensor) -> Tensor:
    """[batch, C, row, column] to [row, column, batch, C], or the reverse; nothing is moved."""
    return x.permute(2, 3, 0, 1)
