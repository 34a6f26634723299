"""The MIM network: one frame-fed cell below, MIM blocks above, MIM-N cells between them."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor, nn

from mim_core import cells
from mim_core.cells import BlockState, State
from mim_core.config import MIMConfig
from mim_core.output import output_layer
from mim_core.recurrent import Recurrent

_FIRST_LAYERS = {
    "st_lstm": cells.STLSTM,
    "predrnn_st_lstm": cells.PredRNNSTLSTM,
    "causal_lstm": cells.CausalLSTM,
}


class NetworkState(NamedTuple):
    """All that one step hands to the next: maps (B, C, H, W), and nothing anywhere else."""

    first: State
    blocks: tuple[BlockState, ...]  # one a MIM block, bottom to top
    differences: tuple[State | None, ...]  # of MIM-N below each block; None before the second step
    memory: Tensor  # spatiotemporal memory, from the top back to the bottom


class MIM(Recurrent):
    """MIM (Wang et al., CVPR 2019) as ``config`` says; see ``forward`` and ``forecast``."""

    def __init__(self, config: MIMConfig) -> None:
        super().__init__(config)
        block = cells.CausalMIMBlock if config.first_layer == "causal_lstm" else cells.MIMBlock
        above = range(1, len(config.num_hidden))
        self.first = _FIRST_LAYERS[config.first_layer](config)
        self.differences = nn.ModuleList(cells.PeepholeLSTM(config) for _ in above)
        self.blocks = nn.ModuleList(block(config) for _ in above)
        for name, weight in self.differences.named_parameters():
            if name.endswith("convolution.weight"):
                nn.init.uniform_(weight, -0.001, 0.001)  # the authors' MIM-N
        self.output = output_layer(config)

    def step(self, frame: Tensor, state: NetworkState | None) -> tuple[Tensor, NetworkState]:
        """The prediction of the frame after ``frame``, both patched, and the state after it.

        ``state`` is None before the first frame. Shapes: (B, C, H, W) -> (B, C_out, H, W).
        """
        top, new = self.advance(frame, state)
        return self._predict(top, frame), new

    def advance(self, frame: Tensor, state: NetworkState | None) -> tuple[Tensor, NetworkState]:
        """As ``step``, with the hidden state on top instead of a prediction: half-way to it."""
        first, memory = self.first(
            frame,
            None if state is None else state.first,
            None if state is None else state.memory,
        )
        below = first
        blocks: list[BlockState] = []
        differences: list[State | None] = []
        for index, block in enumerate(self.blocks):
            difference = self._difference(index, below, differences, state)
            below, memory = block(
                below.hidden,
                None if difference is None else difference.hidden,
                None if state is None else state.blocks[index],
                memory,
            )
            differences.append(difference)
            blocks.append(below)
        return below.hidden, NetworkState(first, tuple(blocks), tuple(differences), memory)

    def _difference(
        self,
        index: int,
        below: State | BlockState,
        differences: list[State | None],
        state: NetworkState | None,
    ) -> State | None:
        """MIM-N's new state below block ``index``; None at the first step, which has no past."""
        if state is None:
            return None
        under = differences[-1] if index > 0 else None
        if under is not None and self.config.difference_input == "released":
            change = under.hidden
        else:
            before = state.first if index == 0 else state.blocks[index - 1]
            change = below.hidden - before.hidden
        hidden, cell = state.differences[index] or (None, None)
        new: State = self.differences[index](change, hidden, cell)
        return new
