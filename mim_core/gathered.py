"""Convolutions used at every step of a sequence, whose weight gradients are gathered over steps.

Backpropagation through time asks every step for its part of the gradient of the same weights, of
maps that are small in the forecasts that MIM was made for. Parts together are one convolution over
steps x batch, which a processor does twice as fast. Weights take the numbers of autocast once, and
their gradients are added in fp32. Maps lie channels-last, as the kernels have them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

# Pixels that are enough for one convolution, as measured: more of them are no faster, and what is
# kept until then takes memory.
ENOUGH_PIXELS = 4096
# Channels in and out from which the gradient of a kernel in bf16 is quicker as a product of
# matrices, as measured: with fewer, laying out its rows costs more than it saves.
PRODUCT_CHANNELS = (64, 128)


class StepConvolution(nn.Conv2d):
    """A convolution that may gather its uses: see ``gathered``. By itself it is ``nn.Conv2d``."""

    _shared: tuple[Tensor, Tensor, _Uses] | None = None  # weight and bias of all uses

    def forward(self, x: Tensor) -> Tensor:
        """As ``nn.Conv2d``."""
        if self._shared is None:
            return super().forward(x)
        weight, bias, uses = self._shared
        x = x.to(uses.dtype).contiguous(memory_format=torch.channels_last)
        used: Tensor = _Use.apply(x, weight, bias, uses)  # type: ignore[no-untyped-call]
        return used

    @contextmanager
    def gathering(self, room: Room | None = None) -> Iterator[None]:
        """Uses meanwhile count as one in the backward pass, which works in ``room``."""
        uses = _Uses.of(self, room or Room())
        weight, bias = _Weights.apply(self.weight, self.bias, uses)  # type: ignore[no-untyped-call]
        # Not kept in ``uses``, which the graph of these holds: nothing would free such a ring.
        self._shared = weight, bias, uses
        try:
            yield
        finally:
            self._shared = None


@contextmanager
def gathered(network: nn.Module) -> Iterator[None]:
    """Meanwhile every ``StepConvolution`` of ``network`` gathers its uses, where gradients are on.

    Gradients are those of the plain convolutions, but for rounding. They can be taken once.
    """
    convolutions = [one for one in network.modules() if isinstance(one, StepConvolution)]
    room = Room()
    with ExitStack() as stack:
        for convolution in convolutions if torch.is_grad_enabled() else ():
            stack.enter_context(convolution.gathering(room))
        yield


class Room:
    """Memory that one product after another lays its matrix out in.

    It is still in the processor's cache then, which new memory, as measured, is not: laying out
    takes a quarter of the time.
    """

    def __init__(self) -> None:
        self._cells: Tensor | None = None

    def laid_out(self, values: Tensor) -> Tensor:
        """``values`` in the order of their dimensions; good until the next ones are laid out."""
        cells = self._cells
        if cells is None or cells.dtype != values.dtype or cells.numel() < values.numel():
            self._cells = cells = values.new_empty(values.numel())
        return cells[: values.numel()].view(values.shape).copy_(values)


@dataclass
class _Uses:
    """What one convolution was used on in a sequence."""

    dtype: torch.dtype
    padding: list[int]
    room: Room
    # Of each use, as the backward pass comes by: its input, and the gradient of its output.
    waiting: list[tuple[Tensor, Tensor]] = field(default_factory=list)
    # Gradients of weight and bias, of those that wait no longer.
    total: tuple[Tensor, Tensor] | None = None

    @classmethod
    def of(cls, convolution: StepConvolution, room: Room) -> _Uses:
        """None yet, with the numbers that autocast asks for."""
        weight, device = convolution.weight, convolution.weight.device.type
        is_mixed = torch.is_autocast_enabled(device)
        dtype = torch.get_autocast_dtype(device) if is_mixed else weight.dtype
        assert not isinstance(convolution.padding, str)  # cells give numbers
        return cls(dtype, list(convolution.padding), room)

    def add(self, x: Tensor, gradient: Tensor, weight: Tensor) -> None:
        """Note a use; with the ones that wait they may be enough for a convolution."""
        self.waiting.append((x, gradient))
        if len(self.waiting) * x.numel() // x.shape[1] >= ENOUGH_PIXELS:
            self.work_off(weight)

    def work_off(self, weight: Tensor) -> None:
        """Add what waits to ``total``."""
        if not self.waiting:
            return
        x, gradient = (_together(maps) for maps in zip(*self.waiting, strict=True))
        self.waiting.clear()
        both = self._of_weight_and_bias(x, gradient, weight)
        if self.total is None:
            self.total = _wide(both[0]), _wide(both[1])
        else:
            for whole, part in zip(self.total, both, strict=True):
                whole.add_(part)

    def _of_weight_and_bias(
        self, x: Tensor, gradient: Tensor, weight: Tensor
    ) -> tuple[Tensor, Tensor]:
        is_bf16_here = gradient.dtype == torch.bfloat16 and gradient.device.type == "cpu"
        least_in, least_out = PRODUCT_CHANNELS
        if not is_bf16_here or x.shape[1] < least_in or gradient.shape[1] < least_out:
            return self.backward(gradient, x, weight, (False, True, True))[1:]
        rows, columns = weight.shape[-2:]
        of_weight = kernel_gradient(
            gradient, x, kernel=(rows, columns), padding=self.padding, room=self.room
        )
        # A sum by a product: adding up in fp32 is what it does, and without a copy in fp32.
        pixels = gradient.permute(0, 2, 3, 1).flatten(0, 2)
        return of_weight, (pixels.new_ones(1, len(pixels)) @ pixels)[0]

    def backward(
        self, gradient: Tensor, x: Tensor, weight: Tensor, wanted: tuple[bool, bool, bool]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Gradients of input, weight and bias, of those that are ``wanted``."""
        gradients: tuple[Tensor, Tensor, Tensor] = torch.ops.aten.convolution_backward(
            gradient,
            x,
            weight,
            bias_sizes=[len(weight)],
            stride=[1, 1],
            padding=self.padding,
            dilation=[1, 1],
            transposed=False,
            output_padding=[0, 0],
            groups=1,
            output_mask=wanted,
        )
        return gradients


