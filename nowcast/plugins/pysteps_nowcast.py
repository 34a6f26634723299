"""MIM as a nowcast method of pysteps: ``pysteps.nowcasts.get_method("mim")``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyproj

from nowcast.field import schema
from nowcast.field.errors import UsageError
from nowcast.field.grid import Grid
from nowcast.forecast.mim import Mim
from nowcast.forecast.motion import motion_of
from nowcast.forecast.shipped import shipped_weights

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import ArrayLike, NDArray

    from nowcast.field.schema import Radar
    from nowcast.forecast.motion import Motion

# The network knows cells and steps, not metres and minutes: any will do.
_STEP = np.timedelta64(5, "m")
_CELL_M = 1000.0


def forecast(  # noqa: PLR0913 - pysteps' interface, and its methods' keywords
    precip: ArrayLike,
    velocity: ArrayLike | None,
    timesteps: int | Sequence[int],
    *,
    n_ens_members: int = 0,
    seed: int = 1,
    weights: str | None = None,
    device: str = "cpu",
) -> NDArray[np.float32]:
    """The rain rates (timesteps, m, n) in mm/h that follow ``precip`` (frames, m, n) in mm/h.

    ``precip`` ends with the newest frame and holds as many as the weights were trained to see (the
    shipped ones: 4) or more; nan is unseen, and stays unseen. ``velocity`` (2, m, n) is that of
    pysteps' motion methods, in pixels a time step; None finds it as ``nowcast run`` does. A list of
    ``timesteps`` picks among whole ones. With ``n_ens_members`` the result is an ensemble (members,
    timesteps, m, n). ``weights`` is a checkpoint (.safetensors) instead of the shipped one.

    Raises UsageError for other units and shapes, and the errors of ``nowcast.forecast.mim.Mim``.
    """
    past = _radar(precip)
    steps = _steps(timesteps)
    shape = past["rainfall_rate"].shape[1:]
    find_motion = motion_of if velocity is None else _given(velocity, shape)
    method = Mim(
        weights=Path(weights) if weights else shipped_weights(),
        device=device,
        probabilities=n_ens_members > 0,
        members=n_ens_members,
        seed=seed,
        find_motion=find_motion,
    )
    answer = method(past, steps=steps[-1])
    chosen = [step - 1 for step in steps]
    if n_ens_members:
        members = answer["rainfall_rate_member"].transpose("realization", "lead_time", "y", "x")
        return np.asarray(members.values[:, chosen])
    return np.asarray(answer["rainfall_rate"].values[chosen])


def _radar(precip: ArrayLike) -> Radar:
    rate = np.asarray(precip, dtype=np.float32)
    if rate.ndim != 3:
        raise UsageError(f"precip of shape {rate.shape}, expected several frames (frames, m, n)")
    if np.fmin.reduce(rate, axis=None) < 0:
        raise UsageError(
            "precip holds values below 0, expected rain rates in mm/h: MIM takes no dB; "
            "see pysteps.utils.conversion.to_rainrate"
        )
    frames, height, width = rate.shape
    crs = pyproj.CRS.from_epsg(3857)
    grid = Grid(crs, 0.0, 0.0, _CELL_M, _CELL_M, height, width)
    times = np.datetime64("2000-01-01", "ns") + _STEP * np.arange(frames)
    return schema.as_radar(schema.frames_dataset(rate, times=times, grid=grid))


def _given(velocity: ArrayLike, shape: tuple[int, ...]) -> Callable[[Radar], Motion]:
    """A motion that was found elsewhere, as MIM asks for it."""
    motion = np.asarray(velocity, dtype=np.float32)
    if motion.shape != (2, *shape):
        raise UsageError(f"velocity of shape {motion.shape}, expected {(2, *shape)}")
    return lambda _: motion


def _steps(timesteps: int | Sequence[int]) -> list[int]:
    wanted = [*range(1, timesteps + 1)] if isinstance(timesteps, int) else [*timesteps]
    ascending = all(a < b for a, b in zip([0, *wanted], wanted, strict=False))
    if not wanted or not ascending or any(step != int(step) for step in wanted):
        raise UsageError(f"timesteps {timesteps}, expected whole ones, ascending from 1")
    return [int(step) for step in wanted]
