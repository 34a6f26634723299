"""What the head makes of the network's output: by hand and by law."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nowcast.forecast.amounts import (
    averaged_in_decibel,
    expected_decibel,
    expected_rate,
    with_total_of,
)
from nowcast.forecast.head import RainHead

SURE = RainHead(thresholds_mm_h=(0.1, 1.0, 10.0), sharpens=True)


def output_of(
    *, scaled_rate: float, offsets: tuple[float, ...], log_sharpness: float
) -> torch.Tensor:
    """One cell: the two channels that are fed back, the offsets, how sure."""
    channels = [scaled_rate, 1.0, *offsets, log_sharpness]
    return torch.tensor(channels).view(-1, 1, 1)


def test_a_sharper_rate_is_surer_of_both_sides_by_hand() -> None:
    level = math.log10(1 + 1.0 / 0.1)  # of 1 mm/h: 1.0414
    above = output_of(scaled_rate=level + 0.1, offsets=(0.0, 0.0, 0.0), log_sharpness=math.log(2))
    below = output_of(scaled_rate=level - 0.1, offsets=(0.0, 0.0, 0.0), log_sharpness=math.log(2))
    assert SURE.logits(above)[1].item() == pytest.approx(2 * 6.0 * 0.1, rel=1e-4)
    assert SURE.logits(below)[1].item() == pytest.approx(2 * 6.0 * -0.1, rel=1e-4)


@given(
    rate=st.floats(0, 3),
    offsets=st.tuples(*[st.floats(-5, 5)] * 3),
    sharpness=st.floats(-100, 100),
)
def test_chances_are_finite_and_never_rise_with_the_threshold(
    rate: float, offsets: tuple[float, ...], sharpness: float
) -> None:
    output = output_of(scaled_rate=rate, offsets=offsets, log_sharpness=sharpness)
    chances = SURE.weighed(SURE.said(output, chances=True), None, chances=True)[1:].flatten()
    assert torch.isfinite(chances).all()
    assert (chances.diff() <= 0).all()


def test_a_head_of_less_confidence_says_less_of_both_sides_and_learns_the_same() -> None:
    output = output_of(scaled_rate=0.7, offsets=(0.0, 0.0, 0.0), log_sharpness=0.0)
    modest = replace(SURE, confidence=0.5)
    assert torch.equal(modest.logits(output), SURE.logits(output))
    sure, unsure = (head.said(output, chances=True)[1:] for head in (SURE, modest))
    torch.testing.assert_close(unsure, 0.5 * sure)


def test_the_head_and_its_architecture_come_back_from_a_header() -> None:
    assert RainHead.from_dict(SURE.to_dict()) == SURE
    config = SURE.config(hidden=4, layers=2, cascade_levels=2)
    assert (config.in_channels, config.out_channels) == (2, 2 + 3 + 1)
    assert config.cascade_levels == 2
    older = {name: value for name, value in SURE.to_dict().items() if name != "sharpens"}
    assert not RainHead.from_dict(older).sharpens


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


@given(seed=st.integers(0, 99), more=st.floats(0.8, 1.6))
def test_a_field_has_the_total_expected_and_stays_unseen_where_it_was(
    seed: int, more: float
) -> None:
    generator = torch.Generator().manual_seed(seed)
    rate = 5 * torch.rand(70, 90, generator=generator)
    rate[:20, :30] = torch.nan
    found = with_total_of(more * rate, rate)
    assert torch.equal(found.isnan(), rate.isnan())
    assert found.nansum() == pytest.approx(float(more * rate.nansum()), rel=0.03)
    # Strong rain changes by a larger part than weak rain.
    parts = ((found / rate) - 1).abs()
    assert (parts[rate > 4].mean() >= parts[rate < 1].mean()) or abs(more - 1) < 1e-3


def test_a_grid_that_ends_within_a_block_is_stretched_as_one_that_goes_on() -> None:
    generator = torch.Generator().manual_seed(4)
    rate = 5.0 * torch.rand(128, 128, generator=generator)
    expected = rate * torch.rand(128, 128, generator=generator) * 3.0
    for field in (rate, expected):
        field[:, 96:] = field[:, 96:97]  # so that a part of the last block has the mean of it
        field[96:] = field[96:97]
    whole = with_total_of(expected, rate)
    part = with_total_of(expected[:101, :110], rate[:101, :110])
    torch.testing.assert_close(part, whole[:101, :110], rtol=1e-4, atol=1e-4)


def test_dry_fields_stay_dry() -> None:
    assert (with_total_of(torch.ones(40, 40), torch.zeros(40, 40)) == 0).all()


@given(share=st.floats(0.0, 1.0), offsets=st.tuples(*[st.floats(-5, 5)] * 3))
def test_the_rate_is_the_same_whether_probabilities_are_asked_for(
    share: float, offsets: tuple[float, ...]
) -> None:
    head = replace(SURE, expectation_share=share)
    output = output_of(scaled_rate=0.7, offsets=offsets, log_sharpness=0.3)
    alone, beside = (
        head.weighed(head.said(output, chances=asked), None, chances=asked)
        for asked in (False, True)
    )
    assert torch.equal(alone, beside[: len(alone)])
    assert len(beside) == head.layers(chances=True) == len(alone) + 3
    assert (alone >= 0).all()
