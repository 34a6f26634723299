"""How much of a region is wet now, weighed with what is said of it: by hand, law and story."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nowcast.forecast.regions import BLOCK, WetAreas

THRESHOLDS = (0.1, 1.0, 10.0)


def areas_of(newest: torch.Tensor, *, share: float) -> WetAreas:
    return WetAreas(newest, thresholds_mm_h=THRESHOLDS, share=share)


def wet_in(part: float, *, side: int = 100) -> torch.Tensor:
    """A grid that has 20 mm/h in the first ``part`` of its rows and is dry below."""
    newest = torch.zeros(side, side)
    newest[: round(part * side)] = 20.0
    return newest


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_the_sum_lies_between_what_is_said_and_what_is_now_by_hand(share: float) -> None:
    # A quarter of the cells reaches the thresholds, and a half is said to.
    logits = areas_of(wet_in(0.25), share=share).shifted(torch.zeros(3, 100, 100))
    wanted = (1 - share) * 0.5 + share * 0.25
    torch.testing.assert_close(
        logits.sigmoid().mean((1, 2)), torch.full((3,), wanted), rtol=0.02, atol=0
    )


def test_a_region_that_is_as_wet_as_is_said_stays() -> None:
    logits = torch.full((3, 100, 100), -1.0)  # 0.27
    shifted = areas_of(wet_in(0.27), share=0.8).shifted(logits.clone())
    torch.testing.assert_close(shifted, logits, atol=0.02, rtol=0)


@given(seed=st.integers(0, 99), share=st.floats(0.1, 1.0), part=st.floats(0.0, 1.0))
def test_the_likelier_cells_stay_the_likelier_ones(seed: int, share: float, part: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(3, 60, 70, generator=generator).sort(dim=0, descending=True).values
    shifted = areas_of(wet_in(part, side=70)[:60], share=share).shifted(logits.clone())
    assert torch.isfinite(shifted).all()
    assert (shifted.diff(dim=0) <= 0).all()
    # The first threshold has none above that holds it down: one shift for the one block.
    torch.testing.assert_close(
        shifted[0] - logits[0], (shifted[0] - logits[0])[:1, :1].expand(60, 70), atol=1e-4, rtol=0
    )


@given(seed=st.integers(0, 99), firmness=st.floats(0.5, 1.5), common=st.floats(-8.0, 2.0))
def test_firmer_or_softer_probabilities_have_the_same_sum(
    seed: int, firmness: float, common: float
) -> None:
    generator = torch.Generator().manual_seed(seed)
    logits = common + 2.0 * torch.randn(3, 60, 70, generator=generator)
    logits = logits.sort(dim=0, descending=True).values
    areas = areas_of(torch.zeros(60, 70), share=0.9)
    moved = areas.softened(logits.clone(), firmness)
    assert (moved.diff(dim=0) <= 0).all()
    # The first threshold has none above that holds it down: one shift for the one block.
    shift = moved[0] - firmness * logits[0]
    torch.testing.assert_close(shift, shift[:1, :1].expand(60, 70), atol=1e-4, rtol=0)
    before, after = (float(some[0, ::5, ::5].sigmoid().mean()) for some in (logits, moved))
    assert after == pytest.approx(before, rel=0.03, abs=1e-4)


def test_what_is_not_seen_is_not_counted() -> None:
    newest, logits = wet_in(0.25), torch.zeros(3, 100, 100)
    newest[50:] = torch.nan  # of what is seen, half is wet
    logits[:, 50:] = 9.0
    seen = areas_of(newest, share=1.0).shifted(logits.clone())[:, :50]
    torch.testing.assert_close(seen, torch.zeros(3, 50, 100), atol=0.02, rtol=0)


def test_nothing_seen_changes_nothing_and_a_dry_region_loses_the_most_it_can() -> None:
    logits = torch.zeros(3, 40, 50)
    blind = areas_of(torch.full((40, 50), torch.nan), share=0.8)
    assert torch.equal(blind.shifted(logits.clone()), logits)
    dry = areas_of(torch.zeros(40, 50), share=1.0).shifted(logits.clone())
    torch.testing.assert_close(dry, torch.full_like(dry, -3.0), atol=1e-3, rtol=0)


def test_a_storm_says_nothing_of_a_region_far_away() -> None:
    newest = torch.zeros(80, 6 * BLOCK)
    newest[:, :100] = 20.0
    logits = torch.full((3, 80, 6 * BLOCK), -4.0)
    far = slice(4 * BLOCK, None)
    with_storm = areas_of(newest, share=0.8).shifted(logits.clone())
    without = areas_of(torch.zeros_like(newest), share=0.8).shifted(logits.clone())
    assert torch.equal(with_storm[..., far], without[..., far])
    assert (with_storm[..., :100] > without[..., :100] + 1).all()
