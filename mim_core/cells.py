"""The recurrent cells of MIM. State comes in and goes out; no cell keeps any.

Equations: Wang et al., CVPR 2019 (arXiv 1811.07490) for MIM; PredRNN (NeurIPS 2017) for ST-LSTM;
PredRNN++ (arXiv 1804.06300) for Causal LSTM. Letters: x input, h hidden state, c cell state,
m spatiotemporal memory, d features of the difference, s the memory of MIM-S; gates i, g, f, o.
``None`` as a state stands for zeros; the convolution of zeros is its bias and is not computed.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from mim_core.config import MIMConfig
from mim_core.gates import FORGET_BIAS, Gate, Gates, Memory, Reduce
from mim_core.update import Cell


class State(NamedTuple):
    """Hidden state and cell state of a cell, both (B, C, H, W)."""

    hidden: Tensor
    cell: Tensor


class BlockState(NamedTuple):
    """State of a MIM block, all (B, C, H, W); ``difference_memory`` is the memory of MIM-S."""

    hidden: Tensor
    cell: Tensor
    difference_memory: Tensor


class PeepholeLSTM(Cell):
    """Convolutional LSTM with peepholes: both MIM-N (eq. 2) and MIM-S (eq. 3) of the paper.

    MIM-N: x is the difference of the hidden states below, ``hidden`` and ``cell`` its own.
    MIM-S: x is MIM-N's output, ``hidden`` the cell state of the MIM block, ``cell`` its own memory.
    By itself it is the cell of ConvLSTM (Shi et al., NIPS 2015).
    """

    def __init__(self, config: MIMConfig, *, in_channels: int | None = None) -> None:
        super().__init__()
        hidden = config.num_hidden[0]
        self.input_gates = _gates(config, 4, in_channels=in_channels)
        self.hidden_gates = _gates(config, 4)
        self.input_gate, self.forget_gate, self.output_gate = Gate(), Gate(), Gate()
        pixel = config.peepholes == "pixel" and config.frame_size is not None
        grid = config.frame_size if pixel and config.frame_size is not None else (1, 1)
        self.input_forget_peepholes = nn.Parameter(torch.zeros(2 * hidden, *grid))
        self.output_peepholes = nn.Parameter(torch.zeros(hidden, *grid))
        if pixel:
            nn.init.xavier_uniform_(self.input_forget_peepholes)
            nn.init.xavier_uniform_(self.output_peepholes)
        # Beside maps in bf16 torch.compile (2.13) reads them wrongly: everything becomes NaN.
        self.is_compilable = not pixel

    def forward(self, x: Tensor | None, hidden: Tensor | None, cell: Tensor | None) -> State:
        new, new_cell = self._updated(self.input_gates(x), self.hidden_gates(hidden), cell)
        return State(hidden=new, cell=new_cell)

    def update(self, of_x: Tensor, of_h: Tensor, cell: Tensor | None) -> tuple[Tensor, Tensor]:
        """The new hidden state and cell state, of the gates' maps of input and hidden state."""
        i_x, g_x, f_x, o_x = of_x.chunk(4, dim=1)
        i_h, g_h, f_h, o_h = of_h.chunk(4, dim=1)
        i, f, g = i_x + i_h, f_x + f_h, torch.tanh(g_x + g_h)
        if cell is None:
            new_cell = self.input_gate(i) * g
        else:
            i_c, f_c = self.input_forget_peepholes.chunk(2, dim=0)  # (C, H, W) or (C, 1, 1)
            i = self.input_gate(i + cell * i_c)
            f = self.forget_gate(f + cell * f_c + FORGET_BIAS)
            new_cell = f * cell + i * g
        o = self.output_gate(o_x + o_h + new_cell * self.output_peepholes)
        return o * torch.tanh(new_cell), new_cell


