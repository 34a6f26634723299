"""The classical methods, by pysteps: S-PROG, ANVIL and STEPS along the Lucas-Kanade motion.

pysteps takes what is unseen for dry, and says nothing of air that comes from outside the grid, or
fails where there is next to no rain. Here what was not seen at issue time stays NaN however the
air moves, extrapolation speaks where pysteps is silent though the air was seen, and where it fails
altogether the forecast is an extrapolation and says so in ``source`` and ``degraded_reason``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from nowcast.field import schema
from nowcast.forecast import extrapolation
from nowcast.forecast.base import require_history
from nowcast.forecast.ensemble import THRESHOLDS_MM_H, probability_of_exceedance
from nowcast.forecast.motion import DRY_MM_H, decibel, motion_of, rate_of_decibel
from nowcast.forecast.pysteps_quietly import nowcast_method, quietly, version
from nowcast.forecast.quality import degraded, quality_flag

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike, NDArray

    Rates = NDArray[np.float32]
    Motion = NDArray[np.float32]

_DRY_DB = 10.0 * float(np.log10(DRY_MM_H))
_MOTION_FRAMES = 4
# What pysteps raises from inside its numerics on fields with next to no rain.
_FAILURES = (ValueError, RuntimeError, IndexError, ArithmeticError, np.linalg.LinAlgError)


@dataclass(frozen=True)
class Sprog:
    """S-PROG: scales fade as they lose predictability (Seed, J. Appl. Meteor. 42, 381, 2003)."""

    levels: int = 6
    name: str = "sprog"
    history: int = 3

    def __call__(self, past: schema.Radar, *, steps: int) -> schema.Forecast:
        """The forecast for ``steps`` leads; raises ShortHistoryError, NothingObservedError."""

        def by_pysteps(rates: Rates, motion: Motion) -> Rates:
            forecast = nowcast_method("sprog")(
                decibel(rates),
                motion,
                steps,
                precip_thr=_DRY_DB,
                n_cascade_levels=_levels(self.levels, rates),
            )
            return rate_of_decibel(forecast)

        answer = _answer(past, by_pysteps, name=self.name, history=self.history, steps=steps)
        return _forecast(answer, past, source=f"sprog: S-PROG of pysteps {version()}")


@dataclass(frozen=True)
class Anvil:
    """ANVIL on rain rates: growth and decay go on (Pulkkinen et al., 2020).

    IEEE Trans. Geosci. Remote Sens. 59, 1286, doi:10.1109/TGRS.2020.2984594. ``window`` is the
    radius, in cells, within which the growth is estimated.
    """

    levels: int = 6
    window: int = 25
    name: str = "anvil"
    history: int = 4

    def __call__(self, past: schema.Radar, *, steps: int) -> schema.Forecast:
        """The forecast for ``steps`` leads; raises ShortHistoryError, NothingObservedError."""

        def by_pysteps(rates: Rates, motion: Motion) -> Rates:
            forecast: Rates = nowcast_method("anvil")(
                rates.astype(np.float64),
                motion,
                steps,
                ar_window_radius=self.window,
                ar_order=2,
                n_cascade_levels=_levels(self.levels, rates),
            )
            return forecast

        answer = _answer(past, by_pysteps, name=self.name, history=self.history, steps=steps)
        return _forecast(answer, past, source=f"anvil: ANVIL of pysteps {version()}")


@dataclass(frozen=True)
class Steps:
    """STEPS: an ensemble whose scales are replaced by noise as they lose predictability.

    Bowler et al., Q. J. R. Meteorol. Soc. 132, 2127, 2006. One ``seed`` gives one ensemble.
    """

    members: int = 20
    seed: int = 1
    levels: int = 6
    workers: int = 2
    name: str = "steps"
    history: int = 3

    def __call__(self, past: schema.Radar, *, steps: int) -> schema.Forecast:
        """Members, their mean and their probabilities for ``steps`` leads.

        Raises ShortHistoryError, NothingObservedError.
        """

        def by_pysteps(rates: Rates, motion: Motion) -> Rates:
            return self._members(rates, motion, past=past, steps=steps)

        answer = _answer(past, by_pysteps, name=self.name, history=self.history, steps=steps)
        members = answer.rates
        if members.ndim == 3:  # dry, or extrapolation stands in: all members agree
            members = np.repeat(members[np.newaxis], self.members, axis=0)
        rates = members.mean(axis=0)
        lead_dims = ("lead_time", *schema.CELL_DIMS)
        return _forecast(
            answer._replace(rates=rates),
            past,
            source=f"steps: STEPS of pysteps {version()}, seed {self.seed}",
            extra={
                "rainfall_rate_member": (("realization", *lead_dims), members),
                "probability_of_exceedance": (
                    ("threshold", *lead_dims),
                    probability_of_exceedance(members),
                ),
            },
            coords={"realization": np.arange(self.members), "threshold": THRESHOLDS_MM_H},
        )

    def _members(self, rates: Rates, motion: Motion, *, past: schema.Radar, steps: int) -> Rates:
        """The members (M, steps, H, W) of pysteps, taken over lead by lead to save memory."""
        members = np.empty((self.members, steps, *rates.shape[1:]), np.float32)
        leads = iter(range(steps))

        def keep(fields: NDArray[np.float64]) -> None:
            in_db = fields.reshape(self.members, *rates.shape[1:])
            members[:, next(leads)] = rate_of_decibel(in_db)

        height, width = schema.grid_of(past).cell_metres
        generator = np.random.get_state()  # noqa: NPY002 - pysteps seeds the global one
        try:
            nowcast_method("steps")(
                decibel(rates),
                motion,
                steps,
                n_ens_members=self.members,
                n_cascade_levels=_levels(self.levels, rates),
                precip_thr=_DRY_DB,
                kmperpixel=float(np.sqrt(height * width)) / 1000.0,
                timestep=float(schema.cadence(past) / np.timedelta64(1, "m")),
                seed=self.seed,
                num_workers=self.workers,
                callback=keep,
                return_output=False,
            )
        finally:
            np.random.set_state(generator)  # noqa: NPY002 - and left as it was found
        return members


class _Answer(NamedTuple):
    """Rates ([M,] steps, H, W) complete wherever the air was seen, and how they came about."""

    rates: Rates
    motion: Motion
    failure: str | None = None


def _answer(
    past: schema.Radar,
    by_pysteps: Callable[[Rates, Motion], Rates],
    *,
    name: str,
    history: int,
    steps: int,
) -> _Answer:
    """What ``by_pysteps`` says of the newest frames and their motion, completed.

    Dry stays dry without asking pysteps, which fails on it.
    """
    require_history(past, needed=history, method=name)
    motion = motion_of(past, frames=_MOTION_FRAMES)
    moved = extrapolation.moved_on(past, motion, steps=steps)
    rates = _without_gaps(past["rainfall_rate"].values[-history:])
    if not (rates[-1] >= DRY_MM_H).any():
        return _Answer(moved, motion)
    try:
        with quietly():
            said = by_pysteps(rates, motion)
    except _FAILURES as error:
        return _Answer(moved, motion, f"{name} failed ({error}), extrapolation stands in")
    if not (np.isfinite(said) & (said > 0)).any() and np.nanmax(moved) >= DRY_MM_H:
        return _Answer(moved, motion, f"{name} gave no rain, extrapolation stands in")
    said = np.asarray(said, dtype=np.float32)  # in place from here: an ensemble is gigabytes
    np.copyto(said, moved, where=~np.isfinite(said))
    np.maximum(said, 0.0, out=said)
    np.copyto(said, np.nan, where=np.isnan(moved))
    return _Answer(said, motion)


def _forecast(
    answer: _Answer,
    past: schema.Radar,
    *,
    source: str,
    extra: dict[str, tuple[tuple[str, ...], ArrayLike]] | None = None,
    coords: dict[str, ArrayLike] | None = None,
) -> schema.Forecast:
    return schema.forecast_dataset(
        answer.rates,
        past=past,
        source=source if answer.failure is None else extrapolation.SOURCE,
        extra={
            **extrapolation.motion_variables(past, answer.motion),
            "quality_flag": (schema.CELL_DIMS, quality_flag(past, frames=_MOTION_FRAMES)),
            **(extra or {}),
        },
        coords=coords,
        attrs=degraded(past, answer.failure),
    )


def _without_gaps(rates: Rates) -> Rates:
    """The frames without NaN, as pysteps needs them: what one misses is as in the next newer.

    So a radar that drops out for a while looks like no change, not like a storm that comes up. What
    the newest misses counts as dry; it is NaN again in the forecast.
    """
    filled = np.array(rates)
    newer = np.zeros_like(rates[0])
    for frame in filled[::-1]:
        gaps = np.isnan(frame)
        frame[gaps] = newer[gaps]
        newer = frame
    return filled


def _levels(wanted: int, rates: Rates) -> int:
    """How many cascade levels a grid can carry: at most ``wanted``, at the least pysteps' 3.

    Neighbouring levels are kept a factor of 1.5 in scale apart; below that pysteps' filters overlap
    and, on the smallest grids, run empty.
    """
    scales = max(rates.shape[1:]) / 2
    return int(np.clip(np.log(max(scales, 1.0)) / np.log(1.5), 3, wanted))
