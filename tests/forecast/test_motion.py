from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyproj
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nowcast.field.grid import Grid
from nowcast.forecast.motion import decibel, motion_m_s, motion_of, rate_of_decibel
from nowcast.forecast.pysteps_quietly import quietly

if TYPE_CHECKING:
    from conftest import RadarOf
    from numpy.typing import NDArray

    Rates = NDArray[np.float32]

FIVE_MINUTES = np.timedelta64(5, "m")


def rms(one: Rates, other: Rates) -> float:
    return float(np.sqrt(((one - other) ** 2).sum(axis=0).mean()))


# Decibel.


def test_decibel_by_hand() -> None:
    rate = np.array([0, 0.05, 0.1, 1, 10, np.nan], np.float32)
    np.testing.assert_allclose(decibel(rate), [-15, -15, -10, 0, 10, -15], atol=1e-5)
    back = rate_of_decibel(np.array([-15, -10, 0, 10, np.nan], np.float32))
    np.testing.assert_allclose(back, [0, 0, 1, 10, np.nan], rtol=1e-6)


@given(st.floats(0.125, 200, width=32))
def test_decibel_and_back(rate: float) -> None:
    there = decibel(np.array([rate], np.float32))
    assert rate_of_decibel(there)[0] == pytest.approx(rate, rel=1e-5)


def test_decibel_leaves_its_input_alone() -> None:
    rate = np.array([[0, 2, np.nan]], np.float32)
    before = rate.copy()
    decibel(rate)
    np.testing.assert_array_equal(rate, before)


# What moves, and what does not.


def test_a_drifting_storm_drifts(radar_of: RadarOf, storm: Rates) -> None:
    motion = motion_of(radar_of(storm))
    assert motion.shape == (2, 48, 64)
    assert motion.dtype == np.float32
    assert np.median(motion[0]) == pytest.approx(1.5, abs=0.15)
    assert np.median(motion[1]) == pytest.approx(0.5, abs=0.15)


def test_the_motion_is_the_one_of_the_last_frames(radar_of: RadarOf, storm: Rates) -> None:
    backwards = np.concatenate([storm[::-1][:4], storm[1:]])
    last = motion_of(radar_of(backwards), frames=3)
    np.testing.assert_array_equal(last, motion_of(radar_of(storm[-3:])))


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("dry", lambda rates: rates * 0),
        ("drizzle below the threshold", lambda rates: rates * 0 + 0.05),
        ("one frame", lambda rates: rates[-1:]),
        ("all unseen but the newest", lambda rates: np.where([[[1]]] * 4 + [[[0]]], np.nan, rates)),
        ("newest dry", lambda rates: rates * np.array([[[1]]] * 4 + [[[0]]])),
    ],
)
def test_without_echoes_to_follow_the_motion_is_zero(
    radar_of: RadarOf,
    storm: Rates,
    name: str,
    change,  # type: ignore[no-untyped-def]
) -> None:
    motion = motion_of(radar_of(change(storm)))
    assert motion.shape == (2, 48, 64), name
    assert not motion.any(), name


@pytest.mark.parametrize("gap", [np.nan, 0.0])
def test_a_frame_without_echoes_ends_the_history(
    radar_of: RadarOf, storm: Rates, gap: float
) -> None:
    broken = storm.copy()
    broken[2] = gap
    np.testing.assert_array_equal(motion_of(radar_of(broken)), motion_of(radar_of(storm[3:])))


def test_a_radar_that_drops_out_does_not_turn_the_motion(
    radar_of: RadarOf, swiss_rates: Rates
) -> None:
    y, x = np.mgrid[:640, :710]
    broken = swiss_rates[-4:].copy()
    broken[-2][(y - 320) ** 2 + (x - 355) ** 2 < 160**2] = np.nan
    whole = motion_of(radar_of(swiss_rates[-4:]))
    speed = float(np.hypot(*whole).mean())
    assert rms(motion_of(radar_of(broken)), whole) < 0.3 * speed
    # Taken for dry, its edge looks like echoes that run away: the reason for the rule.
    assert rms(motion_of(radar_of(np.nan_to_num(broken))), whole) > 2 * speed


