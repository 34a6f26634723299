"""SAL through pysteps: equal to it on whole fields, and defined where it alone is not."""

from __future__ import annotations

import numpy as np
import pytest

from nowcast.field.errors import UsageError
from nowcast.verify.sal import sal_sums
from nowcast.verify.sums import stack

NAN = np.nan


@pytest.fixture(scope="module")
def rain():
    """Three rain areas of different size and strength on a dry plain, none near the edge."""
    row, column = np.mgrid[:90, :80]
    areas = [(25, 25, 6.0, 8.0), (60, 25, 5.0, 4.0), (50, 58, 7.0, 6.0)]
    field = sum(
        peak * np.exp(-((row - y) ** 2 + (column - x) ** 2) / (2 * size**2))
        for y, x, size, peak in areas
    )
    return np.where(field < 0.5, 0.0, field)


def test_equal_to_pysteps_on_whole_fields(rain, pysteps_verification):
    forecast = np.roll(rain, 4, axis=1) * 1.3
    expected = pysteps_verification("salscores").sal(forecast, rain)
    sums = sal_sums(forecast, rain)
    found = (sums.mean_structure, sums.mean_amplitude, sums.mean_location)
    assert found == pytest.approx(expected)
    assert [sums.structure_n, sums.amplitude_n, sums.location_n] == [1, 1, 1]


def test_amplitude_and_location_on_paper(rain):
    perfect, double, shifted = (
        sal_sums(field, rain) for field in (rain, 2 * rain, np.roll(rain, 5, axis=0))
    )
    for sums in (perfect, double):
        assert sums.mean_location == pytest.approx(0, abs=1e-12)
        assert sums.mean_structure == pytest.approx(0, abs=1e-12)
    assert perfect.mean_amplitude == 0
    assert double.mean_amplitude == pytest.approx((2 - 1) / 1.5)
    # All moved by 5 cells: the centre of mass by 5 of the diagonal's cells, the areas apart
    # as before.
    assert shifted.mean_location == pytest.approx(5 / np.hypot(90, 80))


def test_a_hole_in_the_picture_is_emptied_on_both_sides(rain, pysteps_verification):
    row, column = np.unravel_index(rain.argmax(), rain.shape)
    forecast = np.roll(rain, 3, axis=1)
    holed, emptied_forecast, emptied_rain = forecast.copy(), forecast.copy(), rain.copy()
    holed[row, column] = NAN
    emptied_forecast[row, column] = emptied_rain[row, column] = 0.0
    sal = pysteps_verification("salscores").sal
    structure, amplitude, location = sal(holed, rain)
    sums = sal_sums(holed, rain)
    assert sums.equals(sal_sums(emptied_forecast, emptied_rain))
    assert sums.location_n == 1
    # With that cell, or without it on both sides, the areas lie 3 columns off and no farther apart.
    # NaN in the box of an area takes all of it out of pysteps' distances, in the forecast alone.
    whole = sal(forecast, rain)[2]
    assert sums.mean_location == pytest.approx(whole, rel=0.05)
    assert location > 3 * whole
    # pysteps' amplitude compares the forecast without the cell to the frame with it.
    assert amplitude != pytest.approx(float(sums.mean_amplitude), rel=1e-9)
    assert structure == pytest.approx(float(sums.mean_structure), abs=0.05)


def test_dry_fields():
    wet = np.zeros((60, 60))
    wet[20:40, 20:40] = 3.0
    dry = np.zeros((60, 60))
    both, missed, invented = sal_sums(dry, dry), sal_sums(dry, wet), sal_sums(wet, dry)
    assert [both.structure_n, both.amplitude_n, both.location_n] == [0, 0, 0]
    assert np.isnan(both.mean_structure)
    for sums, expected in ((missed, -2), (invented, 2)):
        assert [sums.structure_n, sums.amplitude_n, sums.location_n] == [1, 1, 0]
        assert sums.mean_structure == sums.mean_amplitude == expected
        assert np.isnan(sums.mean_location)
    # An opposite miss and invention cancel in the mean, not in the mean size.
    together = missed + invented
    assert together.mean_amplitude == 0
    assert together.mean_absolute_amplitude == together.mean_absolute_structure == 2
    assert stack([missed, invented]).mean_amplitude.tolist() == [-2, 2]


def test_rain_without_an_area_of_fifty_cells_has_amplitude_alone():
    specks = np.zeros((60, 60))
    specks[::20, ::20] = 3.0
    sums = sal_sums(2 * specks, specks)
    assert [sums.structure_n, sums.amplitude_n, sums.location_n] == [0, 1, 0]
    assert sums.mean_amplitude == pytest.approx(2 / 3)


def test_nothing_seen_is_undefined():
    sums = sal_sums(np.full((20, 20), NAN), np.ones((20, 20)))
    assert [sums.structure_n, sums.amplitude_n, sums.location_n] == [0, 0, 0]


def test_without_scikit_image_it_says_what_to_install(rain, pysteps_verification, monkeypatch):
    tstorm = pysteps_verification("salscores").tstorm_detect
    monkeypatch.setattr(tstorm, "SKIMAGE_IMPORTED", False)
    with pytest.raises(UsageError, match="SAL needs scikit-image: pip install scikit-image"):
        sal_sums(rain, rain)
