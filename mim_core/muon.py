"""Muon for a network of convolutions: kernels take steps of one size in all directions.

The momentum of a kernel's gradient, as a matrix (output channels, all that one of them reads), is
made orthogonal before it is followed (K. Jordan et al., 2024, "Muon: an optimizer for hidden layers
in neural networks"), and scaled so that a learning rate of Adam fits (J. Liu et al., arXiv
2502.16982). What is no kernel, biases, norms and peepholes, is Adam's. Both are torch's own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn


class KernelMuon(torch.optim.Optimizer):
    """torch's Muon on the kernels, which it takes for matrices, and torch's Adam on the rest."""

    def __init__(self, parameters: Iterable[Tensor], *, lr: float) -> None:
        """``lr`` is that of both; parameters of four dimensions are kernels."""
        super().__init__(parameters, {"lr": lr})
        self._parts: tuple[torch.optim.Optimizer, ...] = ()
        self._pairs: list[tuple[Tensor, Tensor]] = []

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """One update of all parameters that have a gradient."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        if not self._parts:
            self._begin()
        for parameter, taken in self._pairs:
            if taken is not parameter:
                taken.grad = None if parameter.grad is None else parameter.grad.flatten(1)
        for part in self._parts:
            for group in part.param_groups:
                group["lr"] = self.param_groups[0]["lr"]
            part.step()
        return loss

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a state; the parts are given theirs before the next step."""
        super().load_state_dict(state_dict)
        self._parts = ()

    def _begin(self) -> None:
        """Make the parts. Not before the first step: the network may be moved to a device first."""
        given = list(chain.from_iterable(group["params"] for group in self.param_groups))
        # A matrix shares the memory of its kernel.
        self._pairs = [
            (one, nn.Parameter(one.detach().view(len(one), -1)) if one.ndim == 4 else one)
            for one in given
        ]
        matrices = [taken for one, taken in self._pairs if one.ndim == 4]
        others = [taken for one, taken in self._pairs if one.ndim != 4]
        rate = self.param_groups[0]["lr"]
        parts: list[torch.optim.Optimizer] = []
        if matrices:
            way = {"weight_decay": 0.0, "adjust_lr_fn": "match_rms_adamw"}
            parts.append(torch.optim.Muon(matrices, lr=rate, **way))  # type: ignore[arg-type]
        if others:
            parts.append(torch.optim.Adam(others, lr=rate))
        for one, taken in self._pairs:
            part = parts[0] if one.ndim == 4 else parts[-1]
            part.state[taken] = self.state[one]  # one and the same from here on
        self._parts = tuple(parts)
