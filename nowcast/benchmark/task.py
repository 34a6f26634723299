"""A task of the paper as values: its sequences, and how they are counted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from mim_core.batches import Samples

Colours = Literal["grey", "rgb", "heat"]


@dataclass(frozen=True)
class Task:
    """Sequences of ``total_length`` frames, of which ``input_length`` are given.

    Attributes:
        name: of the profile.
        train, validation, test: items hold ``frames`` (T, C, H, W), mostly 0 to 1, perhaps ``mask``
            and ``usual``; validation is None where the protocol has none.
        channels: of a frame.
        events: thresholds on the scaled values by what they are called, for CSI.
        colours: how the frames are shown.
        about: what weights and reports say of the data.

    """

    name: str
    input_length: int
    total_length: int
    train: Samples
    test: Samples
    channels: int
    validation: Samples | None = None
    events: Mapping[str, float] = field(default_factory=dict)
    colours: Colours = "grey"
    about: Mapping[str, object] = field(default_factory=dict)

    @property
    def leads(self) -> int:
        """Frames to forecast."""
        return self.total_length - self.input_length
