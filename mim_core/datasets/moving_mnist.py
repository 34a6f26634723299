"""Moving MNIST (Srivastava et al., ICML 2015): two digits that fly and bounce in a square.

Every sequence is made when asked for, from the seed and its number alone: a fixed set needs no
room, and any number of workers gives the same one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

# Of the way that a digit can go from edge to edge, in a frame: as the data set was published.
STEP = 0.1


class Paint(Protocol):
    """How bright each channel of one digit is in each frame: (length, channels), 0 to 1."""

    def __call__(
        self, generator: np.random.Generator, /, *, length: int
    ) -> NDArray[np.float32]: ...


def white(_generator: np.random.Generator, *, length: int) -> NDArray[np.float32]:
    """One channel, always bright: (length, 1)."""
    return np.ones((length, 1), np.float32)


@dataclass(frozen=True, eq=False)
class MovingMNIST(Dataset[Mapping[str, Tensor]]):
    """``count`` sequences; an item holds ``frames`` (length, channels, size, size), 0 to 1.

    The digits (N, rows, columns), 0 to 255, are those of one part of ``datasets.digits``; ``paint``
    gives them their colours. Where two overlap each channel shows the brighter one. Raises
    ValueError for what cannot be made.
    """

    digits: NDArray[np.uint8]
    count: int = 10_000
    seed: int = 0
    length: int = 20
    size: int = 64
    objects: int = 2
    paint: Paint = white

    def __post_init__(self) -> None:
        """Refuse what cannot be made."""
        digits, widest = self.digits, max(self.digits.shape[1:], default=0)
        if digits.ndim != 3 or digits.dtype != np.uint8 or 0 in digits.shape:
            raise ValueError(
                f"digits: found {digits.dtype} {digits.shape}, expected uint8 (N, rows, columns)"
            )
        if self.count < 1 or self.length < 2:
            raise ValueError(
                f"count {self.count} and length {self.length}: expected 1 and 2 or more"
            )
        if self.size < widest:
            raise ValueError(f"size: found {self.size}, expected {widest} or more")

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Mapping[str, Tensor]:
        if not 0 <= index < self.count:
            raise IndexError(f"sequence {index}: expected 0 to {self.count - 1}")
        generator = np.random.default_rng([self.seed, index])
        frames = self._one_digit(generator)
        for _ in range(1, self.objects):
            np.maximum(frames, self._one_digit(generator), out=frames)
        return {"frames": torch.from_numpy(frames)}

    def _one_digit(self, generator: np.random.Generator) -> NDArray[np.float32]:
        """One digit that flies over a dark ground: (length, channels, size, size)."""
        digit = self.digits[generator.integers(len(self.digits))]
        rows, columns = digit.shape
        room = (self.size - rows, self.size - columns)
        corners = flight(generator, length=self.length, room=room)
        paint = self.paint(generator, length=self.length)
        seen = digit.astype(np.float32) / 255.0 * paint[:, :, None, None]
        frames = np.zeros((*paint.shape, self.size, self.size), np.float32)
        for frame, (row, column), shape in zip(frames, corners, seen, strict=True):
            frame[:, row : row + rows, column : column + columns] = shape
        return frames


def flight(
    generator: np.random.Generator, *, length: int, room: tuple[int, int]
) -> NDArray[np.int64]:
    """Upper left corners (length, 2) of one digit: straight on, turned back at the edges.

    ``room`` is how many rows and columns it can go from edge to edge of the square. The place is
    drawn evenly, and so is the direction; the speed is ``STEP`` of that way in a frame. A digit
    that would leave stops at the edge and turns, so it loses a part of a step.
    """
    place = generator.random(2)
    angle = generator.random() * 2.0 * math.pi
    speed = STEP * np.array([math.sin(angle), math.cos(angle)])
    places = np.empty((length, 2))
    for t in range(length):
        place = place + speed
        outside = (place <= 0.0) | (place >= 1.0)
        place = np.clip(place, 0.0, 1.0)
        speed = np.where(outside, -speed, speed)
        places[t] = place
    corners: NDArray[np.int64] = (places * np.array(room)).astype(np.int64)
    return corners
