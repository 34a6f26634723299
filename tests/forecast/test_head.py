"""What the head makes of the network's output: by hand and by law."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

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
    areas = SURE.areas(torch.ones(1, 1))
    said = SURE.said(output, chances=True)
    chances = SURE.weighed(said, areas, minutes=5.0, chances=True)[1:].flatten()
    assert torch.isfinite(chances).all()
    assert (chances.diff() <= 0).all()


def test_a_head_of_less_confidence_says_less_of_both_sides_and_learns_the_same() -> None:
    output = output_of(scaled_rate=0.7, offsets=(0.0, 0.0, 0.0), log_sharpness=0.0)
    modest = replace(SURE, confidence=0.5)
    assert torch.equal(modest.logits(output), SURE.logits(output))
    sure, unsure = (head.said(output, chances=True)[1:] for head in (SURE, modest))
    torch.testing.assert_close(unsure, 0.5 * sure)


def test_the_field_is_made_before_probabilities_are_softened() -> None:
    said = torch.full((4, 30, 40), -1.0)
    said[1:, :, 20:] = 1.0
    soft = replace(SURE, expectation_share=0.5, firmness=0.6)
    areas = soft.areas(torch.ones(30, 40))
    before, after = (
        head.weighed(said.clone(), areas, minutes=30.0, chances=True)
        for head in (replace(soft, firmness=1.0), soft)
    )
    assert torch.equal(after[0], before[0])
    chances = torch.sigmoid(torch.tensor([-0.6, 0.6])).repeat_interleave(20).expand(3, 30, 40)
    torch.testing.assert_close(after[1:], chances, atol=1e-3, rtol=0)  # a half of all as before


def test_the_firmness_falls_with_the_lead_time_between_bounds() -> None:
    head = replace(SURE, firmness=0.9, firmness_fades=0.5)
    assert head.firm(30.0) == pytest.approx(0.9)
    assert head.firm(120.0) == pytest.approx(0.45 / 0.9)  # not 0.45: the least is 0.5
    assert head.firm(60.0) == pytest.approx(0.9 / 2**0.5)
    assert head.firm(1.0) == 1.4
    assert replace(SURE, firmness=1.0).firm(90.0) == 1.0


def test_the_head_and_its_architecture_come_back_from_a_header() -> None:
    assert RainHead.from_dict(SURE.to_dict()) == SURE
    config = SURE.config(hidden=4, layers=2, cascade_levels=2)
    assert (config.in_channels, config.out_channels) == (2, 2 + 3 + 1)
    assert config.cascade_levels == 2
    older = {name: value for name, value in SURE.to_dict().items() if name != "sharpens"}
    assert not RainHead.from_dict(older).sharpens


@given(share=st.floats(0.0, 1.0), offsets=st.tuples(*[st.floats(-5, 5)] * 3))
def test_the_rate_is_the_same_whether_probabilities_are_asked_for(
    share: float, offsets: tuple[float, ...]
) -> None:
    head = replace(SURE, expectation_share=share)
    output = output_of(scaled_rate=0.7, offsets=offsets, log_sharpness=0.3)
    alone, beside = (
        head.weighed(
            head.said(output, chances=asked),
            head.areas(torch.ones(1, 1)),
            minutes=5.0,
            chances=asked,
        )
        for asked in (False, True)
    )
    assert torch.equal(alone, beside[: len(alone)])
    assert len(beside) == head.layers(chances=True) == len(alone) + 3
    assert (alone >= 0).all()
