"""The paint of colour-changing Moving MNIST: digits that bounce, and change colour as they go.

The MIM authors show such a data set on their page without saying how it was made. Here the red,
green and blue of a digit each run evenly between dark and full and turn back at both ends: what
a difference of frames makes constant, and what keeping the last frame gets wrong.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

DARKEST = 0.2  # of a channel: a digit is never invisible
SLOWEST, FASTEST = 0.02, 0.08  # change of a channel in a frame


def changing(generator: np.random.Generator, *, length: int) -> NDArray[np.float32]:
    """Red, green and blue of one digit in each frame: (length, 3), DARKEST to 1."""
    start = generator.random(3)
    speed = generator.uniform(SLOWEST, FASTEST, 3) * generator.choice([-1.0, 1.0], 3)
    span = 1.0 - DARKEST
    way = start + np.arange(length)[:, None] * speed / span
    there_and_back = 1.0 - np.abs(way % 2.0 - 1.0)  # 0 to 1, and back
    colours: NDArray[np.float32] = (DARKEST + span * there_and_back).astype(np.float32)
    return colours