class _Weights(torch.autograd.Function):
    """Weights as the steps use them; their gradient is that of all uses together."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, bias: Tensor, uses: _Uses) -> tuple[Tensor, Tensor]:
        ctx.set_materialize_grads(False)
        ctx.uses, ctx.dtype = uses, weight.dtype
        used = weight.detach().to(uses.dtype, memory_format=torch.channels_last, copy=True)
        ctx.save_for_backward(used)
        return used, bias.detach().to(uses.dtype, copy=True)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *_: Tensor | None) -> tuple[Tensor | None, ...]:
        uses: _Uses = ctx.uses
        uses.work_off(*ctx.saved_tensors)
        total, uses.total = uses.total, None
        if total is None:
            return None, None, None
        # Flat in between: a kernel of one pixel may have strides that others stumble over.
        of_weight = total[0].to(ctx.dtype).flatten().view(total[0].shape)
        return of_weight, total[1].to(ctx.dtype), None


class _Use(torch.autograd.Function):
    """One use: its part of the gradient of the weights is added to those of the others."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, uses: _Uses) -> Tensor:
        ctx.uses = uses
        ctx.save_for_backward(x, weight)
        return torch.conv2d(x, weight, bias, padding=uses.padding)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        uses: _Uses = ctx.uses
        x, weight = ctx.saved_tensors
        gradient = gradient.contiguous(memory_format=torch.channels_last)
        uses.add(x, gradient, weight)
        of_input: Tensor | None = None
        if ctx.needs_input_grad[0]:
            of_input, _, _ = uses.backward(gradient, x, weight, (True, False, False))
        return of_input, None, None, None


def kernel_gradient(
    gradient: Tensor,
    x: Tensor,
    *,
    kernel: tuple[int, int],
    padding: Sequence[int],
    room: Room,
) -> Tensor:
    """The gradient of a convolution's weight (C_out, C_in, rows, columns) as one matrix product.

    ``gradient`` (B, C_out, H, W) is that of its output, ``x`` (B, C_in, H', W') its input. Of the
    latter what each pixel of the output looks at is laid out as a row.
    """
    (above, beside), (rows, columns) = padding, kernel
    x = nn.functional.pad(x, (beside, beside, above, above)).permute(0, 2, 3, 1).contiguous()
    windows = x.unfold(1, rows, 1).unfold(2, columns, 1)  # (B, H, W, C_in, rows, columns)
    looked_at = room.laid_out(windows.permute(0, 1, 2, 4, 5, 3)).flatten(0, 2).flatten(1)
    product = gradient.permute(0, 2, 3, 1).reshape(len(looked_at), -1).T @ looked_at
    return product.view(-1, rows, columns, x.shape[-1]).permute(0, 3, 1, 2)


def _together(maps: tuple[Tensor, ...]) -> Tensor:
    """All maps as one batch; without a copy where it is one already."""
    return maps[0] if len(maps) == 1 else torch.cat(maps)


def _wide(gradient: Tensor) -> Tensor:
    """What others are added to: fp32, or what is wider."""
    return gradient.to(torch.promote_types(gradient.dtype, torch.float32))
