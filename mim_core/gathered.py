"""Convolutions used at every step of a sequence, the gradient of whose weights is computed once.

Backpropagation through time asks every step for its part of the gradient of the same weights, of
maps that are small in the forecasts that MIM was made for. All parts at once are one convolution
over steps x batch, which a processor does several times as fast, with one rounding and no sums.
Maps lie channels-last, as its kernels have them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

# Pixels of a batch up to which it pays, as measured: beyond, a step fills the processor by itself
# and what is kept until the last one is much.
MOST_PIXELS = 8192


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
    def gathering(self) -> Iterator[None]:
        """Uses meanwhile count as one in the backward pass."""
        uses = _Uses.of(self)
        weight, bias = _Weights.apply(self.weight, self.bias, uses)  # type: ignore[no-untyped-call]
        # Not kept in ``uses``, which the graph of these holds: nothing would free such a ring.
        self._shared = weight, bias, uses
        try:
            yield
        finally:
            self._shared = None


@contextmanager
def gathered(network: nn.Module) -> Iterator[None]:
    """Meanwhile every ``StepConvolution`` of ``network`` gathers its uses.

    Gradients are those of the plain convolutions, but for rounding. They can be taken once.
    """
    with ExitStack() as stack:
        for module in network.modules():
            if isinstance(module, StepConvolution):
                stack.enter_context(module.gathering())
        yield


def pays(frames: Tensor) -> bool:
    """Whether to gather for a batch of patched ``frames`` (B, T, C, H, W)."""
    pixels = frames.shape[0] * frames.shape[-2] * frames.shape[-1]
    return torch.is_grad_enabled() and pixels <= MOST_PIXELS


@dataclass(frozen=True)
class _Uses:
    """What one convolution was used on in a sequence."""

    dtype: torch.dtype
    padding: list[int]
    # Of each use, as the backward pass comes by: its input, and the gradient of its output.
    gradients: list[tuple[Tensor, Tensor]] = field(default_factory=list)

    @classmethod
    def of(cls, convolution: StepConvolution) -> _Uses:
        """None yet, with the numbers that autocast asks for."""
        weight, device = convolution.weight, convolution.weight.device.type
        is_mixed = torch.is_autocast_enabled(device)
        dtype = torch.get_autocast_dtype(device) if is_mixed else weight.dtype
        assert not isinstance(convolution.padding, str)  # cells give numbers
        return cls(dtype, list(convolution.padding))

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
        if not uses.gradients:
            return None, None, None
        (weight,) = ctx.saved_tensors
        inputs, outputs = (torch.cat(parts) for parts in zip(*uses.gradients, strict=True))
        uses.gradients.clear()
        of_both = uses.backward(outputs, inputs, weight, (False, True, True))[1:]
        return *(one.to(ctx.dtype) for one in of_both), None


class _Use(torch.autograd.Function):
    """One use: its part of the gradient of the weights is left to ``_Weights``."""

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
        uses.gradients.append((x, gradient))
        of_input: Tensor | None = None
        if ctx.needs_input_grad[0]:
            of_input, _, _ = uses.backward(gradient, x, weight, (True, False, False))
        return of_input, None, None, None
