"""Steps of a forecast replayed from a CUDA graph.

A step of MIM launches some hundred kernels. On small maps a GPU is done with each before the next
has been launched; recorded as one graph, they are launched at once. Unmeasured: written where
there was no GPU.
"""

from __future__ import annotations

import warnings
from collections.abc import Hashable
from typing import Any

import torch
from torch import Tensor

from mim_core.nested import each, tensors_of
from mim_core.recurrent import Recurrent, Step

_WARM_UPS = 3  # as torch's own notes on graphs have it: libraries choose their kernels meanwhile


def replay_steps(network: Recurrent) -> None:
    """From now on steps of ``forward`` and ``forecast`` on a GPU without gradients are replayed.

    A step is recorded once for each shape of frame and state. Weights may change in place, but not
    be exchanged, and hooks that come later are not heard. Where recording fails a warning says so
    and the steps are launched as usual; on a CPU they always are.
    """
    network.replay = _Replayed(network.step)


class _Replayed:
    """A step that is recorded the first time that it has a shape."""

    def __init__(self, step: Step) -> None:
        self._step = step
        self._recorded: dict[Hashable, _Recording] = {}
        self._is_refused = False

    def __call__(self, frame: Tensor, state: Any) -> tuple[Tensor, Any]:
        if self._is_refused or not frame.is_cuda or torch.is_grad_enabled():
            return self._step(frame, state)
        key = _signature((frame, state))
        try:
            if key not in self._recorded:
                self._recorded[key] = _Recording(self._step, frame, state)
            return self._recorded[key](frame, state)
        except RuntimeError as error:
            self._is_refused = True
            self._recorded.clear()
            reason = " ".join(str(error).split())[:300]
            warnings.warn(f"steps are not replayed from a CUDA graph: {reason}", stacklevel=2)
            return self._step(frame, state)


class _Recording:
    """One CUDA graph: where its inputs are read from, and where its outputs stand."""

    def __init__(self, step: Step, frame: Tensor, state: Any) -> None:
        self._inputs = each(torch.clone, (frame, state))
        aside = torch.cuda.Stream(frame.device)  # type: ignore[no-untyped-call]
        aside.wait_stream(torch.cuda.current_stream(frame.device))
        # Weights cast for autocast once and kept would be gone when the graph is replayed.
        with torch.autocast(
            "cuda",
            enabled=torch.is_autocast_enabled("cuda"),
            dtype=torch.get_autocast_dtype("cuda"),
            cache_enabled=False,
        ):
            with torch.cuda.stream(aside):
                for _ in range(_WARM_UPS):
                    step(*self._inputs)
            torch.cuda.current_stream(frame.device).wait_stream(aside)
            self._graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self._graph):
                self._outputs = step(*self._inputs)

    def __call__(self, frame: Tensor, state: Any) -> tuple[Tensor, Any]:
        """Copies of what the step says: the next replay writes over its own."""
        for kept, given in zip(tensors_of(self._inputs), tensors_of((frame, state)), strict=True):
            kept.copy_(given)
        self._graph.replay()
        return each(torch.clone, self._outputs)


def _signature(tree: object) -> Hashable:
    """Equal where the same graph fits: which parts there are, their shapes, types and devices."""
    if isinstance(tree, Tensor):
        return (tuple(tree.shape), tree.dtype, tree.device)
    return tuple(_signature(part) for part in tree) if isinstance(tree, tuple) else None
