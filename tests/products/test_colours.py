"""Colour scales: computed for four kinds of colour vision."""

from __future__ import annotations

from itertools import combinations, pairwise

import numpy as np
import pytest
from colour_vision import VISIONS, ciede2000, lab, luminance
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from nowcast.products.colours import LAND, PROBABILITY, RAIN_RATE, SEA, ColourScale

SCALES = pytest.mark.parametrize("scale", [RAIN_RATE, PROBABILITY], ids=lambda scale: scale.name)
APART = 8.0


@pytest.mark.parametrize(
    ("one", "other", "difference"),
    [  # Sharma et al. (2005), table 1, pairs 1, 5, 7, 12, 17, 20, 25, 31, 33
        ((50.0, 2.6772, -79.7751), (50.0, 0.0, -82.7485), 2.0425),
        ((50.0, -1.1848, -84.8006), (50.0, 0.0, -82.7485), 1.0000),
        ((50.0, 0.0, 0.0), (50.0, -1.0, 2.0), 2.3669),
        ((50.0, -0.0010, 2.4900), (50.0, 0.0011, -2.4900), 4.7461),
        ((50.0, 2.5, 0.0), (73.0, 25.0, -18.0), 27.1492),
        ((50.0, 2.5, 0.0), (58.0, 24.0, 15.0), 19.4535),
        ((60.2574, -34.0099, 36.2677), (60.4626, -34.1751, 39.4387), 1.2644),
        ((90.9257, -0.5406, -0.9208), (88.6381, -0.8985, -0.7239), 1.5381),
        ((2.0776, 0.0795, -1.1350), (0.9033, -0.0636, -0.5514), 0.9082),
    ],
)
def test_the_difference_is_that_of_its_authors(one, other, difference):
    assert ciede2000(np.array(one), np.array(other)) == pytest.approx(difference, abs=1e-4)


def test_the_simulation_confuses_what_people_confuse():
    def apart(one: str, other: str, vision: str) -> float:
        return ciede2000(lab(one, vision), lab(other, vision))

    # A red and a green of one lightness; a blue and a green.
    assert apart("#c8553d", "#7a8b2a", "normal") > 30
    assert apart("#c8553d", "#7a8b2a", "deuteranopia") < 15
    assert apart("#2f8fd0", "#2fa59a", "normal") > 20
    assert apart("#2f8fd0", "#2fa59a", "tritanopia") < 10
    # Grey is grey to all: the matrices keep white.
    for vision in VISIONS:
        assert lab("#ffffff", vision) == pytest.approx([100, 0, 0], abs=0.1)


@SCALES
@pytest.mark.parametrize("vision", VISIONS)
def test_any_two_classes_stay_apart(scale, vision):
    seen = [lab(colour, vision) for colour in scale.colours]
    closest = min((ciede2000(a, b), i) for i, (a, b) in enumerate(combinations(seen, 2)))
    assert closest[0] >= APART


@SCALES
@pytest.mark.parametrize("vision", VISIONS)
@pytest.mark.parametrize("ground", [LAND, SEA])
def test_the_lightest_rain_stands_out_from_the_map(scale, vision, ground):
    for colour in scale.colours:
        assert ciede2000(lab(colour, vision), lab(ground, vision)) >= APART


@SCALES
def test_lightness_falls(scale):
    # Rain starts anew at 5 mm/h, where it turns from blue to yellow.
    ramps = [scale.colours[:6], scale.colours[6:]] if scale is RAIN_RATE else [scale.colours]
    for ramp in ramps:
        lightness = [lab(colour)[0] for colour in ramp]
        assert all(one > other + 5 for one, other in pairwise(lightness))


@pytest.mark.parametrize("vision", VISIONS)
def test_the_extreme_end_is_unmistakable(vision):
    *others, extreme = (lab(colour, vision) for colour in RAIN_RATE.colours)
    assert min(ciede2000(extreme, other) for other in others) >= 12
    assert (luminance(LAND) + 0.05) / (luminance(RAIN_RATE.colours[-1]) + 0.05) > 12


def test_classes_by_hand():
    values = [0.0, 0.09, 0.1, 0.29, 0.3, 99.9, 100.0, 8000.0, np.nan]
    assert RAIN_RATE.classes(values).tolist() == [-1, -1, 0, 0, 1, 10, 11, 11, 12]
    assert RAIN_RATE.classes(np.float32(0.3)) == 1  # 0.3 in single precision is above 0.3
    assert RAIN_RATE.classes(np.float32(0.7)) == 2
    assert PROBABILITY.classes(np.float32(0.7)) == 6  # and 0.7 is below


def test_colours_by_hand():
    picture = RAIN_RATE.rgba(np.array([[0.0, 0.2], [np.nan, 200.0]], np.float32))
    assert picture.shape == (2, 2, 4)
    assert picture[0, 0, 3] == 0
    assert picture[1, 0, 3] == 0
    assert picture[0, 1].tolist() == [0xC7, 0xEC, 0xFD, 255]
    assert picture[1, 1].tolist() == [0x25, 0x05, 0x2B, 255]


@SCALES
@given(
    values=arrays(
        np.float32,
        (3, 4),
        elements=st.floats(0, 200, width=32) | st.just(float("nan")),
    )
)
def test_every_value_has_the_colour_of_its_class(scale, values):
    levels = np.asarray(scale.levels, np.float32)
    for value, colour in zip(values.ravel(), scale.rgba(values).reshape(-1, 4), strict=True):
        below = [index for index, level in enumerate(levels) if value >= level]
        if below:
            assert colour.tolist() == [*bytes.fromhex(scale.colours[below[-1]][1:]), 255]
        else:
            assert colour[3] == 0


def test_a_scale_that_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="2 levels, 1 colours and 2 labels"):
        ColourScale("x", "1", levels=(1, 2), colours=("#000000",), labels=("1", "2"))
    with pytest.raises(ValueError, match="do not ascend"):
        ColourScale("x", "1", levels=(2, 1), colours=("#000000",) * 2, labels=("1", "2"))
