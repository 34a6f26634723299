"""Power spectra: waves of known length, pysteps' rapsd, and what is unseen."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nowcast.field.errors import UsageError
from nowcast.forecast.pysteps_quietly import quietly
from nowcast.verify.spectrum import fading, mean_spectra, power_spectrum, spectra_table


def rain(seed: int, shape: tuple[int, int]) -> np.ndarray:
    return np.random.default_rng(seed).gamma(0.3, 4.0, shape)


@pytest.mark.parametrize("side", [64, 65])
def test_on_a_square_it_is_that_of_pysteps(side: int) -> None:
    with quietly():
        from pysteps.utils.spectral import rapsd
    field = rain(1, (side, side))
    power, frequency = rapsd(field, fft_method=np.fft, return_freq=True, d=2.0)
    wavelength, ours = power_spectrum(field, cell_km=(2.0, 2.0))
    same = min(len(ours), len(power) - 1)
    assert same >= side // 2 - 1
    np.testing.assert_allclose(wavelength[:same], 1 / frequency[1 : same + 1], rtol=1e-12)
    np.testing.assert_allclose(ours[:same], power[1 : same + 1], rtol=1e-9)


@pytest.mark.parametrize(("shape", "cell"), [((64, 128), (1.0, 1.0)), ((128, 64), (1.0, 2.0))])
def test_a_wave_stands_at_its_wavelength(shape: tuple[int, int], cell: tuple[float, float]) -> None:
    """16 km along either side, whatever the shape of grid and cells: rapsd would say two."""
    y, x = np.indices(shape)
    for way in (y * cell[0], x * cell[1]):
        wavelength, power = power_spectrum(np.sin(2 * np.pi * way / 16.0), cell_km=cell)
        assert wavelength[power.argmax()] == pytest.approx(16.0)
        others = np.delete(power, power.argmax())
        assert others.max() < 1e-20


@given(seed=st.integers(0, 50), factor=st.floats(0.1, 10), offset=st.floats(-5, 5))
def test_power_grows_with_the_square_and_knows_no_mean(
    seed: int, factor: float, offset: float
) -> None:
    field = rain(seed, (16, 20))
    weights = fading(field > 0.001, cells=3.0)
    _, power = power_spectrum(field, cell_km=(1, 1), weights=weights)
    _, other = power_spectrum(factor * field + offset, cell_km=(1, 1), weights=weights)
    np.testing.assert_allclose(other, factor**2 * power, rtol=1e-6, atol=1e-9)


def test_what_is_unseen_counts_as_nothing() -> None:
    field = rain(2, (40, 40))
    seen = np.ones(field.shape, bool)
    seen[:, 25:] = False
    weights = fading(seen, cells=5.0)
    hidden = np.where(seen, field, np.nan)
    other = np.where(seen, field, 1e6)
    for each in (hidden, other):
        np.testing.assert_array_equal(
            power_spectrum(each, cell_km=(1, 1), weights=weights)[1],
            power_spectrum(field, cell_km=(1, 1), weights=weights)[1],
        )


def test_fading_by_hand() -> None:
    seen = np.ones((3, 9), bool)
    seen[:, 0] = False
    middle = fading(seen, cells=2.0)[1]
    # Half a cell inside the edge: (1 - cos(pi / 4)) / 2; in the middle row 1.5 cells at the most.
    half, most = ((1 - np.cos(np.pi * way)) / 2 for way in (0.25, 0.75))
    np.testing.assert_allclose(middle, [0, half, *[most] * 6, half], rtol=1e-6)
    assert (fading(np.zeros((4, 4), bool)) == 0).all()
    wide = fading(np.ones((50, 50), bool), cells=10.0)
    assert wide[25, 25] == 1.0
    assert 0 < wide[0].max() < 0.01


def test_the_edge_of_coverage_adds_no_fine_structure() -> None:
    """A smooth field seen in a disc: fading leaves little at short waves, filling with dry much."""
    y, x = np.indices((128, 128))
    field = 10 + np.sin(x / 20) + np.cos(y / 17)
    seen = np.hypot(x - 64, y - 64) < 50
    wavelength, faded = power_spectrum(field, cell_km=(1, 1), weights=fading(seen))
    _, filled = power_spectrum(np.where(seen, field, 0.0), cell_km=(1, 1))
    short = wavelength < 8
    assert faded[short].max() < 1e-3 * filled[short].max()


def test_a_smoothed_forecast_lacks_power_at_short_waves(forecast_of, observed_frames) -> None:
    import cv2

    truth = np.stack([rain(seed, (48, 48)) for seed in (1, 2)]).astype(np.float32)
    smooth = np.stack([cv2.blur(frame, (5, 5)) for frame in truth])
    forecasts = {"sharp": forecast_of(truth), "smooth": forecast_of(smooth)}
    table = spectra_table(forecasts, observed_frames(truth), leads_minutes=[10.0])
    assert set(table["lead_minutes"]) == {10.0}
    assert (table["pixels"] == 48 * 48).all()
    power = table.pivot_table(index="wavelength_km", columns="method", values="power")
    np.testing.assert_array_equal(power["sharp"], power["observed"])
    assert (power["smooth"] / power["observed"])[power.index < 4].max() < 0.3
    mean = mean_spectra([table, table.assign(power=3 * table["power"])])
    assert (mean["cycles"] == 2).all()
    both = mean.pivot_table(index="wavelength_km", columns="method", values="power")
    np.testing.assert_allclose(both["observed"], 2 * power["observed"])


def test_leads_without_a_frame_or_a_forecast(forecast_of, observed_frames) -> None:
    truth = np.stack([rain(seed, (24, 24)) for seed in (1, 2)]).astype(np.float32)
    truth[1] = np.nan
    forecasts = {"one": forecast_of(rain(3, (2, 24, 24)))}
    table = spectra_table(forecasts, observed_frames(truth), leads_minutes=[5.0, 10.0])
    assert set(table["lead_minutes"]) == {5.0}
    with pytest.raises(UsageError, match=r"no lead of 20 min: the forecasts hold \[5.0, 10.0\]"):
        spectra_table(forecasts, observed_frames(truth), leads_minutes=[20.0])
    nothing = spectra_table(forecasts, observed_frames(truth), leads_minutes=[10.0])
    assert nothing.empty
    assert mean_spectra([nothing]).empty
