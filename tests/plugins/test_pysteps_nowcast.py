"""MIM in pysteps' hands: the same numbers as ours, along whatever motion it is given."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from nowcast import build
from nowcast.field import schema
from nowcast.field.errors import ShortHistoryError, UsageError
from nowcast.forecast.mim import Mim
from nowcast.forecast.motion import motion_of
from nowcast.forecast.pysteps_quietly import quietly
from nowcast.forecast.shipped import shipped_weights
from nowcast.plugins.pysteps_nowcast import forecast

ROWS, COLUMNS = slice(250, 378), slice(330, 458)


@pytest.fixture(scope="module")
def past(shared_data: Path) -> schema.Radar:
    """Rain over Switzerland, 128x128 cells of it."""
    source = build.archive("mch", shared_data / "radar/mch")
    frames = source.read(end=np.datetime64("2015-05-15T17:20"), frames=4)
    return schema.as_radar(frames.isel(y=ROWS, x=COLUMNS))


@pytest.fixture(scope="module")
def ours(past: schema.Radar) -> np.ndarray:
    mim = Mim(weights=shipped_weights(), probabilities=False)
    return mim(past, steps=3)["rainfall_rate"].values


def test_the_numbers_are_ours(past: schema.Radar, ours: np.ndarray) -> None:
    rates = past["rainfall_rate"].values
    assert (ours > 1).any()
    np.testing.assert_array_equal(forecast(rates, None, 3), ours)
    np.testing.assert_array_equal(forecast(rates.astype(np.float64), motion_of(past), 3), ours)
    np.testing.assert_array_equal(forecast(rates, motion_of(past), [1, 3]), ours[[0, 2]])


def test_the_given_motion_moves_the_rain() -> None:
    """A shower that drifts six columns a step is found two steps on, and its wake unseen."""
    y, x = np.mgrid[:64, :96]
    centres = (20, 26, 32, 38)
    rates = np.stack([20 * np.exp(-((x - c) ** 2 + (y - 32) ** 2) / 72) for c in centres])
    eastwards = np.stack([np.full(x.shape, 6.0), np.zeros(x.shape)])
    for motion, expected in ((eastwards, 50), (eastwards * 0, 38)):
        later = forecast(rates, motion, 2)[1]
        weights = np.nan_to_num(later).sum(axis=0)
        assert (weights * np.arange(96)).sum() / weights.sum() == pytest.approx(expected, abs=4)
    assert np.isnan(forecast(rates, eastwards, 2)[1, :, :11]).all()
    assert not np.isnan(forecast(rates, eastwards, 2)[1, :, 13:]).any()


def test_an_ensemble(past: schema.Radar) -> None:
    members = forecast(past["rainfall_rate"].values, None, 2, n_ens_members=3, seed=5)
    again = forecast(past["rainfall_rate"].values, None, 2, n_ens_members=3, seed=5)
    assert members.shape == (3, 2, 128, 128)
    np.testing.assert_array_equal(members, again)
    assert not np.array_equal(members[0], members[1])


def test_what_it_does_not_take(past: schema.Radar) -> None:
    rates = past["rainfall_rate"].values
    with pytest.raises(UsageError, match="below 0, expected rain rates in mm/h: MIM takes no dB"):
        forecast(rates - 15, None, 1)
    with pytest.raises(UsageError, match=r"precip of shape \(128, 128\), expected several frames"):
        forecast(rates[-1], None, 1)
    with pytest.raises(UsageError, match=r"velocity of shape \(2, 3, 3\), expected \(2, 128, 128"):
        forecast(rates, np.zeros((2, 3, 3)), 1)
    with pytest.raises(ShortHistoryError, match="mim needs 4 frames, found 2"):
        forecast(rates[-2:], None, 1)
    for steps in (0, [2, 1], [0.5, 1.0], []):
        with pytest.raises(UsageError, match="expected whole ones, ascending from 1"):
            forecast(rates, None, steps)


def test_as_the_documentation_says(shared_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The Python of docs/pysteps.md, on files that pysteps itself looks for."""
    import re

    text = (Path(__file__).parents[2] / "docs/pysteps.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    monkeypatch.chdir(shared_data / "radar/mch")
    names: dict[str, object] = {}
    with quietly():
        exec(code, names)
    assert isinstance(names["precip"], np.ndarray)
    assert isinstance(names["nowcast"], np.ndarray)
    assert names["precip"].shape == (4, 640, 710)
    assert names["nowcast"].shape == (2, 640, 710)
    assert names["metadata"]["timestamps"][-1] == datetime(2015, 5, 15, 17, 20)  # type: ignore[index] # noqa: DTZ001
