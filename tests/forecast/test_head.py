"""What the head makes of the network's output: by hand and by law."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nowcast.forecast.amounts import averaged_in_decibel, expected_decibel
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
    chances = SURE.said(output, chances=True)[1:].flatten()
    assert torch.isfinite(chances).all()
    assert (chances.diff() <= 0).all()


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


@given(share=st.floats(0.0, 1.0), offsets=st.tuples(*[st.floats(-5, 5)] * 3))
def test_the_rate_is_the_same_whether_probabilities_are_asked_for(
    share: float, offsets: tuple[float, ...]
) -> None:
    head = replace(SURE, expectation_share=share)
    output = output_of(scaled_rate=0.7, offsets=offsets, log_sharpness=0.3)
    alone, beside = head.said(output, chances=False), head.said(output, chances=True)
    assert torch.equal(alone, beside[:1])
    assert alone >= 0
