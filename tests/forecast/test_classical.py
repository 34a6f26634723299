"""Every classical nowcaster on real rain, on no rain, and on what is broken."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from nowcast.field import schema
from nowcast.field.errors import NothingObservedError, ShortHistoryError
from nowcast.forecast.advect import extrapolate
from nowcast.forecast.base import FirstOf
from nowcast.forecast.classical import Anvil, Sprog, Steps
from nowcast.forecast.extrapolation import Extrapolation
from nowcast.forecast.motion import motion_of
from nowcast.forecast.persistence import Persistence
from nowcast.forecast.pysteps_quietly import quietly

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import RadarOf
    from numpy.typing import NDArray

    from nowcast.forecast.base import Nowcaster

    Rates = NDArray[np.float32]

NOWCASTERS: tuple[Nowcaster, ...] = (
    Persistence(),
    Extrapolation(),
    Sprog(),
    Anvil(),
    Steps(members=3),
)
BY_PYSTEPS = NOWCASTERS[2:]
every_nowcaster = pytest.mark.parametrize("nowcaster", NOWCASTERS, ids=lambda n: n.name)
by_pysteps = pytest.mark.parametrize("nowcaster", BY_PYSTEPS, ids=lambda n: n.name)


def rate_of(forecast: schema.Forecast) -> Rates:
    rates: Rates = forecast["rainfall_rate"].values
    return rates


# What all have in common.


@every_nowcaster
def test_real_rain_gives_a_forecast_in_the_schema(
    nowcaster: Nowcaster, radar_of: RadarOf, swiss_crop: Rates
) -> None:
    past = radar_of(swiss_crop)
    before = past.copy(deep=True)
    forecast = nowcaster(past, steps=3)
    schema.as_forecast(forecast)
    assert past.identical(before), "the input is left alone"
    assert forecast.attrs["source"].startswith(nowcaster.name)
    assert forecast.attrs["institution"] == "a service"
    assert "degraded_reason" not in forecast.attrs
    assert forecast["forecast_reference_time"].values == past["time"].values[-1]
    minutes = forecast["lead_time"].values / np.timedelta64(1, "m")
    assert minutes.tolist() == [5, 10, 15]
    rates = rate_of(forecast)
    assert rates.shape == (3, 96, 112)
    assert 0.5 < np.nanmean(rates) / swiss_crop[-1].mean() < 1.5
    assert (forecast["quality_flag"].values == 0).all()


@every_nowcaster
def test_the_same_input_gives_the_same_forecast(
    nowcaster: Nowcaster, radar_of: RadarOf, storm: Rates
) -> None:
    past = radar_of(storm)
    first = nowcaster(past, steps=2)
    nowcaster(radar_of(storm[::-1]), steps=1)  # another one in between leaves no trace
    assert nowcaster(past, steps=2).identical(first)


@every_nowcaster
def test_dry_stays_dry(nowcaster: Nowcaster, radar_of: RadarOf) -> None:
    forecast = nowcaster(radar_of(np.zeros((4, 20, 30))), steps=2)
    assert not rate_of(forecast).any()
    assert "degraded_reason" not in forecast.attrs
    assert forecast.attrs["source"].startswith(nowcaster.name)


@every_nowcaster
def test_drizzle_stays_as_it_is(nowcaster: Nowcaster, radar_of: RadarOf) -> None:
    forecast = nowcaster(radar_of(np.full((4, 20, 30), 0.03)), steps=2)
    np.testing.assert_array_equal(rate_of(forecast), np.float32(0.03))


@every_nowcaster
def test_one_frame_too_few_is_refused(
    nowcaster: Nowcaster, radar_of: RadarOf, storm: Rates
) -> None:
    needed = nowcaster.history
    nowcaster(radar_of(storm[:needed]), steps=1)
    if needed > 1:
        with pytest.raises(ShortHistoryError, match=f"needs {needed} frames, found {needed - 1}"):
            nowcaster(radar_of(storm[: needed - 1]), steps=1)


@every_nowcaster
def test_an_unseen_newest_frame_is_refused(
    nowcaster: Nowcaster, radar_of: RadarOf, storm: Rates
) -> None:
    blind = storm.copy()
    blind[-1] = np.nan
    with pytest.raises(NothingObservedError, match="newest frame is all missing"):
        nowcaster(radar_of(blind), steps=1)


@every_nowcaster
def test_what_is_unseen_stays_unseen_wherever_the_air_goes(
    nowcaster: Nowcaster, radar_of: RadarOf, storm: Rates
) -> None:
    half = storm.copy()
    half[:, :, 32:] = np.nan
    past = radar_of(half)
    forecast = nowcaster(past, steps=3)
    np.testing.assert_array_equal(
        forecast["quality_flag"].values,
        np.where(np.arange(64) < 32, 0, 2)[np.newaxis] * np.ones((48, 1)),
    )
    rates = rate_of(forecast)
    if nowcaster.name == "persistence":
        expected = np.isnan(half[-1:])
    else:
        seen = torch.where(torch.tensor(np.isnan(half[-1])), torch.nan, 1.0)
        moved = extrapolate(seen, torch.tensor(motion_of(past)), steps=3)
        expected = torch.isnan(moved).numpy()
        assert expected[2, :, 33:].mean() < 1, "the seen air has moved right"
    np.testing.assert_array_equal(np.isnan(rates), np.broadcast_to(expected, rates.shape))


@every_nowcaster
def test_what_was_infilled_is_flagged(
    nowcaster: Nowcaster, radar_of: RadarOf, storm: Rates
) -> None:
    newest = [False, False, False, False, True]
    forecast = nowcaster(radar_of(storm, infilled=newest), steps=1)
    assert (forecast["quality_flag"].values == 1).all()
    long_ago = [True, False, False, False, False]
    forecast = nowcaster(radar_of(storm, infilled=long_ago), steps=1)
    assert (forecast["quality_flag"].values == 0).all()


@every_nowcaster
def test_nothing_is_printed_or_warned(
    nowcaster: Nowcaster, radar_of: RadarOf, storm: Rates, capsys: pytest.CaptureFixture[str]
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        nowcaster(radar_of(storm), steps=1)
    assert capsys.readouterr() == ("", "")


@every_nowcaster
@pytest.mark.parametrize("shape", [(2, 2), (3, 5), (9, 4), (37, 48), (31, 17)])
def test_small_and_odd_grids_work(
    nowcaster: Nowcaster, radar_of: RadarOf, storm: Rates, shape: tuple[int, int]
) -> None:
    part = storm[:, 10 : 10 + shape[0], 5 : 5 + shape[1]]
    rates = rate_of(nowcaster(radar_of(part), steps=2))
    assert rates.shape == (2, *shape)
    assert np.nanmax(rates, initial=0.0) <= 2 * part.max()


# Persistence and extrapolation.


def test_persistence_is_the_newest_frame(radar_of: RadarOf, storm: Rates) -> None:
    forecast = Persistence()(radar_of(storm), steps=2)
    np.testing.assert_array_equal(rate_of(forecast), storm[[-1, -1]])


def test_extrapolation_moves_the_storm(radar_of: RadarOf, storm: Rates) -> None:
    forecast = Extrapolation()(radar_of(storm[:3]), steps=2)
    rates = rate_of(forecast)
    for lead in (1, 2):
        inside = rates[lead - 1, 4:-4, 8:-8], storm[2 + lead, 4:-4, 8:-8]
        still = np.abs(storm[2, 4:-4, 8:-8] - inside[1]).mean()
        assert np.abs(inside[0] - inside[1]).mean() < 0.3 * still
    # 1.5 cells of 1 km to the right and half a one down in 5 min
    assert np.median(forecast["motion_x"]) == pytest.approx(5.0, rel=0.15)
    assert np.median(forecast["motion_y"]) == pytest.approx(-1.67, rel=0.3)


# By pysteps.


def in_decibel(rate: Rates) -> NDArray[np.float64]:
    return np.where(rate >= 0.1, 10 * np.log10(np.maximum(rate, 0.1)), -15.0)


def by_hand(name: str, rates: Rates, motion: Rates) -> NDArray[np.float64]:
    """The method called as pysteps' users call it, where all is seen."""
    with quietly():
        from pysteps import nowcasts

        method = nowcasts.get_method(name)
        if name == "anvil":
            answer: NDArray[np.float64] = method(
                rates[-4:].astype(float), motion, 3, ar_window_radius=25, ar_order=2
            )
            return answer
        more = {}
        if name == "steps":
            more = {"n_ens_members": 3, "kmperpixel": 1.0, "timestep": 5, "seed": 1}
        answer = method(
            in_decibel(rates[-3:]), motion, 3, precip_thr=-10.0, n_cascade_levels=6, **more
        )
    return np.where(answer <= -10, 0, 10 ** (answer / 10))


