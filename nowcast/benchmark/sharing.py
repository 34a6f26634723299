"""Several processes that train one network: Lightning Fabric starts them with the same command.

So each runs all of the command. The first one keeps the log, reads the clock and decides; the
others do as it says.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, TypeVar

import torch.distributed

if TYPE_CHECKING:
    from collections.abc import Callable

Said = TypeVar("Said")


def is_first() -> bool:
    """Whether this process is the first, or alone."""
    return os.environ.get("LOCAL_RANK", "0") == "0"


def as_the_first_says(decide: Callable[[], Said]) -> Said:
    """What the first process decides, in all of them; the others do not ask themselves."""
    if not torch.distributed.is_available() or not torch.distributed.is_initialized():
        return decide()
    said = [decide() if is_first() else None]
    torch.distributed.broadcast_object_list(said, src=0)
    answer: Said = said[0]  # type: ignore[assignment]  # what the first process put there
    return answer
