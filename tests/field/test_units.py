from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nowcast.field import units


def test_marshall_palmer_by_hand() -> None:
    # Z = 200 * 1**1.6 = 200 mm6 m-3, 23.01 dBZ.
    assert units.ZR().rate_mm_h([10 * np.log10(200.0)])[0] == pytest.approx(1.0, rel=1e-6)
    assert units.ZR(a=223, b=1.53).rate_mm_h([10 * np.log10(223.0)])[0] == pytest.approx(1.0)


@given(st.floats(-30, 75), st.floats(50, 500), st.floats(1, 2))
def test_reflectivity_and_rate_are_inverses(dbz: float, a: float, b: float) -> None:
    zr = units.ZR(a=a, b=b)
    assert zr.dbz(zr.rate_mm_h([dbz]))[0] == pytest.approx(dbz, abs=1e-3)


def test_unseen_stays_unseen_and_no_echo_is_dry() -> None:
    rate = units.ZR().rate_mm_h([np.nan, -np.inf])
    assert np.isnan(rate[0])
    assert rate[1] == 0
    assert units.ZR().dbz([0.0])[0] == -np.inf


def test_accumulations_and_si_rates() -> None:
    assert units.rate_from_accumulation([0.5], minutes=5)[0] == pytest.approx(6.0)
    assert units.rate_from_m_s([1 / 3.6e6])[0] == pytest.approx(1.0)
    with pytest.raises(ValueError, match="interval of 0 min"):
        units.rate_from_accumulation([1.0], minutes=0)
    with pytest.raises(ValueError, match="must be positive"):
        units.ZR(a=0)