class STLSTM(Cell):
    """ST-LSTM as the MIM authors run it: x speaks to the gates of c and of m with one voice."""

    def __init__(self, config: MIMConfig) -> None:
        super().__init__()
        self.input_gates = _gates(config, 4, in_channels=config.patched_channels)
        self.hidden_gates = _gates(config, 4)
        self.memory_gates = _gates(config, 4)
        self.reduce = Reduce(config.num_hidden[0])
        self.cell_memory, self.memory, self.output_gate = Memory(), Memory(), Gate()

    def forward(self, x: Tensor, state: State | None, m: Tensor | None) -> tuple[State, Tensor]:
        hidden, cell = (None, None) if state is None else state
        c, m, o = self._updated(
            self.input_gates(x), self.hidden_gates(hidden), self.memory_gates(m), cell, m
        )
        return State(hidden=o * torch.tanh(self.reduce(c, m)), cell=c), m

    def update(
        self, of_x: Tensor, of_h: Tensor, of_m: Tensor, c: Tensor | None, m: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The new cell state and memory, and the output gate."""
        i_x, g_x, f_x, o_x = of_x.chunk(4, dim=1)
        i_h, g_h, f_h, o_h = of_h.chunk(4, dim=1)
        i_m, g_m, f_m, o_m = of_m.chunk(4, dim=1)
        c = self.cell_memory(i_x + i_h, g_x + g_h, f_x + f_h, c)
        m = self.memory(i_x + i_m, g_x + g_m, f_x + f_m, m)
        return c, m, self.output_gate(o_x + o_h + o_m)


class PredRNNSTLSTM(nn.Module):
    """ST-LSTM of the PredRNN paper: x has its own gates for m, and o sees the new c and m."""

    def __init__(self, config: MIMConfig) -> None:
        super().__init__()
        hidden = config.num_hidden[0]
        self.input_gates = _gates(config, 7, in_channels=config.patched_channels)
        self.hidden_gates = _gates(config, 4)
        self.memory_gates = _gates(config, 3)
        self.output_gates = _gates(config, 1, in_channels=2 * hidden)
        self.reduce = Reduce(hidden)
        self.cell_memory, self.memory, self.output_gate = Memory(), Memory(), Gate()

    def forward(self, x: Tensor, state: State | None, m: Tensor | None) -> tuple[State, Tensor]:
        i_x, g_x, f_x, i_x2, g_x2, f_x2, o_x = self.input_gates(x).chunk(7, dim=1)
        of_h = self.hidden_gates(None if state is None else state.hidden)
        i_h, g_h, f_h, o_h = of_h.chunk(4, dim=1)
        i_m, g_m, f_m = self.memory_gates(m).chunk(3, dim=1)
        c = self.cell_memory(i_x + i_h, g_x + g_h, f_x + f_h, None if state is None else state.cell)
        m = self.memory(i_x2 + i_m, g_x2 + g_m, f_x2 + f_m, m)
        (o_new,) = self.output_gates(torch.cat([c, m], dim=1)).chunk(1, dim=1)
        o = self.output_gate(o_x + o_h + o_new)
        return State(hidden=o * torch.tanh(self.reduce(c, m)), cell=c), m


class _Cascade(nn.Module):
    """Second half of Causal LSTM: m follows from the new c, and o from both (PredRNN++, eq. 1)."""

    def __init__(self, config: MIMConfig) -> None:
        super().__init__()
        self.cell_gates = _gates(config, 4)
        self.memory_gates = _gates(config, 4)  # i, g, f, and the memory itself (W3)
        self.output_gates = _gates(config, 1)
        self.reduce = Reduce(config.num_hidden[0])
        self.memory = Memory()

    def forward(
        self, x_gates: tuple[Tensor, ...], c: Tensor, m: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        i_x, g_x, f_x, o_x = x_gates
        i_c, g_c, f_c, o_c = self.cell_gates(c).chunk(4, dim=1)
        i_m, g_m, f_m, kept = self.memory_gates(m).chunk(4, dim=1)
        m = self.memory(i_x + i_c + i_m, g_x + g_c + g_m, f_x + f_c + f_m, torch.tanh(kept))
        (o_m,) = self.output_gates(m).chunk(1, dim=1)
        o = torch.tanh(o_x + o_c + o_m)
        return o * torch.tanh(self.reduce(c, m)), m


class CausalLSTM(nn.Module):
    """Causal LSTM (PredRNN++, eq. 1): the first layer of MIM*."""

    def __init__(self, config: MIMConfig) -> None:
        super().__init__()
        self.input_gates = _gates(config, 7, in_channels=config.patched_channels)
        self.hidden_gates = _gates(config, 3)
        self.cell_gates = _gates(config, 3)
        self.cascade = _Cascade(config)
        self.cell_memory = Memory()

    def forward(self, x: Tensor, state: State | None, m: Tensor | None) -> tuple[State, Tensor]:
        hidden, cell = (None, None) if state is None else state
        i_x, g_x, f_x, *x_gates = self.input_gates(x).chunk(7, dim=1)
        i_h, g_h, f_h = self.hidden_gates(hidden).chunk(3, dim=1)
        i_c, g_c, f_c = self.cell_gates(cell).chunk(3, dim=1)
        c = self.cell_memory(i_x + i_h + i_c, g_x + g_h + g_c, f_x + f_h + f_c, cell)
        hidden, m = self.cascade(tuple(x_gates), c, m)
        return State(hidden=hidden, cell=c), m


class MIMBlock(Cell):
    """ST-LSTM whose forget gate of c is MIM-S (Wang et al. 2019, eq. 4)."""

    def __init__(self, config: MIMConfig) -> None:
        super().__init__()
        self.input_gates = _gates(config, 4)
        self.hidden_gates = _gates(config, 3)
        self.memory_gates = _gates(config, 4)
        self.stationary = PeepholeLSTM(config)
        self.reduce = Reduce(config.num_hidden[0])
        self.input_gate, self.memory, self.output_gate = Gate(), Memory(), Gate()

    def forward(
        self, x: Tensor, d: Tensor | None, state: BlockState | None, m: Tensor
    ) -> tuple[BlockState, Tensor]:
        of_h = self.hidden_gates(None if state is None else state.hidden)
        kept, s = _stationary(self.stationary, d, state)
        c, m, o = self._updated(self.input_gates(x), of_h, self.memory_gates(m), kept, m)
        hidden = o * torch.tanh(self.reduce(c, m))
        return BlockState(hidden=hidden, cell=c, difference_memory=s.expand_as(c)), m

    def update(
        self, of_x: Tensor, of_h: Tensor, of_m: Tensor, kept: Tensor, m: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The new cell state, of what MIM-S has kept of it, and memory, and the output gate."""
        i_x, g_x, f_x, o_x = of_x.chunk(4, dim=1)
        i_h, g_h, o_h = of_h.chunk(3, dim=1)
        i_m, g_m, f_m, o_m = of_m.chunk(4, dim=1)
        c = kept + self.input_gate(i_x + i_h) * torch.tanh(g_x + g_h)
        m = self.memory(i_x + i_m, g_x + g_m, f_x + f_m, m)
        return c, m, self.output_gate(o_x + o_h + o_m)


class CausalMIMBlock(nn.Module):
    """MIM block of MIM*: MIM-S for the forget gate of c, then the cascade of Causal LSTM."""

    def __init__(self, config: MIMConfig) -> None:
        super().__init__()
        self.input_gates = _gates(config, 6)
        self.hidden_gates = _gates(config, 2)
        self.cell_gates = _gates(config, 2)
        self.stationary = PeepholeLSTM(config)
        self.cascade = _Cascade(config)
        self.input_gate = Gate()

    def forward(
        self, x: Tensor, d: Tensor | None, state: BlockState | None, m: Tensor
    ) -> tuple[BlockState, Tensor]:
        i_x, g_x, *x_gates = self.input_gates(x).chunk(6, dim=1)
        i_h, g_h = self.hidden_gates(None if state is None else state.hidden).chunk(2, dim=1)
        i_c, g_c = self.cell_gates(None if state is None else state.cell).chunk(2, dim=1)
        kept, s = _stationary(self.stationary, d, state)
        c = kept + self.input_gate(i_x + i_h + i_c) * torch.tanh(g_x + g_h + g_c)
        hidden, m = self.cascade(tuple(x_gates), c, m)
        return BlockState(hidden=hidden, cell=c, difference_memory=s.expand_as(c)), m


def _gates(config: MIMConfig, count: int, *, in_channels: int | None = None) -> Gates:
    hidden = config.num_hidden[0]
    return Gates(
        hidden if in_channels is None else in_channels,
        hidden,
        count,
        kernel_size=config.kernel_size,
        norm=config.layer_norm,
    )


def _stationary(mim_s: PeepholeLSTM, d: Tensor | None, state: BlockState | None) -> State:
    """What MIM-S keeps of the cell state, and its new memory."""
    if state is None:
        kept: State = mim_s(d, None, None)
    else:
        kept = mim_s(d, state.cell, state.difference_memory)
    return kept
