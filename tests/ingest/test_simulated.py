from __future__ import annotations

import numpy as np
import pytest

from nowcast.field.schema import cadence, grid_of
from nowcast.ingest.simulated import Storm, low_countries

START = np.datetime64("2026-06-01T12:00", "ns")


def test_a_frozen_storm_only_moves_and_grows() -> None:
    # 10 km east and 5 km north in 10 min, on cells of 1 km: whole cells, so nothing blurs it.
    storm = Storm(
        grid=low_countries(64),
        motion_m_s=(10_000 / 600, 5_000 / 600),
        lifetime_minutes=np.inf,
        peak_minutes=10,
        life_minutes=10,
    )
    first, later = storm.rate_mm_h(0), storm.rate_mm_h(10)
    grown = 10 ** ((storm.growth_decibel(10) - storm.growth_decibel(0)) / 10)
    moved = first[5:, :-10] * grown
    both = (moved > 0.5) & (later[:-5, 10:] > 0.5) & (later[:-5, 10:] < 100)
    assert grown == pytest.approx(10**0.5)
    assert both.sum() > 50
    np.testing.assert_allclose(later[:-5, 10:][both], moved[both], rtol=1e-3)


def test_rotation_is_anticlockwise() -> None:
    storm = Storm(
        grid=low_countries(65),
        motion_m_s=(0, 0),
        rotation_degrees_per_hour=90,
        lifetime_minutes=np.inf,
        life_minutes=1e9,
    )
    np.testing.assert_allclose(
        storm.rate_mm_h(60)[8:-8, 8:-8],
        np.rot90(storm.rate_mm_h(0))[8:-8, 8:-8],
        atol=1e-3,
        rtol=1e-3,
    )


def test_a_seed_fixes_the_storm() -> None:
    kept = Storm(grid=low_countries(32), seed=4).rate_mm_h(25)
    np.testing.assert_array_equal(kept, Storm(grid=low_countries(32), seed=4).rate_mm_h(25))
    assert np.abs(kept - Storm(grid=low_countries(32), seed=5).rate_mm_h(25)).max() > 0.1


def test_unseen_beyond_the_radar_range_and_dry_within() -> None:
    rate = Storm(grid=low_countries(64), radar_range_km=20).rate_mm_h(0)
    assert np.isnan(rate[0, 0])
    assert np.isfinite(rate[32, 32])
    assert np.nanmin(rate) == 0


def test_small_scales_live_shorter_than_large_ones() -> None:
    storm = Storm(motion_m_s=(0, 0), life_minutes=1e9)
    power = [np.abs(np.fft.fft2(storm._standard_field(minutes))) ** 2 for minutes in (0, 30)]
    cross = np.fft.fft2(storm._standard_field(0)) * np.conj(np.fft.fft2(storm._standard_field(30)))
    wave = np.hypot(np.fft.fftfreq(256)[:, None], np.fft.fftfreq(256)[None, :])

    def coherence(low: float, high: float) -> float:
        ring = (wave > low) & (wave < high)
        return float(
            np.abs(cross[ring].sum()) / np.sqrt(power[0][ring].sum() * power[1][ring].sum())
        )

    assert coherence(1 / 120, 1 / 60) > 0.9
    assert coherence(1 / 12, 1 / 8) < 0.5


def test_the_wet_fraction_at_the_peak_is_as_asked() -> None:
    storm = Storm(wet_fraction=0.25)
    assert (storm.rate_mm_h(storm.peak_minutes) > 0).mean() == pytest.approx(0.25, abs=0.01)


def test_as_radar_it_has_cadence_grid_and_says_that_it_is_simulated() -> None:
    radar = Storm(grid=low_countries(32)).radar(start=START, frames=3)
    assert cadence(radar) == np.timedelta64(5, "m")
    assert radar.attrs["simulated"] == "true"
    assert grid_of(radar).cell(lon=4.35, lat=50.85) is not None  # Brussels
