"""Data at hand in the layout of data sets that may not be copied: Human3.6M, TaxiBJ.

    python -m benchmarks.layouts walking vtest_walk_160x128x128x3_10fps.npz DATA/human36m
    python -m benchmarks.layouts taxi volume_test.npz DATA/TaxiBJ/BJ15_M32x32_T30_InOut.h5

Ten frames a second of people walking become pictures named like the authors' (every fifth frame of
a film of fifty a second); half-hours of New York's taxis become a file of dated 32x32 maps.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray
from PIL import Image

# Who is on which of the 160 frames, as far as training is concerned: the last are the test.
SUBJECTS = {"S1": (0, 96), "S8": (96, 120), "S9": (120, 160)}
CAMERA, FILM_STEP = "54138969", 5
SIDE, SLOTS = 32, 48


def walking(frames: NDArray[np.uint8], folder: Path) -> int:
    """Write frames (T, H, W, 3) as JPEGs of Human3.6M's names; how many.

    Each is put into the middle of a grey picture twice as wide and high, since the reader of that
    data set cuts the middle out.
    """
    folder.mkdir(parents=True, exist_ok=True)
    height, width = frames.shape[1:3]
    for subject, (first, stop) in SUBJECTS.items():
        for number, frame in enumerate(frames[first:stop]):
            picture = np.full((2 * height, 2 * width, 3), 128, np.uint8)
            picture[height // 2 : -(height // 2), width // 2 : -(width // 2)] = frame
            name = f"{subject}_Walking_1.{CAMERA}_{FILM_STEP * number + 1:06d}.jpg"
            Image.fromarray(picture).save(folder / name, quality=95, subsampling=0)
    return len(frames)


def taxi(
    volume: NDArray[np.float64], path: Path, *, first_day: str = "2015-02-10", skip: int = -1
) -> int:
    """Write volume (T, y, x, 2: starts, ends) as a file of TaxiBJ; how many slots.

    The grid is put into the corner of one of 32x32. Slot ``skip`` is left out, as slots are in the
    authors' files.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    count, rows, columns, _ = volume.shape
    maps = np.zeros((count, 2, SIDE, SIDE), np.float32)
    maps[:, :, :rows, :columns] = np.moveaxis(volume[..., ::-1], -1, 1)  # in, then out
    days = np.datetime64(first_day) + np.arange(count) // SLOTS
    dates = [
        f"{str(day).replace('-', '')}{slot % SLOTS + 1:02d}".encode()
        for slot, day in enumerate(days)
    ]
    kept = np.arange(count) != skip
    with h5py.File(path, "w") as file:
        file["data"] = maps[kept]
        file["date"] = np.array(dates)[kept]
    return int(kept.sum())


def main() -> None:
    """Turn one file into the layout asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("walking", "taxi"))
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    given = parser.parse_args()
    with np.load(given.source) as content:
        if given.what == "walking":
            count = walking(content["frames"], given.target)
        else:
            count = taxi(content["volume"], given.target)
    print(f"{given.target}: {count} frames")  # noqa: T201


if __name__ == "__main__":
    main()
