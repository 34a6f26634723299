"""OpenSTL's MIM in plain ``nn.Conv2d``, rewritten from its description: the peer of mim_speed.

Parameters bear OpenSTL's names, so ``mim_core.interop.from_openstl`` reads its state dict. Like the
peer it convolves the zeros that a sequence begins with; unlike the peer it forgets the sequence
before, and leaves out the call of MIM-N at the first step, whose result nothing uses.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


def convolution(inputs: int, outputs: int) -> nn.Sequential:
    """One of 5x5 without bias, named as OpenSTL's."""
    return nn.Sequential(nn.Conv2d(inputs, outputs, 5, padding=2, bias=False))


class SpatioTemporalLSTM(nn.Module):
    """The first layer: ST-LSTM of the PredRNN paper, its gates in order i, f, g."""

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__()
        self.hidden = hidden
        self.conv_x = convolution(inputs, 7 * hidden)
        self.conv_h = convolution(hidden, 4 * hidden)
        self.conv_m = convolution(hidden, 3 * hidden)
        self.conv_o = convolution(2 * hidden, hidden)
        self.conv_last = nn.Conv2d(2 * hidden, hidden, 1, bias=False)

    def forward(self, x: Tensor, h: Tensor, c: Tensor, m: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        ix, fx, gx, ix2, fx2, gx2, ox = torch.split(self.conv_x(x), self.hidden, dim=1)
        ih, fh, gh, oh = torch.split(self.conv_h(h), self.hidden, dim=1)
        im, fm, gm = torch.split(self.conv_m(m), self.hidden, dim=1)
        c = torch.sigmoid(fx + fh + 1) * c + torch.sigmoid(ix + ih) * torch.tanh(gx + gh)
        m = torch.sigmoid(fx2 + fm + 1) * m + torch.sigmoid(ix2 + im) * torch.tanh(gx2 + gm)
        both = torch.cat([c, m], dim=1)
        o = torch.sigmoid(ox + oh + self.conv_o(both))
        return o * torch.tanh(self.conv_last(both)), c, m


class Peephole(nn.Module):
    """What MIM-N and MIM-S share."""

    def __init__(self, hidden: int, grid: tuple[int, int]) -> None:
        super().__init__()
        self.hidden = hidden
        self.ct_weight = nn.Parameter(torch.zeros(2 * hidden, *grid))
        self.oc_weight = nn.Parameter(torch.zeros(hidden, *grid))
        self.conv_h_concat = convolution(hidden, 4 * hidden)
        self.conv_x_concat = convolution(hidden, 4 * hidden)
        self.conv_last = nn.Conv2d(2 * hidden, hidden, 1, bias=False)

    def remember(self, x: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        """Hidden state and memory after x."""
        ih, gh, fh, oh = torch.split(self.conv_h_concat(h), self.hidden, dim=1)
        ix, gx, fx, ox = torch.split(self.conv_x_concat(x), self.hidden, dim=1)
        ic, fc = (c * weight for weight in torch.split(self.ct_weight, self.hidden))
        c = torch.sigmoid(fh + fx + fc + 1) * c + torch.sigmoid(ih + ix + ic) * torch.tanh(gh + gx)
        o = torch.sigmoid(oh + ox + c * self.oc_weight)
        return o * torch.tanh(c), c


class Block(Peephole):
    """A MIM block; what it inherits is its MIM-S."""

    def __init__(self, hidden: int, grid: tuple[int, int]) -> None:
        super().__init__(hidden, grid)
        self.conv_t_cc = convolution(hidden, 3 * hidden)
        self.conv_s_cc = convolution(hidden, 4 * hidden)
        self.conv_x_cc = convolution(hidden, 4 * hidden)

    def forward(
        self, x: Tensor, d: Tensor, state: tuple[Tensor, Tensor, Tensor], m: Tensor
    ) -> tuple[tuple[Tensor, Tensor, Tensor], Tensor]:
        h, c, s = state
        it, gt, ot = torch.split(self.conv_t_cc(h), self.hidden, dim=1)
        im, gm, fm, om = torch.split(self.conv_s_cc(m), self.hidden, dim=1)
        ix, gx, fx, ox = torch.split(self.conv_x_cc(x), self.hidden, dim=1)
        m = torch.sigmoid(fx + fm + 1) * m + torch.sigmoid(ix + im) * torch.tanh(gx + gm)
        kept, s = self.remember(d, c, s)
        c = kept + torch.sigmoid(ix + it) * torch.tanh(gx + gt)
        o = torch.sigmoid(ox + ot + om)
        return (o * torch.tanh(self.conv_last(torch.cat([c, m], dim=1))), c, s), m


class OpenSTLMIM(nn.Module):
    """The network: (B, T, C, H, W) patched frames to predictions (B, total_length - 1, ...)."""

    def __init__(self, channels: int, *, hidden: int, layers: int, grid: tuple[int, int]) -> None:
        super().__init__()
        self.hidden = hidden
        above = layers - 1
        self.stlstm_layer = nn.ModuleList([SpatioTemporalLSTM(channels, hidden)])
        self.stlstm_layer.extend(Block(hidden, grid) for _ in range(above))
        self.stlstm_layer_diff = nn.ModuleList(Peephole(hidden, grid) for _ in range(above))
        self.conv_last = nn.Conv2d(hidden, channels, 1, bias=False)

    def forward(self, frames: Tensor, *, total_length: int) -> Tensor:
        zero = frames.new_zeros(frames.shape[0], self.hidden, *frames.shape[-2:])
        below, *above = self.stlstm_layer
        first, m = (zero, zero), zero
        states = [(zero, zero, zero)] * len(above)
        differences = [(zero, zero)] * len(above)
        predictions: list[Tensor] = []
        for t in range(total_length - 1):
            x = frames[:, t] if t < frames.shape[1] else predictions[-1]
            hidden, cell, m = below(x, *first, m)
            change, first = hidden - first[0], (hidden, cell)
            for index, block in enumerate(above):
                if t > 0:
                    mim_n = self.stlstm_layer_diff[index]
                    assert isinstance(mim_n, Peephole)
                    differences[index] = mim_n.remember(change, *differences[index])
                change = differences[index][0]
                states[index], m = block(hidden, change, states[index], m)
                hidden = states[index][0]
            predictions.append(self.conv_last(hidden))
        return torch.stack(predictions, dim=1)
