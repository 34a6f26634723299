"""Members say what the probabilities say, and look like rain."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from nowcast.forecast.advect import displacements, sources
from nowcast.forecast.members import ensemble, quantiles
from nowcast.forecast.noise import Lifetimes, NoiseSource

THRESHOLDS = (0.1, 1.0, 10.0)


def distribution(*chances: float) -> Tensor:
    """One pixel's probabilities of reaching the thresholds: (K, 1, 1)."""
    return torch.tensor(chances).view(-1, 1, 1)


def test_quantiles_by_hand() -> None:
    """Four members: the rates that are reached with probability 7/8, 5/8, 3/8 and 1/8."""
    found = quantiles(distribution(0.75, 0.25, 0.1), thresholds_mm_h=THRESHOLDS, members=4)
    # 7/8 > 3/4: dry. The odds of 3/4 are 3, of 5/8 5/3, of 3/8 3/5, of 1/4 1/3, of 1/8 1/7, of 1/10
    # 1/9. From 0.1 to 1 mm/h their logarithms fall by log 9, of which log 9/5 and log 5 are gone;
    # from 1 to 10 by log 3, of which log 7/3 is.
    parts = [math.log(9 / 5, 9), math.log(5, 9), 1 + math.log(7 / 3, 3)]
    expected = [0.0, *(10 ** (part - 1) for part in parts)]
    np.testing.assert_allclose(found.flatten(), expected, rtol=1e-5)


def test_quantiles_where_strong_rain_is_out_of_reach_by_hand() -> None:
    """No member of four has a chance as small as 1/20: none reaches 1 mm/h."""
    found = quantiles(distribution(0.75, 0.05, 0.0), thresholds_mm_h=THRESHOLDS, members=4)
    # The odds fall from 3 to 1/19, 57-fold; at 5/8, 3/8 and 1/8 they are 5/3, 3/5 and 1/7.
    expected = [0.0, *(10 ** (math.log(fall, 57) - 1) for fall in (9 / 5, 5, 21))]
    np.testing.assert_allclose(found.flatten(), expected, rtol=1e-5)


def test_quantiles_beyond_the_highest_threshold_by_hand() -> None:
    """Even odds of 10 mm/h: at 1/4 they have fallen threefold, by log 3, each worth 4 mm/h."""
    _, wettest = quantiles(distribution(0.9, 0.8, 0.5), thresholds_mm_h=THRESHOLDS, members=2)
    assert float(wettest) == pytest.approx(10.0 + 4.0 * math.log(3.0), rel=1e-5)


def test_certain_rain_and_certain_dryness() -> None:
    dry = quantiles(distribution(0.0, 0.0, 0.0), thresholds_mm_h=THRESHOLDS, members=3)
    assert (dry == 0).all()
    heavy = quantiles(distribution(1.0, 1.0, 1.0), thresholds_mm_h=THRESHOLDS, members=3)
    assert (heavy >= 10).all()
    unseen = quantiles(distribution(*[math.nan] * 3), thresholds_mm_h=THRESHOLDS, members=3)
    assert torch.isnan(unseen).all()


@given(
    chances=st.lists(st.floats(0, 1), min_size=3, max_size=3).map(lambda p: sorted(p)[::-1]),
    members=st.integers(1, 30),
)
def test_as_many_members_reach_a_threshold_as_its_probability_says(
    chances: list[float], members: int
) -> None:
    found = quantiles(distribution(*chances), thresholds_mm_h=THRESHOLDS, members=members)
    assert (found.diff(dim=0) >= 0).all()
    for threshold, chance in zip(THRESHOLDS, chances, strict=True):
        frequency = (found >= threshold * (1 - 1e-4)).float().mean().item()
        assert frequency == pytest.approx(chance, abs=0.5 / members + 1e-3)


def test_the_wettest_quantiles_alone_are_the_last_of_all() -> None:
    chances = torch.rand(3, 4, 5, generator=torch.Generator().manual_seed(0))
    chances = chances.sort(dim=0, descending=True).values
    every = quantiles(chances, thresholds_mm_h=THRESHOLDS, members=7)
    for count in (1, 3, 7):
        wettest = quantiles(chances, thresholds_mm_h=THRESHOLDS, members=7, wettest=count)
        np.testing.assert_array_equal(wettest, every[-count:])


