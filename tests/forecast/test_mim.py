from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from mim_core import checkpoint
from mim_core.model import MIM
from mim_core.tiles import advance_in_tiles, step_in_tiles
from nowcast.field import schema
from nowcast.field.errors import (
    MethodError,
    NothingObservedError,
    ShortHistoryError,
    WeightsError,
)
from nowcast.forecast.extrapolation import Extrapolation
from nowcast.forecast.head import RainHead
from nowcast.forecast.mim import Mim
from nowcast.forecast.shipped import shipped_weights
from nowcast.ingest.simulated import Storm, low_countries

START = np.datetime64("2026-06-01T12:00", "ns")
HEAD = RainHead()


def past(size: int = 50, frames: int = 5, **storm: float) -> schema.Radar:
    made = Storm(grid=low_countries(size), **storm)  # type: ignore[arg-type]
    return made.radar(start=START, frames=frames)


@pytest.fixture
def untrained(tmp_path: Path) -> Path:
    """Weights as they are before the first step: the network changes nothing."""
    return saved(tmp_path / "untrained.safetensors", MIM(HEAD.config(hidden=4, layers=2)))


@pytest.fixture
def trained(tmp_path: Path) -> Path:
    """Weights that do change something."""
    torch.manual_seed(0)
    network = MIM(HEAD.config(hidden=4, layers=2))
    torch.nn.init.normal_(network.output.weight, std=0.1)
    return saved(tmp_path / "trained.safetensors", network)


def saved(path: Path, network: MIM) -> Path:
    checkpoint.save(path, network, metadata={"head": HEAD.to_dict()})
    return path


def test_untrained_it_is_extrapolation(untrained: Path) -> None:
    radar = past()
    said = Mim(untrained)(radar, steps=6)["rainfall_rate"].values
    moved = Extrapolation()(radar, steps=6)["rainfall_rate"].values
    np.testing.assert_array_equal(np.isnan(said), np.isnan(moved))
    # What is less than drizzle is not said to be rain; the scaling costs a little in float32.
    both = np.nan_to_num(np.where(moved < 0.05, 0, moved))
    np.testing.assert_allclose(np.nan_to_num(said), both, atol=0.051, rtol=1e-3)


def test_untrained_in_the_eulerian_form_it_is_persistence(tmp_path: Path) -> None:
    weights = tmp_path / "eulerian.safetensors"
    header = {"head": replace(HEAD, form="eulerian").to_dict()}
    checkpoint.save(weights, MIM(HEAD.config(hidden=4, layers=2)), metadata=header)
    radar = past()
    said = Mim(weights)(radar, steps=3)
    newest = radar["rainfall_rate"].values[-1]
    kept = np.where(newest < 0.05, 0, newest)  # NaN stays
    for lead in said["rainfall_rate"].values:
        np.testing.assert_allclose(lead, kept, atol=0.051, rtol=1e-3)
    assert "eulerian" in said.attrs["source"]


def test_what_the_difference_memory_adds_stands_beside_the_rain_on_request(trained: Path) -> None:
    radar = past()
    plain, said = Mim(trained)(radar, steps=3), Mim(trained, effects=True)(radar, steps=3)
    np.testing.assert_array_equal(said["rainfall_rate"], plain["rainfall_rate"])
    effect = said["rainfall_rate_from_differences"]
    assert "rainfall_rate_from_differences" not in plain
    assert effect.attrs["units"] == "mm h-1"
    np.testing.assert_array_equal(np.isnan(effect), np.isnan(said["rainfall_rate"]))
    assert float(abs(effect).max()) > 0


