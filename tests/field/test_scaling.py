from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nowcast.field.errors import WeightsError
from nowcast.field.scaling import RainScaling


@given(st.floats(0, 150, width=32))
def test_scaling_goes_there_and_back(rate: float) -> None:
    scaling = RainScaling()
    scaled = scaling.scaled(np.array([rate], np.float32))
    assert scaling.rate_mm_h(scaled)[0] == pytest.approx(rate, rel=1e-4, abs=1e-6)


def test_by_hand() -> None:
    scaled = RainScaling(reference_mm_h=0.1).scaled(np.array([0, 0.9, 9.9, np.nan], np.float32))
    np.testing.assert_allclose(scaled, [0, 1, 2, np.nan], atol=1e-6)


def test_a_tensor_stays_a_tensor_and_values_outside_are_bounded() -> None:
    scaling = RainScaling()
    rate = scaling.rate_mm_h(torch.tensor([-0.5, 99.0]))
    assert isinstance(rate, torch.Tensor)
    assert rate.tolist() == pytest.approx([0.0, 150.0], rel=1e-5)


def test_the_header_keeps_it() -> None:
    scaling = RainScaling(reference_mm_h=0.2)
    assert RainScaling.from_dict(scaling.to_dict()) == scaling
    with pytest.raises(WeightsError, match="scaling"):
        RainScaling.from_dict({"slope": 3})
    with pytest.raises(WeightsError, match="expected 0 < reference < maximum"):
        RainScaling(reference_mm_h=0)