@by_pysteps
def test_where_pysteps_speaks_the_forecast_is_its_own(
    nowcaster: Nowcaster, radar_of: RadarOf, swiss_crop: Rates
) -> None:
    past = radar_of(swiss_crop)
    theirs = by_hand(nowcaster.name, swiss_crop, motion_of(past).astype(float))
    forecast = nowcaster(past, steps=3)
    name = "rainfall_rate_member" if nowcaster.name == "steps" else "rainfall_rate"
    ours = forecast[name].values
    said = np.isfinite(theirs) & np.isfinite(ours)
    assert said.mean() > 0.7
    np.testing.assert_allclose(ours[said], np.maximum(theirs[said], 0), rtol=1e-3, atol=1e-3)


@by_pysteps
def test_where_pysteps_is_silent_extrapolation_speaks(
    nowcaster: Nowcaster, radar_of: RadarOf, swiss_crop: Rates
) -> None:
    past = radar_of(swiss_crop)
    theirs = by_hand(nowcaster.name, swiss_crop, motion_of(past).astype(float))
    moved = rate_of(Extrapolation()(past, steps=3))
    forecast = nowcaster(past, steps=3)
    if nowcaster.name == "steps":
        ours = forecast["rainfall_rate_member"].values
        moved = np.broadcast_to(moved, ours.shape)
    else:
        ours = rate_of(forecast)
    np.testing.assert_array_equal(np.isnan(ours), np.isnan(moved))
    silent = np.isnan(theirs) & np.isfinite(moved)
    assert silent.any()
    np.testing.assert_array_equal(ours[silent], moved[silent])