def test_without_differences_they_add_nothing(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = MIM(HEAD.config(hidden=4, layers=2, layer_norm=False))
    torch.nn.init.normal_(network.output.weight, std=0.1)
    torch.nn.init.zeros_(network.blocks[0].stationary.input_gates.convolution.weight)
    weights = saved(tmp_path / "silent.safetensors", network)
    effect = Mim(weights, effects=True)(past(), steps=2)["rainfall_rate_from_differences"]
    assert float(abs(effect).max()) == 0


def test_probabilities_never_rise_with_the_threshold(trained: Path) -> None:
    chances = Mim(trained)(past(), steps=3)["probability_of_exceedance"]
    values = chances.transpose("threshold", "lead_time", "y", "x").values
    seen = np.isfinite(values)
    assert seen.any()
    assert (values[seen] >= 0).all()
    assert (values[seen] <= 1).all()
    assert (np.diff(values, axis=0)[seen[1:]] <= 1e-6).all()


def test_same_input_same_output_and_no_state_between_calls(trained: Path) -> None:
    nowcaster, radar = Mim(trained), past()
    first = nowcaster(radar, steps=3)["rainfall_rate"].values
    nowcaster(past(seed=7), steps=2)
    np.testing.assert_array_equal(first, nowcaster(radar, steps=3)["rainfall_rate"].values)


def test_a_longer_forecast_begins_like_a_shorter_one(trained: Path) -> None:
    nowcaster, radar = Mim(trained), past()
    short = nowcaster(radar, steps=2)["rainfall_rate"].values
    np.testing.assert_array_equal(short, nowcaster(radar, steps=5)["rainfall_rate"].values[:2])


def test_only_the_last_frames_count(trained: Path) -> None:
    radar = past(frames=9)
    last = schema.Radar(radar.isel(time=slice(-4, None)))
    np.testing.assert_array_equal(
        Mim(trained)(radar, steps=2)["rainfall_rate"].values,
        Mim(trained)(last, steps=2)["rainfall_rate"].values,
    )


def test_unseen_air_stays_unseen(trained: Path) -> None:
    radar = past(radar_range_km=15, motion_m_s=(0.0, 0.0))
    rate = Mim(trained)(radar, steps=2)["rainfall_rate"].values
    unseen = np.isnan(radar["rainfall_rate"].values[-1])
    assert unseen.any()
    assert np.isnan(rate[0][unseen]).mean() > 0.9
    assert np.isfinite(rate[0][~unseen]).mean() > 0.9


def test_dry_in_dry_out(trained: Path) -> None:
    radar = past()
    dry = schema.as_radar(radar.assign(rainfall_rate=radar["rainfall_rate"] * 0).assign_attrs())
    dry["rainfall_rate"].attrs.update(radar["rainfall_rate"].attrs)
    forecast = Mim(trained)(dry, steps=2)
    assert forecast["rainfall_rate"].max() == 0
    assert forecast["probability_of_exceedance"].max() == 0


def test_it_says_who_answered_and_with_which_weights(trained: Path) -> None:
    forecast = Mim(trained)(past(), steps=1)
    assert forecast.attrs["source"].startswith("mim")
    assert forecast.attrs["model_sha256"] == checkpoint.sha256_of(trained)
    assert {"motion_x", "motion_y", "quality_flag"} <= set(forecast.data_vars)
    assert "probability_of_exceedance" not in Mim(trained, probabilities=False)(past(), steps=1)


def test_members_are_drawn_from_the_probabilities(trained: Path) -> None:
    radar = past()
    forecast = Mim(trained, members=10)(radar, steps=2)
    members = forecast["rainfall_rate_member"]
    assert members.dims == ("realization", "lead_time", "y", "x")
    chance = forecast["probability_of_exceedance"].sel(threshold=1.0, method="nearest")
    frequency = (members >= 1.0 * (1 - 1e-4)).mean("realization").where(chance.notnull())
    assert float(abs(frequency - chance).max()) <= 0.05 + 1e-3
    assert (np.isnan(members.isel(realization=0)) == np.isnan(forecast["rainfall_rate"])).all()
    again = Mim(trained, members=10)(radar, steps=2)["rainfall_rate_member"]
    np.testing.assert_array_equal(members, again)
    with pytest.raises(MethodError, match="draws members from probabilities"):
        Mim(trained, members=2)(radar, steps=30_000)


def test_what_it_cannot_answer(trained: Path, tmp_path: Path) -> None:
    with pytest.raises(ShortHistoryError, match="mim needs 4 frames, found 3"):
        Mim(trained)(past(frames=3), steps=1)
    blank = past()
    blank["rainfall_rate"].values[-1] = np.nan
    with pytest.raises(NothingObservedError, match="all missing"):
        Mim(trained)(blank, steps=1)
    with pytest.raises(WeightsError, match="no such file"):
        Mim(tmp_path / "absent.safetensors")(past(), steps=1)
    foreign = tmp_path / "foreign.safetensors"
    checkpoint.save(foreign, MIM(HEAD.config(hidden=4, layers=2)), metadata={})
    with pytest.raises(WeightsError, match="no head in the header"):
        Mim(foreign)(past(), steps=1)


def test_a_grid_that_memory_is_too_small_for_is_refused_before(
    trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nowcast.forecast import mim

    monkeypatch.setattr(mim, "BYTES_AT_ONCE", 10**9)
    with pytest.raises(MethodError, match=r"mim needs about \d+ GB for 50x50 cells"):
        Mim(trained)(past(), steps=1)


def test_tiles_leave_no_seam(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from nowcast.forecast import rollout

    torch.manual_seed(0)
    network = MIM(HEAD.config(hidden=4, layers=3, layer_norm=False))
    torch.nn.init.normal_(network.output.weight, std=0.1)
    weights, radar = saved(tmp_path / "local.safetensors", network), past(size=90)
    for by in (step_in_tiles, advance_in_tiles):
        monkeypatch.setattr(rollout, by.__name__, partial(by, side=7))
    in_tiles = Mim(weights)(radar, steps=6)
    monkeypatch.setattr(rollout, "can_tile", lambda _: False)
    at_once = Mim(weights)(radar, steps=6)
    for name in ("rainfall_rate", "probability_of_exceedance"):
        np.testing.assert_allclose(in_tiles[name], at_once[name], atol=1e-5)


def test_bf16_says_what_fp32_says_but_for_its_rounding() -> None:
    radar = past(size=80)
    fine, coarse = (
        Mim(shipped_weights(), precision=precision)(radar, steps=6)
        for precision in ("32-true", "bf16-mixed")
    )
    rate, rounded = (one["rainfall_rate"].values for one in (fine, coarse))
    np.testing.assert_array_equal(np.isnan(rate), np.isnan(rounded))
    assert rounded.dtype == np.float32
    assert (rate != rounded).any()  # it was used
    assert np.nanstd(rounded - rate) < 0.02 * np.nanstd(rate)
    chances, of_rounded = (one["probability_of_exceedance"].values for one in (fine, coarse))
    assert np.nanmax(np.abs(chances - of_rounded)) < 0.05


def test_the_shipped_weights_run_on_any_grid() -> None:
    radar = past(size=61)
    forecast = Mim(shipped_weights())(radar, steps=4)
    assert np.isfinite(forecast["rainfall_rate"].values[0]).mean() > 0.5
