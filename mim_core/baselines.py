"""What MIM is held against: the last frame kept, and a ConvLSTM of the same cost."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from torch import Tensor, nn

from mim_core.cells import PeepholeLSTM, State
from mim_core.config import MIMConfig
from mim_core.model import MIM
from mim_core.output import output_layer
from mim_core.recurrent import Recurrent


class ConvLSTMState(NamedTuple):
    """What a step of ConvLSTM hands to the next: the state of each layer, bottom to top."""

    layers: tuple[State, ...]


class ConvLSTM(Recurrent):
    """ConvLSTM (Shi et al., NIPS 2015) with the sizes of ``config`` and the interface of MIM.

    ``first_layer`` and ``difference_input`` of the config say nothing here.
    """

    def __init__(self, config: MIMConfig) -> None:
        super().__init__(config)
        below = (config.patched_channels, *config.num_hidden)
        self.layers = nn.ModuleList(
            PeepholeLSTM(config, in_channels=channels) for channels in below[:-1]
        )
        self.output = output_layer(config)

    def step(self, frame: Tensor, state: ConvLSTMState | None) -> tuple[Tensor, ConvLSTMState]:
        """As ``Recurrent.step``."""
        x = frame
        layers: list[State] = []
        for index, layer in enumerate(self.layers):
            hidden, cell = (None, None) if state is None else state.layers[index]
            new: State = layer(x, hidden, cell)
            layers.append(new)
            x = new.hidden
        return self._predict(x, frame), ConvLSTMState(tuple(layers))


def multiply_adds(network: Recurrent) -> int:
    """Multiplications with an addition that a step takes for each pixel of the patched grid.

    Every convolution of these networks runs once a step at every pixel, so it is the number of
    their weights.
    """
    return sum(
        module.weight.numel() for module in network.modules() if isinstance(module, nn.Conv2d)
    )


def conv_lstm_like(config: MIMConfig) -> ConvLSTM:
    """The ConvLSTM, as deep as the MIM of ``config``, whose width makes its cost the nearest.

    A MIM block has several LSTMs inside, so the ConvLSTM is wider.
    """
    wanted = multiply_adds(MIM(config))

    def of_width(width: int) -> ConvLSTM:
        return ConvLSTM(replace(config, num_hidden=(width,) * len(config.num_hidden)))

    width = config.num_hidden[0]
    while multiply_adds(of_width(width)) < wanted:
        width += 1
    nearest = min(
        (max(width - 1, 1), width), key=lambda w: abs(multiply_adds(of_width(w)) - wanted)
    )
    return of_width(nearest)


def last_frame(frames: Tensor, *, total_length: int, input_length: int) -> Tensor:
    """Frames (B, T, C, H, W): the last one given, kept for the frames to come: (B, leads, ...)."""
    last = frames[:, input_length - 1 : input_length]
    return last.expand(-1, total_length - input_length, -1, -1, -1)
