from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from mim_core import checkpoint
from mim_core.model import MIM
from nowcast.field import schema
from nowcast.field.errors import MissingFramesError
from nowcast.forecast.head import RainHead
from nowcast.ingest.simulated import Storm, low_countries
from nowcast.learn.episodes import Episode, episodes_of
from nowcast.learn.tuning import gains, held_out

HEAD = RainHead(thresholds_mm_h=(0.1, 1.0))
FIVE_MINUTES = np.timedelta64(5, "m")


def episode(start: str, *, frames: int) -> Episode:
    storm = Storm(grid=low_countries(48), radar_range_km=40)
    radar = storm.radar(start=np.datetime64(start, "ns"), frames=frames)
    (made,) = episodes_of(
        schema.Frames(radar), name="storm", cadence=FIVE_MINUTES, history=4, leads=2
    )
    return made


def weights(path: Path, *, drift: float) -> Path:
    """A network that adds ``drift`` to the scaled rain at every lead."""
    torch.manual_seed(0)
    network = MIM(HEAD.config(hidden=4, layers=2))
    channels = network.config.out_channels
    with torch.no_grad():
        assert network.output.bias is not None
        network.output.bias[::channels] = drift
    checkpoint.save(path, network, metadata={"head": HEAD.to_dict()})
    return path


def test_whole_days_are_held_out() -> None:
    days = [episode(f"2026-06-{day:02d}T12:00", frames=8) for day in (1, 2, 3, 4)]
    learnt, held = held_out(days, share=0.3)
    assert [str(one.radar["time"].values[0])[:10] for one in learnt] == [
        "2026-06-01",
        "2026-06-02",
        "2026-06-03",
    ]
    assert [str(one.radar["time"].values[0])[:10] for one in held] == ["2026-06-04"]


def test_of_a_single_day_the_end_is_held_out() -> None:
    whole = episode("2026-06-01T12:00", frames=30)
    (learnt,), (held,) = held_out([whole], share=0.4)
    assert learnt.radar["time"].values[-1] < held.radar["time"].values[0]
    assert learnt.radar.sizes["time"] + held.radar.sizes["time"] == 30
    assert held.radar.sizes["time"] == pytest.approx(12, abs=1)
    with pytest.raises(MissingFramesError, match="give more frames or another --hold-out"):
        held_out([episode("2026-06-01T12:00", frames=6)], share=0.1)


def test_what_ruins_a_forecast_is_said_to_harm(tmp_path: Path) -> None:
    held = [episode("2026-06-01T12:00", frames=16)]
    good = weights(tmp_path / "good.safetensors", drift=0.0)
    wet = weights(tmp_path / "wet.safetensors", drift=0.5)
    mae, brier = gains(good, wet, held, every=1)
    assert mae.score == "mae"
    assert mae.after > mae.before
    assert mae.verdict == brier.verdict == "harmed"
    assert str(mae).endswith(": harmed")
    assert "%" in str(mae)
    (back, _) = gains(wet, good, held, every=1)
    assert back.verdict == "helped"


def test_what_changes_nothing_is_not_resolved(tmp_path: Path) -> None:
    same = weights(tmp_path / "same.safetensors", drift=0.0)
    for gain in gains(same, same, [episode("2026-06-01T12:00", frames=9)], every=1):
        assert gain.before == gain.after
        assert gain.verdict == "not resolved"
