"""Convolution in the transform domain (Toom-Cook, known as Winograd's): fewer multiplications.

``tile`` x ``tile`` outputs of a k x k convolution need (tile + k - 1)^2 multiplications a pair of
channels: 4 a pixel for 5x5 in tiles of 4, where the direct sum needs 25. The rest are small matrix
products, which read and write in the layout that the next of them wants, so nothing is rearranged:

- A field is [row, column, batch, channel], its rows and columns in the order of ``Axis``.
- A spectrum is [frequency, tile and batch, channel]: all products of one frequency are one matrix
  product with that frequency's weights.

In exact arithmetic the result is that of the direct convolution; in fp32, 5x5 is off by 5e-6 (RMS
of the difference over RMS). In bf16 it would be off by 5e-2, so products are not made in it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor

# Outputs a side of a tile, and the points at which polynomials are evaluated beside infinity:
# those, of the small fractions, that lose the fewest digits.
_HALF = Fraction(1, 2)
_TILES: dict[int, tuple[int, tuple[Fraction | int, ...]]] = {
    3: (4, (0, 1, -1, _HALF, -2)),
    5: (4, (0, 1, -1, 2, -2, _HALF, -_HALF)),
}
KERNELS = tuple(_TILES)
# The frequency whose spectrum is the sum over a tile: where a constant is added.
_POINT_ONE = 1


@dataclass(frozen=True)
class Axis:
    """One axis of a field: its matrices to the spectrum and back.

    Samples are in an order of their own: by place within the tile, then by tile.

    Attributes:
        tile: outputs of a tile.
        tiles: of the axis, the last of which may reach over its end.
        into: (points * tiles, length), from samples to the spectrum of each tile.
        back: (tile, points), from the spectrum of a tile to its samples.

    """

    tile: int
    tiles: int
    into: Tensor
    back: Tensor

    @property
    def points(self) -> int:
        """Frequencies of a tile."""
        return self.back.shape[1]

    @property
    def length(self) -> int:
        """Samples of the axis with what the last tile reaches beyond its end."""
        return self.tile * self.tiles

    @property
    def outwards(self) -> Tensor:
        """(points * tiles, length): ``back`` of all tiles, transposed, for gradients."""
        return torch.kron(self.back.T.contiguous(), torch.eye(self.tiles).to(self.back))

    @staticmethod
    def of(length: int, *, kernel: int, like: Tensor) -> Axis:
        """An axis of ``length`` samples with zeros around them; type and device of ``like``."""
        tile, _ = _TILES[kernel]
        tiles = -(-length // tile)
        to_spectrum, back = (matrix.to(like) for matrix in _matrices(kernel)[1:])
        points = back.shape[1]
        into = torch.zeros(points, tiles, tile, tiles).to(like)  # frequency, tile; place, tile
        for number in range(tiles):
            for place in range(points):
                sample = number * tile + place - kernel // 2
                if 0 <= sample < length:
                    into[:, number, sample % tile, sample // tile] = to_spectrum[:, place]
        return Axis(tile, tiles, into.reshape(points * tiles, tile * tiles), back)


@dataclass(frozen=True)
class Transform:
    """Both axes of a field, and the transform of a kernel (points^2, k^2)."""

    rows: Axis
    columns: Axis
    of_kernel: Tensor
    seen: Tensor | None  # 1 on the pixels of the field, [row, column, 1, 1]; None for all

    @staticmethod
    def of(grid: tuple[int, int], *, kernel: int, like: Tensor) -> Transform:
        """For fields of ``grid`` (H, W) and kernels of ``kernel`` pixels, one of ``KERNELS``."""
        if kernel not in KERNELS:
            raise ValueError(f"kernel: found {kernel}, expected one of {KERNELS}")
        rows, columns = (Axis.of(length, kernel=kernel, like=like) for length in grid)
        one = _matrices(kernel)[0]
        # Frequencies are in the order column, row; the weights in the order row, column.
        both = torch.einsum("ap,bq->abqp", one, one).reshape(one.shape[0] ** 2, kernel**2)
        lengths = (rows.length, columns.length)
        seen = None if lengths == grid else torch.outer(*map(_within, (rows, columns), grid))
        return Transform(
            rows, columns, both.to(like), None if seen is None else seen[..., None, None].to(like)
        )

    def spectrum(self, x: Tensor) -> Tensor:
        """[row, column, batch, C] -> [frequency, tile and batch, C]."""
        return _outwards(x, self.rows.into, self.columns.into, points=self.rows.points)

    @property
    def constant(self) -> int:
        """The frequency to which a constant is added so that it is added to every pixel."""
        return _POINT_ONE * self.rows.points + _POINT_ONE

    def field(self, spectrum: Tensor) -> Tensor:
        """[frequency, tile and batch, C] -> [row, column, batch, C]."""
        rows, columns, points = self.rows, self.columns, self.rows.points
        back, channels = rows.back, spectrum.shape[-1]
        by_row = back.expand(points, -1, -1) @ spectrum.reshape(points, points, -1)
        by_row = by_row.view(points, rows.length, -1).transpose(0, 1)
        both = torch.bmm(back.expand(rows.length, -1, -1), by_row)
        return both.view(rows.length, columns.length, -1, channels)

    def gradient_of_spectrum(self, of_field: Tensor) -> Tensor:
        """The transpose of ``field``: [row, column, batch, C] -> [frequency, tile and batch, C]."""
        return _outwards(
            of_field, self.rows.outwards, self.columns.outwards, points=self.rows.points
        )

    def gradient_of_field(self, of_spectrum: Tensor, *, batch: int) -> Tensor:
        """The transpose of ``spectrum``: [frequency, tile and batch, C] -> [row, column, ...]."""
        rows, columns, points = self.rows, self.columns, self.rows.points
        height, width = rows.into.shape[1], columns.into.shape[1]
        by_row = of_spectrum.reshape(points, points * rows.tiles, -1)
        by_row = torch.bmm(rows.into.T.expand(points, -1, -1), by_row)
        by_row = by_row.transpose(0, 1).reshape(height, points * columns.tiles, -1)
        both = torch.bmm(columns.into.T.expand(height, -1, -1), by_row)
        return both.view(height, width, batch, of_spectrum.shape[-1])


@dataclass(frozen=True)
class Spectrum:
    """Samples or weights in the transform domain, and where their gradient is summed.

    Attributes:
        value: of samples [frequency, tile and batch, C]; of weights [frequency, C_in, C_out].
        gradient: of ``value``, as far as the backward pass has come.

    """

    value: Tensor
    gradient: _Sum

    @staticmethod
    def of_field(x: Tensor, transform: Transform) -> Spectrum:
        """Of samples [row, column, batch, C] in the order of ``Axis``."""
        return _spectrum(_FieldToSpectrum, x, transform)

    @staticmethod
    def of_weight(weight: Tensor, transform: Transform) -> Spectrum:
        """Of the weights of a convolution (C_out, C_in, k, k)."""
        return _spectrum(_WeightToSpectrum, weight, transform)


class Term(NamedTuple):
    """One convolution of a sum of convolutions."""

    samples: Spectrum
    weights: Spectrum


def product(term: Term) -> Tensor:
    """A term by itself, for sums that share it: [frequency, tile and batch, C_out]."""
    made: Tensor = _Product.apply(  # type: ignore[no-untyped-call]
        term.samples.value, term.weights.value, term.samples.gradient, term.weights.gradient
    )
    return made


def field_of_sum(
    terms: Sequence[Term], bias: Tensor, transform: Transform, *, shared: Sequence[Tensor] = ()
) -> Tensor:
    """The sum of convolutions with zeros around, and of ``bias`` (C_out,).

    ``shared`` are ``product``s. Returns [row, column, batch, C_out] in the order of ``Axis``;
    pixels past the end of the field hold something finite.
    """
    values = [spectrum.value for term in terms for spectrum in term]
    sums = tuple(spectrum.gradient for term in terms for spectrum in term)
    field: Tensor = _SumToField.apply(  # type: ignore[no-untyped-call]
        transform, sums, bias, len(shared), *shared, *values
    )
    return field


@dataclass
class _Sum:
    """A gradient that is summed beside autograd, which gets None from those who add to it.

    Autograd would make a tensor for every one that adds, and add it to what there is: for the
    weights, at every step, that takes longer than the products.
    """

    total: Tensor | None = None

    def add(self, left: Tensor, right: Tensor) -> None:
        """Add the products left @ right of all frequencies."""
        if self.total is None:
            self.total = torch.bmm(left, right)
        else:
            self.total.baddbmm_(left, right)

    def take(self) -> Tensor | None:
        """The sum, None where nothing was added; begins anew."""
        total, self.total = self.total, None
        return total


class _ToSpectrum(torch.autograd.Function):
    """The way into the transform domain; ``forward`` says by ``ctx.back`` how a gradient leaves."""

    @staticmethod
    def backward(ctx: Any, *of_spectrum: Tensor) -> tuple[Tensor | None, None, None]:
        del of_spectrum  # None: see _Sum
        gradient = ctx.gradient.take()
        return None if gradient is None else ctx.back(gradient), None, None


class _FieldToSpectrum(_ToSpectrum):
    @staticmethod
    def forward(ctx: Any, x: Tensor, transform: Transform, gradient: _Sum) -> Tensor:
        ctx.set_materialize_grads(False)
        ctx.gradient = gradient
        ctx.back = partial(transform.gradient_of_field, batch=x.shape[2])
        return transform.spectrum(x)


class _WeightToSpectrum(_ToSpectrum):
    @staticmethod
    def forward(ctx: Any, weight: Tensor, transform: Transform, gradient: _Sum) -> Tensor:
        ctx.set_materialize_grads(False)
        ctx.gradient = gradient
        ctx.back = partial(_gradient_of_weight, of_kernel=transform.of_kernel, shape=weight.shape)
        by_input = weight.transpose(0, 1).flatten(2)
        spread = transform.of_kernel @ by_input.flatten(0, 1).T
        return spread.view(-1, *by_input.shape[:2])


def _gradient_of_weight(of_spectrum: Tensor, *, of_kernel: Tensor, shape: Sequence[int]) -> Tensor:
    outputs, inputs, *kernel = shape
    by_input = (of_spectrum.flatten(1).T @ of_kernel).view(inputs, outputs, *kernel)
    return by_input.transpose(0, 1)


def _spectrum(way: type[_ToSpectrum], given: Tensor, transform: Transform) -> Spectrum:
    gradient = _Sum()
    value: Tensor = way.apply(given, transform, gradient)  # type: ignore[no-untyped-call]
    return Spectrum(value, gradient)


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, samples: Tensor, weights: Tensor, of_samples: _Sum, of_weights: _Sum
    ) -> Tensor:
        ctx.save_for_backward(samples, weights)
        ctx.sums = (of_samples, of_weights)
        return torch.bmm(samples, weights)

    @staticmethod
    def backward(ctx: Any, *of_product: Tensor) -> tuple[None, None, None, None]:
        _add_gradients(of_product[0], ctx.saved_tensors, ctx.sums, ctx.needs_input_grad)
        return None, None, None, None


class _SumToField(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        transform: Transform,
        sums: tuple[_Sum, ...],
        bias: Tensor,
        shared: int,
        *values: Tensor,
    ) -> Tensor:
        ctx.transform, ctx.sums, ctx.shared = transform, sums, shared
        ctx.save_for_backward(*values[shared:])
        total: Tensor | None = None
        for product in values[:shared]:
            total = (
                product.clone(memory_format=torch.contiguous_format)
                if total is None
                else total.add_(product)
            )
        for samples, weights in _pairs(values[shared:]):
            if total is None:
                total = torch.bmm(samples, weights)
            else:
                total.baddbmm_(samples, weights)
        assert total is not None  # of at least one term
        total[transform.constant] += bias
        return transform.field(total)

    @staticmethod
    def backward(ctx: Any, *of_field: Tensor) -> tuple[Tensor | None, ...]:
        of_products = ctx.transform.gradient_of_spectrum(of_field[0])
        of_bias = of_products[ctx.transform.constant].sum(dim=0)
        needed = ctx.needs_input_grad[4 + ctx.shared :]
        _add_gradients(of_products, ctx.saved_tensors, ctx.sums, needed)
        of_shared = (of_products,) * ctx.shared
        return None, None, of_bias, None, *of_shared, *[None] * len(ctx.sums)


def _add_gradients(
    of_products: Tensor, values: Sequence[Tensor], sums: Sequence[_Sum], needed: Sequence[bool]
) -> None:
    """What ``of_products`` says about the samples and weights that were multiplied, into sums."""
    for index, (samples, weights) in enumerate(_pairs(values)):
        if needed[2 * index]:
            sums[2 * index].add(of_products, weights.transpose(1, 2))
        if needed[2 * index + 1]:
            sums[2 * index + 1].add(samples.transpose(1, 2), of_products)


def _pairs(values: Sequence[Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
    return zip(values[::2], values[1::2], strict=True)


def _within(axis: Axis, length: int) -> Tensor:
    """1 for the first ``length`` samples in the order of the axis, 0 for others."""
    samples = torch.arange(axis.length).view(axis.tiles, axis.tile).T.flatten()
    return (samples < length).double()


def _outwards(x: Tensor, rows: Tensor, columns: Tensor, *, points: int) -> Tensor:
    height, _, batch, channels = x.shape
    by_column = torch.bmm(columns.expand(height, -1, -1), x.reshape(*x.shape[:2], -1))
    by_column = by_column.view(height, points, -1).transpose(0, 1)
    both = torch.bmm(rows.expand(points, -1, -1), by_column)
    tiles = (rows.shape[0] // points) * (columns.shape[0] // points)
    return both.view(points**2, tiles * batch, channels)


def _matrices(kernel: int) -> tuple[Tensor, Tensor, Tensor]:
    """Of a kernel (points, k), of samples (points, points), and back (tile, points), in fp64.

    y = back @ ((of_kernel @ w) * (of_samples @ x)) is the valid correlation of x and w: the
    transpose of the product of two polynomials by their values at the points.
    """
    tile, points = _TILES[kernel]
    count = tile + kernel - 1
    of_samples = torch.linalg.inv(_powers(points, count)).T
    return _powers(points, kernel), of_samples, _powers(points, tile).T


def _powers(points: Sequence[Fraction | int], count: int) -> Tensor:
    """Powers 0 to count - 1 of each point, and of infinity the highest alone."""
    rows = [[float(point**power) for power in range(count)] for point in points]
    rows.append([0.0] * (count - 1) + [1.0])
    return torch.tensor(rows, dtype=torch.float64)
