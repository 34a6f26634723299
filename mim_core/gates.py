"""What cells are made of: what an input says to gates, the gates, a memory, its reduction.

``None`` as an input or a memory stands for zeros; the convolution of zeros is its bias and is not
computed.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mim_core.gathered import StepConvolution

FORGET_BIAS = 1.0


class Gates(nn.Module):
    """What one input says to ``count`` gates: convolution, then normalisation where configured.

    (B, C_in, H, W) -> the maps of all gates, (B, count * C, H, W), for ``chunk`` to part. For
    ``None`` (zeros) the maps are the same at every pixel and come as (1, count * C, 1, 1).
    """

    def __init__(
        self, in_channels: int, hidden: int, count: int, *, kernel_size: int, norm: bool
    ) -> None:
        super().__init__()
        self.count = count
        out_channels = hidden * count
        self.convolution = StepConvolution(
            in_channels, out_channels, kernel_size, padding=kernel_size // 2
        )
        self.norm = nn.GroupNorm(1, out_channels, eps=1e-5) if norm else None
        nn.init.xavier_uniform_(self.convolution.weight)
        nn.init.zeros_(self.bias)

    @property
    def bias(self) -> Tensor:
        """Bias of the convolution (count * C,)."""
        bias = self.convolution.bias
        assert bias is not None  # built with one, three lines above
        return bias

    def forward(self, x: Tensor | None) -> Tensor:
        summed: Tensor
        summed = self.bias.view(1, -1, 1, 1) if x is None else self.convolution(x)
        return summed if self.norm is None else self.norm(summed)


class Gate(nn.Module):
    """A sigmoid that has a name, so that ``mim_core.diagnostics`` can listen to it."""

    def forward(self, summed: Tensor) -> Tensor:
        return torch.sigmoid(summed)


class Memory(nn.Module):
    """New memory: f * memory + i * g, gates given before their nonlinearity; None is zeros."""

    def __init__(self) -> None:
        super().__init__()
        self.input_gate = Gate()
        self.forget_gate = Gate()

    def forward(self, i: Tensor, g: Tensor, f: Tensor, memory: Tensor | None) -> Tensor:
        written: Tensor = self.input_gate(i) * torch.tanh(g)
        if memory is None:
            return written
        kept: Tensor = self.forget_gate(f + FORGET_BIAS) * memory
        return kept + written


class Reduce(nn.Module):
    """1x1 convolution of cell state and spatiotemporal memory: 2 x (B, C, H, W) -> (B, C, H, W)."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.convolution = StepConvolution(2 * hidden, hidden, 1)
        nn.init.xavier_uniform_(self.convolution.weight)
        assert self.convolution.bias is not None
        nn.init.zeros_(self.convolution.bias)

    def forward(self, c: Tensor, m: Tensor) -> Tensor:
        reduced: Tensor = self.convolution(torch.cat([c, m], dim=1))
        return reduced
