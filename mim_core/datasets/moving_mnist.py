"""Moving MNIST (Srivastava et al., ICML 2015): two digits that fly and bounce in a square.

Every sequence is made when asked for, from the seed and its number alone: a fixed set needs no
room, and any number of workers gives the same one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

# Of the way that a digit can go from edge to edge, in a frame: as the data set was published.
STEP = 0.1


@dataclass(frozen=True, eq=False)
class MovingMNIST(Dataset[Mapping[str, Tensor]]):
    """``count`` sequences; an item holds ``frames`` (length, 1, size, size), 0 to 1.

    The digits (N, rows, columns), 0 to 255, are those of one part of ``datasets.digits``. Where
    two overlap the brighter one is seen. Raises ValueError for what cannot be made.
    """

    digits: NDArray[np.uint8]
    count: int = 10_000
    seed: int = 0
    length: int = 20
    size: int = 64
    objects: int = 2

    def __post_init__(self) -> None:
        """Refuse what cannot be made."""
        check(self.digits, count=self.count, length=self.length, size=self.size)

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Mapping[str, Tensor]:
        generator = generator_of(self.seed, index, count=self.count)
        frames = np.zeros((self.length, self.size, self.size), np.uint8)
        for _ in range(self.objects):
            digit = self.digits[generator.integers(len(self.digits))]
            places = flight(generator, length=self.length, room=room(digit, size=self.size))
            for frame, (row, column) in zip(frames, places, strict=True):
                under = frame[row : row + digit.shape[0], column : column + digit.shape[1]]
                np.maximum(under, digit, out=under)
        return {"frames": torch.from_numpy(frames).float().div(255.0).unsqueeze(1)}


def check(digits: NDArray[np.uint8], *, count: int, length: int, size: int) -> None:
    """Raise ValueError where no sequence could be made of these."""
    if digits.ndim != 3 or digits.dtype != np.uint8 or 0 in digits.shape:
        raise ValueError(
            f"digits: found {digits.dtype} {digits.shape}, expected uint8 (N, rows, columns)"
        )
    if count < 1 or length < 2:
        raise ValueError(f"count {count} and length {length}: expected 1 and 2 or more")
    if size < max(digits.shape[1:]):
        raise ValueError(f"size: found {size}, expected {max(digits.shape[1:])} or more")


def generator_of(seed: int, index: int, *, count: int) -> np.random.Generator:
    """The random numbers of one sequence; raises IndexError past the end."""
    if not 0 <= index < count:
        raise IndexError(f"sequence {index}: expected 0 to {count - 1}")
    return np.random.default_rng([seed, index])


def room(digit: NDArray[np.uint8], *, size: int) -> tuple[int, int]:
    """How many rows and columns a digit can go from edge to edge of the square."""
    return size - digit.shape[0], size - digit.shape[1]


def flight(
    generator: np.random.Generator, *, length: int, room: tuple[int, int]
) -> NDArray[np.int64]:
    """Upper left corners (length, 2) of one digit: straight on, turned back at the edges.

    The place is drawn evenly, and so is the direction; the speed is ``STEP`` of the way from edge
    to edge. A digit that would leave stops at the edge and turns, so it loses a part of a step.
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
