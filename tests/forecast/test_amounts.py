"""One field of a distribution, with the right total: by hand, by law and by story."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nowcast.field.scaling import RainScaling
from nowcast.forecast.amounts import (
    Amounts,
    averaged_in_decibel,
    expected_decibel,
    expected_rate,
    scaled_quantile,
)
from nowcast.forecast.regions import Regions

THRESHOLDS = (0.1, 0.3, 0.5, 1.0, 3.0, 5.0, 10.0, 30.0)
SCALING = RainScaling()
AMOUNTS = Amounts(THRESHOLDS, scaling=SCALING, slope=6.0, share=0.5)


def test_the_expected_rate_in_decibel_by_hand() -> None:
    # Rain of 1 mm/h or more (0 dB) is certain at the first cell, half likely at the second.
    chances = torch.tensor([[[1.0, 0.5]], [[1.0, 0.5]], [[0.0, 0.0]]])
    mean = expected_decibel(chances, thresholds_mm_h=(0.1, 1.0, 10.0))
    # -15 + 5 + 10 + 10 / 2 (linear down to nothing at 10 mm/h), and half of that way.
    torch.testing.assert_close(mean, torch.tensor([[5.0, -5.0]]))


def test_an_average_in_decibel_by_hand() -> None:
    rate = torch.tensor([10.0, 0.0, 0.0])
    found = averaged_in_decibel(rate, torch.tensor([0.0, -9.0, -11.0]), share=0.5)
    # 10 and 0 dB are 5 dB; -15 and -9 are -12, the least rate; -15 and -11 are dry.
    torch.testing.assert_close(found, torch.tensor([10**0.5, 0.1, 0.0]))


def test_the_expected_rate_by_hand() -> None:
    # Certain up to 0.1 mm/h, half likely at 1, and no more beyond: 0.1, then (1 - 1/2) / ln 2
    # of 0.9 mm/h, then nearly nothing of 9 (1/2 over the logarithm of 5e6).
    chances = torch.tensor([[[1.0]], [[0.5]], [[0.0]]])
    mean = expected_rate(chances, thresholds_mm_h=(0.1, 1.0, 10.0))
    expected = 0.1 + 0.9 * 0.5 / math.log(2) + 9 * 0.5 / math.log(5e6)
    assert mean.item() == pytest.approx(expected, rel=1e-4)


@given(rate=st.floats(0.01, 20.0), scale=st.floats(0.1, 5.0))
def test_an_exponential_distribution_has_its_mean(rate: float, scale: float) -> None:
    thresholds = tuple(np.geomspace(0.01, 100, 40))
    chances = torch.exp(-torch.tensor(thresholds) / scale).view(-1, 1, 1) * min(rate, 1.0)
    mean = expected_rate(chances, thresholds_mm_h=thresholds).item()
    assert mean == pytest.approx(min(rate, 1.0) * scale, rel=0.01, abs=0.002)


def test_a_quantile_by_hand() -> None:
    levels = torch.tensor([0.3, 1.0, 2.0])
    logits = torch.tensor([[1.0, -2.0, 4.0], [-1.0, -3.0, 3.0], [-5.0, -4.0, 1.0]])
    found = scaled_quantile(logits, exceeded=torch.tensor(0.0), levels=levels, slope=4.0)
    # Half way between the first two levels; below the lowest; a quarter above the highest.
    torch.testing.assert_close(found, torch.tensor([0.65, 0.0, 2.25]))


def distribution(middle: torch.Tensor, *, slope: float) -> torch.Tensor:
    """Logits (K, H, W) of a logistic distribution of the scaled rate around its ``middle``."""
    levels = SCALING.scaled(torch.tensor(THRESHOLDS)).view(-1, 1, 1)
    return slope * (middle - levels)


def storm(height: int, width: int) -> torch.Tensor:
    """A scaled rate: cells of rain on a grid that is dry else."""
    rows, columns = torch.arange(height)[:, None] / 7.0, torch.arange(width) / 9.0
    return (1.5 * rows.sin() * columns.cos()).clamp(min=0.0) * 1.4


@given(slope=st.floats(2.5, 8.0))
def test_a_field_has_the_total_that_is_expected_and_more_where_more_was_said(slope: float) -> None:
    middle = storm(120, 150)
    logits = distribution(middle, slope=slope)
    likely = logits.sigmoid()
    rate = SCALING.rate_mm_h(middle)
    field = AMOUNTS.field(rate, logits, Regions(torch.ones(120, 150, dtype=torch.bool)))
    expected = expected_rate(likely, thresholds_mm_h=THRESHOLDS)
    assert field.sum() == pytest.approx(float(expected.sum()), rel=0.02)
    order = middle.flatten().argsort()
    assert (field.flatten()[order].diff() >= -1e-3).all()


def test_more_rain_goes_where_it_costs_least() -> None:
    """The error of a field with one total, over what may come, is below that of a stretched one.

    Half of the grid is surer than the other.
    """
    middle, slope = storm(120, 150), torch.full((120, 150), 8.0)
    slope[:, 75:] = 2.5
    logits = slope * distribution(middle, slope=1.0)
    rate = SCALING.rate_mm_h(middle)
    everywhere = Regions(torch.ones(120, 150, dtype=torch.bool))
    field = Amounts(THRESHOLDS, scaling=SCALING, slope=4.0, share=0.0).field(
        rate, logits, everywhere
    )
    stretched = rate * (field.sum() / rate.sum())
    draws = torch.logit(torch.linspace(0.005, 0.995, 100)).view(-1, 1, 1) / slope
    come = SCALING.rate_mm_h(middle + draws)
    assert (field - come).abs().mean() < 0.99 * (stretched - come).abs().mean()


def test_what_is_not_seen_does_not_change_what_is() -> None:
    middle = storm(80, 100)
    logits = distribution(middle, slope=4.0)
    seen = torch.ones(80, 100, dtype=torch.bool)
    seen[:, 60:] = False
    rate = SCALING.rate_mm_h(middle)
    alone = AMOUNTS.field(rate, logits, Regions(seen))
    logits[..., 60:], rate[:, 60:] = 9.0, 90.0
    beside = AMOUNTS.field(rate, logits, Regions(seen))
    torch.testing.assert_close(alone[:, :60], beside[:, :60])


def test_dry_fields_stay_dry() -> None:
    logits = torch.full((8, 40, 40), -6.0)
    everywhere = Regions(torch.ones(40, 40, dtype=torch.bool))
    assert (AMOUNTS.field(torch.zeros(40, 40), logits, everywhere) == 0).all()
