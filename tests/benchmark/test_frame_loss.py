"""The loss of the benchmarks: what counts, and how much."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from nowcast.benchmark.objective import FrameLoss


class Says(nn.Module):
    """A network that says one number for each predicted frame."""

    def __init__(self, *numbers: float) -> None:
        super().__init__()
        self.numbers = torch.tensor(numbers)

    def forward(self, frames: Tensor, **_: object) -> Tensor:
        batch, _, *grid = frames.shape
        return self.numbers.view(1, -1, 1, 1, 1).expand(batch, -1, *grid)


ZEROS = {"frames": torch.zeros(2, 5, 1, 2, 2)}
# Frames 1 to 4 predicted of five, two of them given: leads 0 (within the input), 1, 2 and 3.
SQUARES = Says(1.0, 2.0, 3.0, 4.0)  # errors of 1, 4, 9 and 16


@pytest.mark.parametrize(
    ("counted", "exponent", "expected"),
    [
        ("all", 0.0, (1 + 4 + 9 + 16) / 4),
        ("all", 1.0, (1 + 4 + 9 / 2 + 16 / 3) / (1 + 1 + 1 / 2 + 1 / 3)),
        ("forecast", 0.0, (4 + 9 + 16) / 3),
        ("forecast", 1.0, (4 + 9 / 2 + 16 / 3) / (1 + 1 / 2 + 1 / 3)),
    ],
)
def test_later_leads_weigh_less_as_the_exponent_says(
    counted: str, exponent: float, expected: float
) -> None:
    forecast_only = counted == "forecast"
    loss = FrameLoss(2, patch=1, forecast_only=forecast_only, lead_exponent=exponent)
    assert float(loss(SQUARES, ZEROS)) == pytest.approx(expected)


def test_the_absolute_error_is_weighted_alike() -> None:
    loss = FrameLoss(2, patch=1, absolute_share=0.5, lead_exponent=1.0)
    total = 1 + 1 + 1 / 2 + 1 / 3
    squared = (1 + 4 + 9 / 2 + 16 / 3) / total
    absolute = (1 + 2 + 3 / 2 + 4 / 3) / total
    assert float(loss(SQUARES, ZEROS)) == pytest.approx(squared + 0.5 * absolute)


def test_what_was_not_seen_counts_neither_above_nor_below_the_line() -> None:
    seen = torch.ones(2, 5, 1, 2, 2)
    seen[:, 4] = 0  # the last lead
    loss = FrameLoss(2, patch=1, lead_exponent=1.0)
    expected = (1 + 4 + 9 / 2) / (1 + 1 + 1 / 2)
    assert float(loss(SQUARES, {**ZEROS, "mask": seen})) == pytest.approx(expected)
