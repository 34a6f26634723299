"""Work on a part of the cells at a time, on as many threads as torch has.

A part is small enough to stay in a processor's cache and below the size from which torch spreads
each operation over threads, which costs more than it gains here, and very much more on a busy
machine. Parts do not depend on the number of threads, so results do not either.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

# torch spreads an operation over threads from 32768 values on.
_PART_VALUES = 32767


def parts(
    length: int, *, values_each: int, like: Tensor, values: int = _PART_VALUES
) -> list[slice]:
    """Slices of 0 to ``length``, whose things have ``values_each`` values; one slice on a GPU.

    A slice has ``values`` of them at the most.
    """
    step = length if like.is_cuda else max(1, values // values_each)
    return [slice(start, min(start + step, length)) for start in range(0, length, max(step, 1))]


def on_threads(work: Callable[[slice], None], given: Sequence[slice]) -> None:
    """``work`` on every one of the parts ``given``, without gradients."""
    inference = torch.is_inference_mode_enabled()

    def work_without_graph(part: slice) -> None:
        # These modes belong to a thread: a new one knows nothing of its caller's.
        with torch.no_grad(), torch.inference_mode(inference):
            work(part)

    if len(given) == 1:
        work_without_graph(given[0])
        return
    with ThreadPoolExecutor(max_workers=torch.get_num_threads()) as threads:
        list(threads.map(work_without_graph, given))
