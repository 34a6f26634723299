"""Human3.6M as the MIM authors cut it: a folder of JPEGs whose names say who, what and when.

``S11_Walking_1.54138969_000471.jpg`` is subject 11 walking, first take, camera 54138969, frame
471 of the film; every fifth frame of the film is in the folder. The middle of each picture is cut
out and made 128x128. A sequence takes every second picture of one take and camera.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

TRAIN_SUBJECTS = ("S1", "S5", "S6", "S7", "S8")
TEST_SUBJECTS = ("S9", "S11")
FILM_STEP = 5  # frames of the film between two pictures of the folder
EVERY = 2  # pictures of the folder between two frames of a sequence
# Pictures between the starts of two sequences, in training and in the test.
TRAIN_STRIDE, TEST_STRIDE = 10, 5

_NAME = re.compile(r"(?P<subject>S\d+)_(?P<action>[^_.]+)(?P<take>_\d+)?\.(?P<camera>\d+)_(\d+)")


@dataclass(frozen=True, order=True)
class Picture:
    """What the name of a file says."""

    subject: str
    action: str
    take: str
    camera: str
    frame: int

    @property
    def film(self) -> tuple[str, str, str, str]:
        """Pictures of the same film follow each other."""
        return self.subject, self.action, self.take, self.camera


def picture(name: str) -> Picture | None:
    """What a file's name says; None where it is not one of the authors'."""
    stem, _, ending = name.rpartition(".")
    found = _NAME.fullmatch(stem)
    if found is None or ending.lower() not in ("jpg", "jpeg"):
        return None
    subject, action, take, camera, frame = found.groups()
    return Picture(subject, action, (take or "").removeprefix("_"), camera, int(frame))


@dataclass(frozen=True, eq=False)
class Human36M(Dataset[Mapping[str, Tensor]]):
    """Sequences of some subjects; an item holds ``frames`` (length, 3, size, size), 0 to 1.

    The pictures are read when an item is asked for. Raises ValueError naming the folder where
    it holds no sequence of these subjects.
    """

    folder: Path
    subjects: tuple[str, ...] = TRAIN_SUBJECTS
    stride: int = TRAIN_STRIDE
    length: int = 8
    size: int = 128
    action: str = "Walking"

    def __post_init__(self) -> None:
        """Refuse a folder without a sequence."""
        if not self.folder.is_dir():
            raise ValueError(f"{self.folder}: no such folder of Human3.6M pictures")
        if not self.sequences:
            raise ValueError(
                f"{self.folder}: no {self.length} pictures in a row of {self.action} by "
                f"{', '.join(self.subjects)}, expected names like "
                "S9_Walking_1.54138969_000471.jpg, numbered in steps of 5"
            )

    def __len__(self) -> int:
        return len(self.sequences)

    def __getitem__(self, index: int) -> Mapping[str, Tensor]:
        frames = [_read(path, size=self.size) for path in self.sequences[index]]
        return {"frames": torch.stack(frames)}

    @cached_property
    def sequences(self) -> list[tuple[Path, ...]]:
        """The files of each sequence."""
        named = ((picture(path.name), path) for path in self.folder.iterdir())
        wanted = sorted(
            (found, path)
            for found, path in named
            if found and found.subject in self.subjects and found.action == self.action
        )
        found: list[tuple[Path, ...]] = []
        for _, film in itertools.groupby(wanted, key=lambda pair: pair[0].film):
            found += self._sequences_of(list(film))
        return found

    def _sequences_of(self, film: list[tuple[Picture, Path]]) -> list[tuple[Path, ...]]:
        reach = EVERY * (self.length - 1)
        starts = range(0, len(film) - reach, self.stride)
        return [
            tuple(path for _, path in film[start : start + reach + 1 : EVERY])
            for start in starts
            if film[start + reach][0].frame - film[start][0].frame == FILM_STEP * reach
        ]


def _read(path: Path, *, size: int) -> Tensor:
    """The middle of a picture, half as wide and as high: (3, size, size), 0 to 1."""
    from PIL import Image  # noqa: PLC0415  # the one data set that comes as pictures

    with Image.open(path) as opened:
        width, height = opened.size
        middle = opened.convert("RGB").crop(
            (width // 4, height // 4, width - width // 4, height - height // 4)
        )
        if middle.size != (size, size):
            middle = middle.resize((size, size), Image.Resampling.BILINEAR)
    values = np.asarray(middle, dtype=np.float32) / 255.0  # (H, W, 3)
    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(values, -1, 0)))
