"""Which method is to be published: MIM, unless another one is preferred of late.

``contest`` decides, a few times an hour; here is what was decided, which costs a look.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np

    from nowcast.service.skill.store import SkillStore

BEST = "mim"


@dataclass(frozen=True)
class GateSettings:
    """When a method counts as beaten.

    Attributes:
        simpler: the methods that may be published instead of MIM.
        window_hours: of issue times, that are looked back on to drop MIM.
        return_hours: likewise, to take it back.
        hold_hours: how long a decision stands at the least.
        threshold_mm_h: the rain that CSI asks about; the nearest one that is scored is taken.
        block_cycles: cycles in a row that share their weather; an hour or two of them.
        minimum_blocks: fewer of them decide nothing.
        level: of the intervals; high, for the question is put every few minutes.

    """

    simpler: tuple[str, ...] = ("extrapolation", "persistence")
    window_hours: float = 24.0
    return_hours: float = 12.0
    hold_hours: float = 3.0
    threshold_mm_h: float = 0.5
    block_cycles: int = 12
    minimum_blocks: int = 6
    level: float = 0.99


class Preference(NamedTuple):
    """The method that the ladder begins with, and why; both empty where there is no opinion."""

    method: str
    reason: str


def preferred(store: SkillStore) -> Preference:
    """The preference as it was last decided; raises StoreError."""
    last = store.decision()
    if last is None or last.method == BEST:
        return Preference("", "")
    return Preference(last.method, last.reason)


@dataclass(frozen=True)
class SkillPreference:
    """The preference as the service asks for it before every forecast."""

    store: SkillStore

    def __call__(self, now: np.datetime64) -> tuple[str, str]:  # noqa: ARG002 - of the seam
        """The method that the ladder should begin with, and why; two empty texts for no opinion."""
        return preferred(self.store)
