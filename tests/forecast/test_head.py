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
    chances = SURE.weighed(SURE.said(output, chances=True), areas, chances=True)[1:].flatten()
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


@given(share=st.floats(0.0, 1.0), offsets=st.tuples(*[st.floats(-5, 5)] * 3))
def test_the_rate_is_the_same_whether_probabilities_are_asked_for(
    share: float, offsets: tuple[float, ...]
) -> None:
    head = replace(SURE, expectation_share=share)
    output = output_of(scaled_rate=0.7, offsets=offsets, log_sharpness=0.3)
    alone, beside = (
        head.weighed(head.said(output, chances=asked), head.areas(torch.ones(1, 1)), chances=asked)
        for asked in (False, True)
    )
    assert torch.equal(alone, beside[: len(alone)])
    assert len(beside) == head.layers(chances=True) == len(alone) + 3
    assert (alone >= 0).all()
