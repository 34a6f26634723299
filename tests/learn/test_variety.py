from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from storm_episode import episode

from config.recipe import VarietyPart
from nowcast.forecast.head import RainHead
from nowcast.ingest.simulated import Storm, low_countries
from nowcast.learn.crops import CropSettings, LagrangianCrops
from nowcast.learn.episodes import Episode
from nowcast.learn.variety import AS_MEASURED, OtherRadar, Variety, resized

RATE = np.array([[[0.05, 0.4], [2.0, np.nan]]] * 3, np.float32)
EVERYTHING = Variety(
    intensity=2.0,
    share=1.0,
    zoom=2.0,
    slower=2,
    faintest_mm_h=0.3,
    noise_decibel=1.0,
    lost=0.3,
    blind=0.5,
)
HEAD = RainHead(history=3, thresholds_mm_h=(0.1, 1.0), knows_sampling=True)


def test_as_measured_nothing_changes() -> None:
    np.testing.assert_array_equal(AS_MEASURED.sees(RATE, side=2), RATE)


def test_what_is_too_weak_is_dry_and_what_is_unseen_stays_so() -> None:
    seen = OtherRadar(faintest_mm_h=0.3).sees(RATE, side=2)
    np.testing.assert_array_equal(seen[0], np.array([[0.0, 0.4], [2.0, np.nan]], np.float32))


def test_a_lost_frame_is_unseen_and_the_others_are_there() -> None:
    seen = OtherRadar(lost=(1,)).sees(RATE, side=2)
    assert np.isnan(seen[1]).all()
    np.testing.assert_array_equal(seen[[0, 2]], RATE[[0, 2]])


def test_beyond_a_line_nothing_is_seen_in_any_frame() -> None:
    rain = np.ones((2, 10, 10), np.float32)
    # To the east, from 2 cells off the middle.
    seen = OtherRadar(blind=(0.0, 0.2)).sees(rain, side=10)
    assert np.isfinite(seen[:, :, :7]).all()
    assert np.isnan(seen[:, :, 7:]).all()
    below = OtherRadar(blind=(math.pi / 2, 0.2)).sees(rain, side=10)
    np.testing.assert_array_equal(below, seen.transpose(0, 2, 1))


def test_noise_is_each_frames_own_multiplies_the_rain_and_has_the_deviation_asked_for() -> None:
    rain = np.full((2, 100, 100), 3.0, np.float32)
    rain[:, 0] = 0.0
    radar = OtherRadar(noise_decibel=1.5, seed=7)
    seen = radar.sees(rain, side=100)
    assert (seen[:, 0] == 0).all()
    decibel = 10 * np.log10(seen[:, 1:] / 3.0)
    assert decibel.mean() == pytest.approx(0.0, abs=0.05)
    assert decibel.std() == pytest.approx(1.5, rel=0.03)
    assert abs(np.corrcoef(decibel[0].ravel(), decibel[1].ravel())[0, 1]) < 0.05
    np.testing.assert_array_equal(seen, radar.sees(rain, side=100))


def test_cells_twice_as_large_hold_the_mean_and_are_seen_where_all_of_it_is() -> None:
    fields = np.zeros((1, 8, 8), np.float32)
    fields[0, :, 4:] = 4.0
    fields[0, 0, 0] = np.nan
    halved = resized(fields, side=4)[0]
    assert np.isnan(halved[0, 0])
    assert halved[3].tolist() == pytest.approx([0.0, halved[3, 1], 4 - halved[3, 1], 4.0])
    assert np.nanmean(halved[2:]) == pytest.approx(2.0)


@given(st.integers(5, 40), st.integers(5, 40), st.floats(0.1, 50))
def test_even_rain_stays_as_it_is_at_any_size_of_cells(
    before: int, after: int, rate: float
) -> None:
    even = np.full((1, before, before), rate, np.float32)
    np.testing.assert_allclose(resized(even, side=after), rate, rtol=1e-5)


