"""Bands of a spectrum, and noise that gives members the texture of the newest frame."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from nowcast.forecast.members import ensemble
from nowcast.forecast.noise import NoiseSource
from nowcast.forecast.spectrum import BANDS, Bands, wavenumbers
from nowcast.forecast.texture import tuned

THRESHOLDS = (0.1, 0.5, 1.0, 3.0, 10.0)
CPU = torch.device("cpu")


def bands(shape: tuple[int, int]) -> Bands:
    return Bands(shape, device=CPU)


def test_wavenumbers_by_hand() -> None:
    """A 2x4 field: along the rows a wave of four cells and one of two, down the columns of two."""
    expected = [[0.0, 0.25, 0.5], [0.5, math.hypot(0.5, 0.25), math.hypot(0.5, 0.5)]]
    np.testing.assert_allclose(wavenumbers((2, 4), device=CPU), expected, rtol=1e-6)


@pytest.mark.parametrize(("length", "band"), [(96.0, 0), (48.0, 1), (18.0, 4), (9.0, 6), (3.0, 9)])
def test_a_wave_is_in_the_band_of_its_length(length: float, band: int) -> None:
    places = torch.arange(288) * (2 * math.pi / length)
    power = bands((288, 288)).power(torch.sin(places)[:, None].expand(288, 288))
    assert int(power.argmax()) == band


@given(st.floats(-20, 20), st.integers(20, 90), st.integers(20, 90))
def test_one_value_for_all_bands_is_that_at_every_wave(
    value: float, height: int, width: int
) -> None:
    spread = bands((height, width)).spread(torch.full((BANDS,), value))
    np.testing.assert_allclose(spread, np.full((height, width // 2 + 1), value), 1e-5, 1e-6)


def test_a_band_that_is_louder_has_more_of_the_power_and_the_variance_stays_one() -> None:
    source = NoiseSource.like(torch.zeros(128, 128), cell_km=1.0, step_minutes=5.0)
    raised = torch.zeros(2, BANDS)
    raised[1, 6] = 10.0
    noise = replace(source, louder=raised)
    plain, louder = noise.fields(members=40, leads=2, seed=3)
    assert float(louder.var()) == pytest.approx(1.0, abs=0.05)
    found = bands((128, 128))
    before, after = (
        torch.stack([found.power(field) for field in fields]).mean(dim=0)
        for fields in (plain, louder)
    )
    gained = 10.0 * torch.log10(after / before)
    assert int(gained.argmax()) == 6
    # Linear between the bands: what is raised by 10 dB in the middle is by some 7 dB in the mean.
    assert 5.0 < float(gained[6] - gained[10]) < 10.0


def rain(size: int = 192, *, seed: int = 0) -> Tensor:
    """Rain in mm h-1 with fine texture over half of a grid."""
    noise = NoiseSource.like(torch.zeros(size, size), cell_km=1.0, step_minutes=5.0)
    (field,) = noise.fields(members=1, leads=1, seed=seed)
    fine = torch.randn(size, size, generator=torch.Generator().manual_seed(seed))
    return torch.where(field[0] > 0, 10.0 ** (0.5 * field[0] + 0.2 * fine), 0.0)


def smooth_chances(rate: Tensor, *, leads: int) -> Tensor:
    """Probabilities (K, leads, H, W) that know where it rains within some ten cells."""
    reached = torch.stack([(rate >= threshold).float() for threshold in THRESHOLDS])
    window = torch.nn.functional.avg_pool2d(
        reached[None], 11, stride=1, padding=5, count_include_pad=False
    )[0]
    return window[:, None].expand(-1, leads, -1, -1).contiguous()


def bands_of(rate: Tensor) -> Tensor:
    decibel = torch.where(rate >= 0.1, 10.0 * rate.clamp(min=0.1).log10(), -15.0)
    return 10.0 * torch.log10(bands((rate.shape[0], rate.shape[1])).power(decibel))


def test_members_of_tuned_noise_have_the_spectrum_of_the_newest_frame() -> None:
    newest = rain()
    chances = smooth_chances(newest, leads=4)
    still = torch.zeros(4, 2, *newest.shape)
    like = NoiseSource.like(10.0 * newest.clamp(min=0.03).log10(), cell_km=1.0, step_minutes=5.0)
    made = tuned(like, newest, chances, thresholds_mm_h=THRESHOLDS, displacement=still, members=10)
    wrong = {}
    for name, noise in (("plain", like), ("tuned", made)):
        members = ensemble(
            chances,
            thresholds_mm_h=THRESHOLDS,
            noise=noise,
            displacement=still,
            members=10,
            seed=5,  # of other waves than those that it was tuned by
        )
        found = torch.stack([bands_of(member) for member in members[:, 3]]).mean(dim=0)
        wrong[name] = float((found - bands_of(newest))[3:].abs().mean())
    assert wrong["tuned"] < 1.0
    assert wrong["plain"] > 1.8


def test_where_it_is_dry_the_noise_stays() -> None:
    dry = torch.zeros(32, 40)
    like = NoiseSource.like(dry, cell_km=1.0, step_minutes=5.0)
    chances = torch.zeros(len(THRESHOLDS), 2, 32, 40)
    still = torch.zeros(2, 2, 32, 40)
    for newest in (dry, rain(40)[:32]):  # nothing now; nothing later
        made = tuned(
            like,
            newest,
            chances,
            thresholds_mm_h=THRESHOLDS,
            displacement=still,
            members=10,
        )
        assert made is like


def test_what_was_not_seen_tunes_nothing() -> None:
    newest = rain(96)
    chances = smooth_chances(newest, leads=1)
    still = torch.zeros(1, 2, 96, 96)
    like = NoiseSource.like(newest, cell_km=1.0, step_minutes=5.0)
    newest[:20], chances[..., :20, :] = torch.nan, torch.nan
    made = tuned(like, newest, chances, thresholds_mm_h=THRESHOLDS, displacement=still, members=10)
    assert made.louder is not None
    assert torch.isfinite(made.louder).all()
    dry = newest.nan_to_num(0.0)
    same = tuned(
        like,
        dry,
        chances.nan_to_num(0.0),
        thresholds_mm_h=THRESHOLDS,
        displacement=still,
        members=10,
    )
    assert same.louder is not None
    np.testing.assert_array_equal(made.louder, same.louder)