def test_a_mostly_missing_frame_is_not_used(radar_of: RadarOf, storm: Rates) -> None:
    broken = storm.copy()
    broken[2, 20:] = np.nan
    np.testing.assert_array_equal(motion_of(radar_of(broken)), motion_of(radar_of(storm[3:])))


def test_the_input_is_left_alone_and_the_answer_repeats(radar_of: RadarOf, storm: Rates) -> None:
    past = radar_of(storm)
    before = past["rainfall_rate"].values.copy()
    np.testing.assert_array_equal(motion_of(past), motion_of(past))
    np.testing.assert_array_equal(past["rainfall_rate"].values, before)


def test_the_motion_of_a_real_event_is_that_of_pysteps(
    radar_of: RadarOf, swiss_rates: Rates
) -> None:
    rates = swiss_rates[-4:, 200:420, 200:420]
    with quietly():
        from pysteps import motion

        wet = np.nan_to_num(rates)
        in_db = np.where(wet >= 0.1, 10 * np.log10(np.maximum(wet, 0.1)), -15.0)
        theirs = motion.get_method("LK")(in_db)
    np.testing.assert_allclose(motion_of(radar_of(rates)), theirs, atol=1e-5)


def test_nothing_is_printed(
    radar_of: RadarOf, storm: Rates, capsys: pytest.CaptureFixture[str]
) -> None:
    motion_of(radar_of(storm))
    assert capsys.readouterr() == ("", "")


# Large grids.


def test_between_blocks_the_motion_is_nearly_the_same(
    radar_of: RadarOf, swiss_rates: Rates
) -> None:
    past = radar_of(swiss_rates[-4:, 200:421, 200:433])
    fine, coarse = motion_of(past), motion_of(past, block=2)
    assert coarse.shape == fine.shape == (2, 221, 233)
    assert np.median(np.hypot(*(coarse - fine))) < 0.2 * np.hypot(*fine).mean()


def test_a_storm_between_blocks_moves_in_cells(radar_of: RadarOf) -> None:
    y, x = np.mgrid[:120, :150]
    random = np.random.default_rng(3)
    cells = [(*random.uniform(0, 150, 2), random.uniform(2, 20)) for _ in range(12)]
    storm = [
        sum(p * np.exp(-((y - r + 3 * t) ** 2 + (x - c - 6 * t) ** 2) / 100) for r, c, p in cells)
        for t in range(3)
    ]
    motion = motion_of(radar_of(storm), block=3)
    assert np.median(motion[0]) == pytest.approx(6, abs=0.6)
    assert np.median(motion[1]) == pytest.approx(-3, abs=0.4)


def test_block_means_do_not_count_what_is_missing(radar_of: RadarOf, storm: Rates) -> None:
    broken = storm.copy()
    broken[:, ::2, ::2] = np.nan  # of every block of four one cell is missing
    whole = motion_of(radar_of(storm), block=2)
    assert rms(motion_of(radar_of(broken), block=2), whole) < 0.3 * float(np.hypot(*whole).mean())


# Metres per second.


def test_metres_per_second_by_hand() -> None:
    grid = Grid(pyproj.CRS.from_epsg(3035), 0, 0, dx=1000, dy=500, height=2, width=3)
    motion = np.stack([np.full((2, 3), 3.0), np.full((2, 3), 1.2)]).astype(np.float32)
    x, y = motion_m_s(motion, grid=grid, step=FIVE_MINUTES)
    assert x.shape == y.shape == (2, 3)
    np.testing.assert_allclose(x, 10.0)  # 3 km in 300 s
    np.testing.assert_allclose(y, -2.0)  # 600 m down the rows, which is southwards


def test_on_a_lat_lon_grid_every_row_has_its_own_metres() -> None:
    # Rows at 60 and 0 degrees north: a degree of longitude is half as long on the first.
    grid = Grid(pyproj.CRS.from_epsg(4326), 0, 90, dx=0.01, dy=60, height=2, width=3)
    motion = np.ones((2, 2, 3), np.float32)
    x, _ = motion_m_s(motion, grid=grid, step=FIVE_MINUTES)
    metres = 0.01 * 2 * np.pi * 6_371_000 / 360
    np.testing.assert_allclose(x[0], metres / 300 / 2, rtol=1e-5)
    np.testing.assert_allclose(x[1], metres / 300, rtol=1e-5)
