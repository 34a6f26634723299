"""What goes on inside: how far the gates are shut or open, and what the difference memory says.

The paper's case for MIM is that forget gates saturate in a network without it (about 80 % of
PredRNN's on radar), and that differences tell what grows and decays. Both can be looked at here.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from mim_core.cells import State
from mim_core.gates import Gate
from mim_core.model import MIM
from mim_core.patches import from_patches, to_patches
from mim_core.recurrent import Recurrent

SHUT, OPEN = 0.1, 0.9


@dataclass(frozen=True)
class Saturation:
    """Of all the values that a gate had: the share below SHUT, and the share above OPEN."""

    shut: float
    open: float

    @property
    def saturated(self) -> float:
        """The share of either."""
        return self.shut + self.open


@torch.no_grad()
def gate_saturation(network: Recurrent, frames: Tensor, *, steps: int) -> dict[str, Saturation]:
    """Of every gate by its place in the network, over a forecast of ``steps``, all pixels alike.

    ``frames`` as ``Recurrent.forecast`` takes them. A place is such as ``first.memory.forget_gate``
    or ``blocks.0.stationary.forget_gate``, which is that of MIM-S. The tanh that Causal LSTM has
    for an output gate is no gate here.
    """
    counts = {
        name: torch.zeros(3, dtype=torch.float64)
        for name, module in network.named_modules()
        if isinstance(module, Gate)
    }

    def listen(name: str) -> Any:
        def heard(_: nn.Module, __: Any, value: Tensor) -> None:
            shut, opened = (value < SHUT).sum(), (value > OPEN).sum()
            counts[name] += torch.tensor([shut, opened, value.numel()], dtype=torch.float64)

        return heard

    handles = [network.get_submodule(name).register_forward_hook(listen(name)) for name in counts]
    try:
        network.forecast(frames, steps=steps)
    finally:
        for handle in handles:
            handle.remove()
    return {
        name: Saturation(shut=float(shut / total), open=float(opened / total))
        for name, (shut, opened, total) in counts.items()
        if total > 0
    }


@torch.no_grad()
def difference_effect(network: MIM, frames: Tensor, *, steps: int) -> Tensor:
    """What the difference memory adds to each frame of the forecast: (B, steps, C_out, H, W).

    The forecast less what the same step, from the same state, says when every MIM-N is silent:
    above 0 where growth rests on the differences, below 0 where decay does. ``frames``
    (B, T, C, H, W), sides that the patch divides.
    """
    patch = network.config.patch
    patched = to_patches(frames, patch=patch)
    state = None
    for frame in patched[:, :-1].unbind(dim=1):
        _, state = network.step(frame, state)
    fed, effects = patched[:, -1], []
    for _ in range(steps):
        prediction, new_state = network.step(fed, state)
        with differences_silent(network):
            without, _ = network.step(fed, state)
        effects.append(from_patches(prediction - without, patch=patch))
        fed, state = network.field(prediction), new_state
    return torch.stack(effects, dim=1)


@contextmanager
def differences_silent(network: MIM) -> Iterator[None]:
    """MIM-N goes on inside, but says nothing to the blocks meanwhile."""

    def silence(_: nn.Module, __: Any, state: State) -> State:
        return State(hidden=torch.zeros_like(state.hidden), cell=state.cell)

    handles = [cell.register_forward_hook(silence) for cell in network.differences]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
