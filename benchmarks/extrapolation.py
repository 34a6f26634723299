"""How fast our extrapolation is beside that of pysteps, on the same field and motion.

    python benchmarks/extrapolation.py --height 765 --width 700 --leads 24 --threads 2

Both are warmed up, run in turns, and judged by their best run, so that what else the machine does
falls on both. The field is one of seeded, smooth cells of rain; the motion turns and shears.
"""

from __future__ import annotations

import argparse
import time
from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy.ndimage import gaussian_filter

from nowcast.forecast.advect import extrapolate
from nowcast.forecast.pysteps_quietly import quietly

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Field = NDArray[np.float32]


def rain(height: int, width: int, *, seed: int) -> Field:
    """Seeded rain (mm h-1), a third of it wet, its corners unseen."""
    noise = gaussian_filter(np.random.default_rng(seed).normal(size=(height, width)), 4)
    rate = np.maximum(noise / noise.std() - 0.5, 0) ** 2 * 3
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    return np.where(y**2 + x**2 < 1.4, rate, np.nan).astype(np.float32)


def motion(height: int, width: int, *, cells: float) -> Field:
    """A motion of about ``cells`` cells a step, turning and shearing."""
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    turning = np.stack([1 - 0.5 * y, 0.5 + 0.5 * x + 0.2 * np.sin(4 * y)])
    return np.asarray(cells * turning, dtype=np.float32)


def in_turns(runs: dict[str, Callable[[], Field]], *, repeat: int) -> dict[str, list[float]]:
    """The seconds of each, run after one warm-up in turns."""
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for turn in range(repeat + 1):
        for name, call in runs.items():
            started = time.perf_counter()
            call()
            if turn:
                seconds[name].append(time.perf_counter() - started)
    return seconds


def main() -> None:
    """Print seconds, ratio and differences."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--height", type=int, default=765)
    parser.add_argument("--width", type=int, default=700)
    parser.add_argument("--leads", type=int, default=24)
    parser.add_argument("--cells", type=float, default=3.0, help="cells a step")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeat", type=int, default=3)
    settings = parser.parse_args()
    torch.set_num_threads(settings.threads)

    with quietly():
        from pysteps.extrapolation import semilagrangian  # noqa: PLC0415 - late: it prints
    field = rain(settings.height, settings.width, seed=1)
    velocity = motion(settings.height, settings.width, cells=settings.cells)
    ours_field, ours_motion = torch.from_numpy(field), torch.from_numpy(velocity)

    def ours() -> Field:
        return extrapolate(ours_field, ours_motion, steps=settings.leads).numpy()

    def pysteps() -> Field:
        moved: Field = semilagrangian.extrapolate(
            field, velocity.astype(float), settings.leads, allow_nonfinite_values=True
        )
        return moved

    difference = np.abs(ours() - pysteps())
    both = np.isfinite(difference)
    seconds = in_turns({"ours": ours, "pysteps": pysteps}, repeat=settings.repeat)
    best = {name: min(values) for name, values in seconds.items()}
    print(  # noqa: T201 - a script's answer
        f"{settings.leads} leads of {settings.height}x{settings.width}, "
        f"{settings.threads} threads, best of {settings.repeat} in turns\n"
        f"ours    {best['ours']:.3f} s\n"
        f"pysteps {best['pysteps']:.3f} s\n"
        f"ratio   {best['pysteps'] / best['ours']:.1f}\n"
        f"largest difference {difference[both].max():.2e} mm/h, "
        f"RMS {np.sqrt(np.mean(difference[both] ** 2)):.2e} mm/h, where both say something: "
        f"{both.mean():.1%} (ours {np.isfinite(ours()).mean():.1%}, "
        f"pysteps {np.isfinite(pysteps()).mean():.1%})"
    )


if __name__ == "__main__":
    main()