def test_each_cell_has_its_quantiles_in_the_order_of_the_noise_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Cells that are drawn in several parts, wet, perhaps wet and dry ones mixed."""
    monkeypatch.setattr("nowcast.forecast.parts._PART_VALUES", 20 * 700)
    shape = (60, 50)
    generator = torch.Generator().manual_seed(0)
    chances = torch.rand(3, 1, *shape, generator=generator) ** torch.tensor(3.0)
    chances = chances.sort(dim=0, descending=True).values
    source = NoiseSource.like(torch.rand(shape), cell_km=1.0, step_minutes=5.0)
    members = ensemble(
        chances,
        thresholds_mm_h=THRESHOLDS,
        noise=source,
        displacement=torch.zeros(1, 2, *shape),
        members=20,
        seed=3,
    )[:, 0]
    ascending = quantiles(chances[:, 0], thresholds_mm_h=THRESHOLDS, members=20)
    assert {0.0, 1.0} < set((ascending > 0).float().mean(dim=0).flatten().tolist())
    (noise,) = source.fields(members=20, leads=1, seed=3)
    ranks = noise.argsort(dim=0).argsort(dim=0)
    told_apart = noise.sort(dim=0).values.diff(dim=0).amin(dim=0) > 1e-4
    assert told_apart.float().mean() > 0.98
    expected = ascending.gather(0, ranks)
    np.testing.assert_array_equal(members[:, told_apart], expected[:, told_apart])


def test_noise_comes_along_with_the_air_and_stays_where_it_came_from_outside() -> None:
    """A 2x3 field; the air came from the right by one column, and then from below."""
    from_the_right = torch.zeros(2, 2, 3)
    from_the_right[0] = 1.2  # rounded: one cell
    assert sources(from_the_right).tolist() == [[1, 2, 2], [4, 5, 5]]
    from_below = torch.zeros(2, 2, 3)
    from_below[1] = 0.9
    assert sources(from_below).tolist() == [[3, 4, 5], [3, 4, 5]]


def test_members_are_dry_where_it_is_dry_and_unseen_where_nothing_is_said() -> None:
    chances = torch.tensor([[1.0, 0.0, math.nan]]).expand(3, 1, 2, 3)
    members = ensemble(
        chances,
        thresholds_mm_h=THRESHOLDS,
        noise=NoiseSource.like(torch.rand(2, 3), cell_km=1.0, step_minutes=5.0),
        displacement=torch.zeros(1, 2, 2, 3),
        members=4,
        seed=1,
    )
    assert (members[..., 0] >= 10).all()
    assert (members[..., 1] == 0).all()
    assert torch.isnan(members[..., 2]).all()


def waves(size: int = 96, *, length: float) -> Tensor:
    """A field of one wavelength, in cells."""
    places = torch.arange(size) * (2 * math.pi / length)
    return torch.sin(places)[:, None] * torch.sin(places + 1.0)[None, :]


def mean_wavenumber(fields: Tensor) -> float:
    power = torch.fft.rfft2(fields).abs() ** 2
    down, along = torch.fft.fftfreq(fields.shape[-2]), torch.fft.rfftfreq(fields.shape[-1])
    wavenumber = torch.hypot(down[:, None], along[None, :])
    return float((power * wavenumber).sum() / power.sum())


def test_noise_has_the_wavelengths_of_the_field_it_is_like() -> None:
    for length in (8.0, 24.0):
        field = waves(length=length)
        source = NoiseSource.like(field, cell_km=1.0, step_minutes=5.0)
        (noise,) = source.fields(members=4, leads=1, seed=3)
        assert mean_wavenumber(noise) == pytest.approx(mean_wavenumber(field), rel=0.15)
        np.testing.assert_allclose(noise.mean(dim=(-2, -1)), 0.0, atol=1e-5)


@pytest.mark.parametrize("shape", [(48, 32), (45, 27), (46, 31)])  # 46 and 31 repeat after 48, 32
def test_noise_has_a_variance_of_one_at_every_cell(shape: tuple[int, int]) -> None:
    torch.manual_seed(1)
    source = NoiseSource.like(torch.rand(shape), cell_km=1.0, step_minutes=5.0)
    for noise in source.fields(members=400, leads=2, seed=3):
        assert noise.shape == (400, *shape)
        assert float(noise.mean()) == pytest.approx(0.0, abs=0.02)
        variance = (noise**2).mean(dim=0)
        assert float(variance.mean()) == pytest.approx(1.0, abs=0.02)
        assert float(variance.std()) < 2.0 * (2 / 400) ** 0.5  # as that of 400 draws scatters


@pytest.mark.parametrize("side", [32, 45])
def test_noise_is_as_strong_down_the_columns_as_along_the_rows(side: int) -> None:
    source = NoiseSource.like(torch.zeros(side, side), cell_km=1.0, step_minutes=5.0)
    (noise,) = source.fields(members=400, leads=1, seed=5)
    power = (torch.fft.rfft2(noise).abs() ** 2).mean(dim=0)
    # The mean of 400 draws of what scatters as its own mean: within 5 %; here seven of them.
    down, along = power[1:8, 0], power[0, 1:8]
    assert float((down / along).mean()) == pytest.approx(1.0, abs=0.1)
    slanting = power[torch.arange(1, 6), torch.arange(1, 6)]
    expected = source.amplitude[torch.arange(1, 6), torch.arange(1, 6)] / source.amplitude[1:6, 0]
    assert float((slanting / down[:5] / expected**2).mean()) == pytest.approx(1.0, abs=0.1)


def test_noise_forgets_small_features_first() -> None:
    torch.manual_seed(0)
    source = NoiseSource.like(
        torch.rand(64, 64), cell_km=1.0, step_minutes=5.0, lifetimes=Lifetimes(minutes=30.0)
    )
    first, *_, last = source.fields(members=6, leads=4, seed=1)

    def kept(cells: int) -> float:
        coarse = [
            torch.nn.functional.avg_pool2d(fields[:, None], cells) for fields in (first, last)
        ]
        return float(torch.corrcoef(torch.stack([field.flatten() for field in coarse]))[0, 1])

    assert kept(1) < kept(8) < 1.0


def test_noise_is_the_same_whatever_the_number_of_threads() -> None:
    source = NoiseSource.like(torch.zeros(32, 40), cell_km=1.0, step_minutes=5.0)
    threads = torch.get_num_threads()
    found = []
    try:
        for count in (1, 3):
            torch.set_num_threads(count)
            found.append(torch.stack(list(source.fields(members=10, leads=2, seed=4))))
    finally:
        torch.set_num_threads(threads)
    np.testing.assert_allclose(found[0], found[1], atol=1e-5)
    flat = found[0][:, 0].flatten(1)
    assert float(torch.corrcoef(flat).fill_diagonal_(0).abs().max()) < 0.9  # ten of their own


def test_no_two_members_have_the_same_noise() -> None:
    """Two that share a field differ a little more at a place than chance has it, never less."""
    source = NoiseSource.like(torch.zeros(40, 56), cell_km=1.0, step_minutes=5.0)
    draws = [next(source.fields(members=4, leads=1, seed=seed)) for seed in range(300)]
    together = torch.stack(draws)  # (draws, members, H, W), of variance 1
    for one, other in combinations(range(4), 2):
        agreement = (together[:, one] * together[:, other]).mean(dim=0)
        assert -0.3 < float(agreement.mean()) < 0.05, (one, other)
        assert float(agreement.max()) < 0.3, (one, other)  # 300 draws: 0.06 by chance, of 2,240


def test_a_dry_field_gives_noise_too() -> None:
    source = NoiseSource.like(torch.zeros(32, 40), cell_km=1.0, step_minutes=5.0)
    (noise,) = source.fields(members=2, leads=1, seed=0)
    assert torch.isfinite(noise).all()


def test_an_ensemble_is_its_probabilities_and_its_seed() -> None:
    torch.manual_seed(0)
    chances = torch.rand(3, 2, 24, 32).sort(dim=0, descending=True).values
    motion = torch.ones(2, 24, 32)
    settings = {
        "thresholds_mm_h": THRESHOLDS,
        "noise": NoiseSource.like(torch.rand(24, 32), cell_km=1.0, step_minutes=5.0),
        "displacement": displacements(motion, steps=2),
        "members": 8,
    }
    members = ensemble(chances, seed=1, **settings)  # type: ignore[arg-type]
    assert members.shape == (8, 2, 24, 32)
    frequency = (members >= 1.0 * (1 - 1e-4)).float().mean(dim=0)
    np.testing.assert_allclose(frequency, chances[1], atol=1 / 16 + 1e-3)
    again = ensemble(chances, seed=1, **settings)  # type: ignore[arg-type]
    np.testing.assert_array_equal(members, again)
    other = ensemble(chances, seed=2, **settings)  # type: ignore[arg-type]
    assert (members != other).any()
    # Neighbours agree within a member more than chance would have it.
    wet = (members > 0.1).float()
    assert (wet[..., 1:] == wet[..., :-1]).float().mean() > 0.5