def still(rates: Rates) -> Rates:
    return np.repeat(rates[-1:], 4, axis=0)


def one_cell(rates: Rates) -> Rates:
    alone = np.zeros_like(rates)
    alone[-1, 20, 30] = 5.0
    return alone


def everywhere(rates: Rates) -> Rates:
    return np.full_like(rates, 3.0)


@by_pysteps
@pytest.mark.parametrize("change", [still, one_cell, everywhere])
def test_where_pysteps_fails_extrapolation_stands_in_and_says_so(
    nowcaster: Nowcaster, radar_of: RadarOf, storm: Rates, change: Callable[[Rates], Rates]
) -> None:
    past = radar_of(change(storm))
    forecast = nowcaster(past, steps=2)
    assert forecast.attrs["source"].startswith("extrapolation:")
    assert forecast.attrs["degraded_reason"].startswith(nowcaster.name)
    assert forecast.attrs["degraded_reason"].endswith("extrapolation stands in")
    np.testing.assert_allclose(
        rate_of(forecast), rate_of(Extrapolation()(past, steps=2)), rtol=1e-6
    )


@by_pysteps
def test_an_earlier_reason_is_kept(nowcaster: Nowcaster, radar_of: RadarOf, storm: Rates) -> None:
    past = radar_of(still(storm)).assign_attrs(degraded_reason="a frame was infilled")
    forecast = nowcaster(schema.as_radar(past), steps=1)
    assert forecast.attrs["degraded_reason"].startswith(f"a frame was infilled; {nowcaster.name}")


@by_pysteps
def test_a_radar_that_was_out_for_a_frame_brings_no_storm(
    nowcaster: Nowcaster, radar_of: RadarOf, storm: Rates
) -> None:
    gap = storm.copy()
    gap[-2, 10:30, 20:40] = np.nan
    whole = rate_of(nowcaster(radar_of(storm), steps=2))
    broken = rate_of(nowcaster(radar_of(gap), steps=2))
    assert np.isfinite(broken[:, 8:-8, 8:-8]).all()
    assert np.nanmean(broken) == pytest.approx(np.nanmean(whole), rel=0.1)


def test_too_short_a_history_falls_back(radar_of: RadarOf, storm: Rates) -> None:
    methods = FirstOf((Anvil(), Extrapolation(), Persistence()))
    forecast = methods(radar_of(storm[:3]), steps=1)
    assert forecast.attrs["source"].startswith("extrapolation")
    assert "anvil: anvil needs 4 frames, found 3" in forecast.attrs["degraded_reason"]


# STEPS.


def test_steps_says_members_mean_and_probabilities(radar_of: RadarOf, swiss_crop: Rates) -> None:
    forecast = Steps(members=4)(radar_of(swiss_crop), steps=2)
    members = forecast["rainfall_rate_member"]
    assert members.dims == ("realization", "lead_time", "y", "x")
    assert forecast["realization"].values.tolist() == [0, 1, 2, 3]
    assert members.std("realization").mean() > 0.01, "the members differ"
    np.testing.assert_allclose(rate_of(forecast), members.values.mean(axis=0), rtol=1e-5)
    chances = forecast["probability_of_exceedance"].sel(threshold=1.0, method="nearest")
    np.testing.assert_allclose(
        chances.values[0],
        np.where(np.isnan(members[0, 0]), np.nan, (members[:, 0] >= 1).mean("realization")),
    )
    assert chances.dims == ("lead_time", "y", "x")


def test_the_seed_decides_and_nothing_else(radar_of: RadarOf, storm: Rates) -> None:
    past = radar_of(storm)
    np.random.seed(3)  # noqa: NPY002 - pysteps uses the global generator
    expected = np.random.random(3)  # noqa: NPY002
    np.random.seed(3)  # noqa: NPY002
    one = Steps(members=2, seed=5)(past, steps=1)
    np.testing.assert_array_equal(np.random.random(3), expected)  # noqa: NPY002
    again = Steps(members=2, seed=5, workers=1)(past, steps=1)
    other = Steps(members=2, seed=6)(past, steps=1)
    assert again.identical(one.assign_attrs(again.attrs))
    assert not np.array_equal(
        other["rainfall_rate_member"], one["rainfall_rate_member"], equal_nan=True
    )


def test_dry_members_are_as_many_as_asked(radar_of: RadarOf) -> None:
    forecast = Steps(members=5)(radar_of(np.zeros((3, 20, 30))), steps=2)
    assert forecast["rainfall_rate_member"].shape == (5, 2, 20, 30)
    assert not forecast["rainfall_rate_member"].any()
    assert not forecast["probability_of_exceedance"].any()


def test_a_single_member_is_an_ensemble_too(radar_of: RadarOf, storm: Rates) -> None:
    forecast = Steps(members=1)(radar_of(storm), steps=2)
    np.testing.assert_array_equal(forecast["rainfall_rate_member"].values[0], rate_of(forecast))
