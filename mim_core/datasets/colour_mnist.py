"""Colour-changing Moving MNIST: the digits bounce, and their colours change as they go.

The MIM authors show such a data set on their page without saying how it was made. Here the red,
green and blue of a digit each run evenly between dark and full and turn back at both ends: what
a difference of frames makes constant, and what keeping the last frame gets wrong.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from mim_core.datasets.moving_mnist import check, flight, generator_of, room

DARKEST = 0.2  # of a channel: a digit is never invisible
SLOWEST, FASTEST = 0.02, 0.08  # change of a channel in a frame


@dataclass(frozen=True, eq=False)
class ColourMNIST(Dataset[Mapping[str, Tensor]]):
    """``count`` sequences; an item holds ``frames`` (length, 3, size, size), 0 to 1.

    The digits are as in ``MovingMNIST``. Where two overlap each channel shows the brighter one.
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
        frames = np.zeros((self.length, 3, self.size, self.size), np.float32)
        for _ in range(self.objects):
            digit = self.digits[generator.integers(len(self.digits))]
            places = flight(generator, length=self.length, room=room(digit, size=self.size))
            shape = digit.astype(np.float32) / 255.0
            colours = colour_course(generator, length=self.length)
            for frame, (row, column), colour in zip(frames, places, colours, strict=True):
                under = frame[:, row : row + digit.shape[0], column : column + digit.shape[1]]
                np.maximum(under, shape * colour[:, None, None], out=under)
        return {"frames": torch.from_numpy(frames)}


def colour_course(generator: np.random.Generator, *, length: int) -> NDArray[np.float32]:
    """Red, green and blue of one digit in each frame: (length, 3), DARKEST to 1."""
    start = generator.random(3)
    speed = generator.uniform(SLOWEST, FASTEST, 3) * generator.choice([-1.0, 1.0], 3)
    span = 1.0 - DARKEST
    way = start + np.arange(length)[:, None] * speed / span
    there_and_back = 1.0 - np.abs(way % 2.0 - 1.0)  # 0 to 1, and back
    colours: NDArray[np.float32] = (DARKEST + span * there_and_back).astype(np.float32)
    return colours