@given(st.integers(0, 2**32))
def test_radars_are_within_the_limits(seed: int) -> None:
    radar = EVERYTHING.radar(np.random.default_rng(seed), history=4, slowest=9)
    assert radar.every in {1, 2}
    assert 0.5 <= radar.zoom <= 2.0
    assert 0.01 <= radar.faintest_mm_h <= 0.3
    assert 0 <= radar.noise_decibel <= 1.0
    assert set(radar.lost) <= {0, 1, 2}  # the newest is always there
    assert 0.1 <= radar.blind[1] <= 0.5 or math.isinf(radar.blind[1])
    assert EVERYTHING.radar(np.random.default_rng(seed), history=4, slowest=1).every == 1
    assert 0.5 <= EVERYTHING.factor(np.random.default_rng(seed)) <= 2.0


def test_only_a_share_of_the_samples_is_seen_by_another_radar() -> None:
    half = replace(EVERYTHING, share=0.5)
    generator = np.random.default_rng(1)
    measured = [half.radar(generator, history=4, slowest=1) == AS_MEASURED for _ in range(400)]
    assert 0.4 < np.mean(measured) < 0.6
    assert Variety().radar(generator, history=4, slowest=9) == AS_MEASURED
    assert Variety().factor(generator) == 1.0


def test_a_recipe_can_ask_for_all_of_it() -> None:
    assert set(VarietyPart.model_fields) == set(Variety.__dataclass_fields__)
    assert Variety(**VarietyPart(intensity=1.0).model_dump()) == Variety()


@pytest.fixture(scope="module")
def drifting() -> Episode:
    """Rain that only drifts, 3.3 cells of 1 km a step to the east and half of that to the north."""
    storm = Storm(
        grid=low_countries(160), motion_m_s=(11.0, 5.5), lifetime_minutes=np.inf, life_minutes=1e6
    )  # fmt: skip
    return episode(storm)


@pytest.mark.parametrize(
    "radar", [AS_MEASURED, OtherRadar(zoom=0.5), OtherRadar(zoom=2.0), OtherRadar(every=2)]
)
def test_what_only_drifts_stands_still_whatever_the_cells_and_the_cadence(
    drifting: Episode, radar: OtherRadar
) -> None:
    crops = crops_of(drifting)
    moved = crops._moved(drifting, 4, row=80, column=80, radar=radar).numpy()
    standing = crops._moved(standing_still(drifting), 4, row=80, column=80, radar=radar).numpy()
    scaled = np.log(moved + 0.1)
    unmoved = np.log(standing + 0.1)
    apart = np.nanmean(np.abs(scaled[4] - scaled[2]))
    assert apart < 0.4 * np.nanmean(np.abs(unmoved[4] - unmoved[2]))


def crops_of(one: Episode, *, variety: Variety = Variety()) -> LagrangianCrops:  # noqa: B008
    settings = CropSettings(size=32, margin=8, variety=variety)
    return LagrangianCrops([one], head=HEAD, settings=settings, batch_size=4, seed=2)


def standing_still(one: Episode) -> Episode:
    """The episode with a motion of nothing."""
    still = np.zeros((2, *one.rate_mm_h.shape[1:]), np.float16)
    return replace(one, _motions=dict.fromkeys(range(12), still))


def test_a_slower_radar_has_the_frames_of_its_times_and_no_others(drifting: Episode) -> None:
    still = standing_still(drifting)
    crops = crops_of(still)
    moved = crops._moved(still, 6, row=80, column=80, radar=OtherRadar(every=3)).numpy()
    times = [0, 3, 6, 9]  # three up to issue time, and one lead: there are twelve frames
    np.testing.assert_allclose(moved[:4], drifting.rate_mm_h[times, 64:96, 64:96], rtol=1e-6)
    assert np.isnan(moved[4:]).all()


def test_the_network_is_told_the_cells_and_the_cadence_of_the_radar_that_sees(
    drifting: Episode,
) -> None:
    variety = replace(EVERYTHING, lost=0.0, blind=0.0)
    batch = crops_of(drifting, variety=variety).batch_at(0)
    told = batch["frames"][:, 0, 3, 0, 0]
    usual = 0.5 * math.log2(drifting.sampling.cell_km)
    assert len(set(told.tolist())) == 4
    assert ((told - usual).abs() <= 0.5 + 1e-6).all()
    steps = batch["frames"][:, 0, 2, 0, 0]
    assert set(steps.tolist()) <= {0.0, 0.5}  # 5 or 10 minutes
    again = crops_of(drifting, variety=variety).batch_at(0)
    assert again["frames"].equal(batch["frames"])
