from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from storm_episode import FIVE_MINUTES, START, episode

from mim_core import checkpoint
from mim_core.model import MIM
from mim_core.settings import TrainSettings
from nowcast.field import schema
from nowcast.field.errors import MissingFramesError
from nowcast.forecast.head import RainHead, Sampling
from nowcast.forecast.mim import Mim
from nowcast.ingest.simulated import Storm, low_countries
from nowcast.learn.crops import CropSettings, LagrangianCrops, cut
from nowcast.learn.episodes import Episode, episodes_of, unseen_within
from nowcast.learn.objective import AbsoluteErrors, RainLoss
from nowcast.learn.training import Plan, train

HEAD = RainHead(history=3, thresholds_mm_h=(0.1, 1.0))
CROPS = CropSettings(size=32, margin=8, issue_every=1)


@pytest.fixture(scope="module")
def storm() -> Episode:
    return episode(Storm(grid=low_countries(80), radar_range_km=45))


def crops(*episodes: Episode, settings: CropSettings = CROPS) -> LagrangianCrops:
    return LagrangianCrops(episodes, head=HEAD, settings=settings, batch_size=2, seed=3)


def test_a_batch_is_a_pure_function_of_the_step(storm: Episode) -> None:
    first, again = crops(storm).batch_at(5), crops(storm).batch_at(5)
    assert torch.equal(first["frames"], again["frames"])
    assert not torch.equal(first["frames"], crops(storm).batch_at(6)["frames"])


def test_an_episode_is_drawn_from_its_step_on(storm: Episode) -> None:
    other = episode(Storm(grid=low_countries(80), radar_range_km=20))
    late = replace(other, from_step=5)
    alone, both = crops(storm), crops(storm, late)
    for step in range(5):
        assert torch.equal(both.batch_at(step)["frames"], alone.batch_at(step)["frames"])
    assert any(
        not torch.equal(both.batch_at(step)["frames"], alone.batch_at(step)["frames"])
        for step in range(5, 8)
    )
    with pytest.raises(MissingFramesError, match="nothing to learn from"):
        crops(late)


def test_a_batch_has_the_shape_of_the_network_and_no_nan(storm: Episode) -> None:
    batch = crops(storm).batch_at(0)
    assert batch["frames"].shape == (2, 3 + 4, 2, 32, 32)
    assert batch["mask"].shape == (2, 3 + 4, 1, 32, 32)
    assert torch.isfinite(batch["frames"]).all()
    assert 0 < batch["mask"].mean() < 1  # the radar does not see everything


def test_a_network_that_knows_the_sampling_is_told_the_cadence_and_the_cells(
    storm: Episode,
) -> None:
    told = replace(crops(storm), head=replace(HEAD, knows_sampling=True)).batch_at(5)
    plain = crops(storm).batch_at(5)
    assert torch.equal(told["frames"][:, :, :2], plain["frames"])
    assert torch.equal(told["mask"], plain["mask"])
    step, cell = told["frames"][:, :, 2], told["frames"][:, :, 3]
    assert (step == 0).all()  # 5 minutes are the usual
    assert torch.allclose(cell, torch.tensor(0.5 * math.log2(storm.sampling.cell_km)))


def test_twice_the_cadence_and_the_cells_are_as_far_as_half() -> None:
    head, rate = replace(HEAD, knows_sampling=True), torch.ones(1, 2, 3)
    coarse = head.inputs(rate, Sampling(step_minutes=10, cell_km=2.0))
    fine = head.inputs(rate, Sampling(step_minutes=2.5, cell_km=0.5))
    assert (coarse[:, 2:] == 0.5).all()
    assert (fine[:, 2:] == -0.5).all()


def test_regions_that_are_left_out_are_unseen_and_nothing_else_is() -> None:
    frames = Storm(grid=low_countries(80)).radar(start=START, frames=3)
    lon, lat = schema.grid_of(frames).lonlat()
    middle = float(np.median(lon))
    masked = unseen_within(schema.Frames(frames), boxes=[(middle, -90.0, 180.0, 90.0)])
    left_out = masked["rainfall_rate"].values[:, lon >= middle]
    assert np.isnan(left_out).all()
    kept = lon < middle
    assert 0.3 < kept.mean() < 0.7
    np.testing.assert_array_equal(
        masked["rainfall_rate"].values[:, kept], frames["rainfall_rate"].values[:, kept]
    )
    assert np.isfinite(frames["rainfall_rate"].values[:, ~kept]).any()  # the given ones stay
    assert lat.shape == kept.shape


def test_motions_are_found_once_and_kept_for_the_next_run(tmp_path: Path) -> None:
    storm = Storm(grid=low_countries(80))
    found = replace(episode(storm), store=tmp_path, _motions={}).motion(3)
    (stored,) = tmp_path.glob("*.npy")
    np.save(stored, np.full_like(np.load(stored), 7.0))
    assert (replace(episode(storm), store=tmp_path, _motions={}).motion(3) == 7.0).all()
    # Other frames are another motion, whatever the episode is called.
    other = replace(episode(replace(storm, motion_m_s=(0.0, 0.0))), store=tmp_path).motion(3)
    assert np.abs(other).max() < np.abs(found).max()


def test_a_storm_that_only_moves_stands_still_in_lagrangian_coordinates() -> None:
    moving = Storm(
        grid=low_countries(120), motion_m_s=(20 / 3, 10 / 3), lifetime_minutes=np.inf,
        life_minutes=1e6,
    )  # fmt: skip
    calm = CropSettings(size=48, margin=16, wet_share=1.0, issue_every=1)
    batch = crops(episode(moving), settings=calm).batch_at(1)
    rain, seen = batch["frames"][:, :, 0], batch["frames"][:, :, 1] > 0.99
    apart = (rain[:, -1] - rain[:, 2]).abs()[seen[:, -1] & seen[:, 2]].mean()
    eulerian = moving.rate_mm_h(20.0), moving.rate_mm_h(0.0)
    before, after = (HEAD.scaling.scaled(rate) for rate in eulerian)
    assert apart < 0.35 * float(np.abs(after - before).mean())


def test_in_the_eulerian_form_frames_stay_where_they_are(storm: Episode) -> None:
    still = replace(crops(storm), head=replace(HEAD, form="eulerian"))
    issue = storm.issues[-1]
    standing = still._moved(storm, issue, row=40, column=40)
    half = CROPS.size // 2
    first = issue + 1 - HEAD.history
    expected = storm.rate_mm_h[first:, 40 - half : 40 + half, 40 - half : 40 + half]
    there = min(len(expected), len(standing))
    np.testing.assert_array_equal(standing[:there].numpy(), expected[:there])
    assert torch.isnan(standing[there:]).all()


def test_frames_that_are_not_there_are_unseen_not_dry(storm: Episode) -> None:
    short = replace(storm, leads=9)
    last = short.issues[-1]
    assert last + 9 >= short.radar.sizes["time"]
    moved = crops(short)._moved(short, last, row=40, column=40)
    assert torch.isnan(moved[-1]).all()
    assert torch.isfinite(moved[HEAD.history]).any()


def test_a_window_beyond_the_grid_is_unseen() -> None:
    fields = np.arange(6, dtype=np.float32).reshape(1, 2, 3)
    window = cut(fields, top=-1, left=1, side=3)[0]
    expected = [[np.nan] * 3, [1, 2, np.nan], [4, 5, np.nan]]
    np.testing.assert_array_equal(window, np.array(expected, np.float32))
    assert np.isnan(cut(fields, top=5, left=0, side=2)).all()


def test_a_gap_parts_an_episode() -> None:
    radar = Storm(grid=low_countries(40)).radar(start=START, frames=16)
    holed = schema.Frames(radar.drop_isel(time=[8]))
    found = list(episodes_of(holed, name="holed", cadence=FIVE_MINUTES, history=3, leads=4))
    assert [made.radar.sizes["time"] for made in found] == [8, 7]
    with pytest.raises(MissingFramesError, match="nothing to learn from"):
        crops()


def test_the_loss_of_the_truth_is_below_that_of_keeping_the_last_frame(storm: Episode) -> None:
    class Oracle(torch.nn.Module):
        """Answers with frames it is given: the true ones, or the newest kept."""

        def __init__(self, *, truth: bool) -> None:
            super().__init__()
            self.truth = truth

        def forward(self, frames: torch.Tensor, **_: int) -> torch.Tensor:
            patched = frames[:, 1:].clone()
            if not self.truth:
                patched[:, 2:] = frames[:, 2:3]
            split = patched.unflatten(2, (16, 2))
            offsets = torch.zeros(*split.shape[:3], 2, *split.shape[4:])
            return torch.cat([split, offsets], dim=3).flatten(2, 3)

    loss, batch = RainLoss(HEAD, patch=4), crops(storm).batch_at(0)
    assert loss(Oracle(truth=True), batch) < loss(Oracle(truth=False), batch)
    said, kept = AbsoluteErrors(HEAD, patch=4)(Oracle(truth=True), batch)
    assert said < 1e-3 * kept


def test_an_early_error_weighs_more_by_hand() -> None:
    head = RainHead(history=1, thresholds_mm_h=(1.0,))
    dry = torch.zeros(1, 5, 2, 1, 1)  # one cell, issue time and four leads
    batch = {"frames": dry, "mask": torch.ones(1, 5, 1, 1, 1)}

    def error_at(lead: int) -> float:
        said = torch.zeros(1, 4, 3, 1, 1)
        said[:, lead - 1, 0] = 1.0
        loss = RainLoss(head, patch=1, probability_share=0.0)
        return float(loss(lambda *_, **__: said, batch))  # type: ignore[arg-type]

    # |1| + 1 squared, by the lead to the power of -1/2 over the sum of these: 1, 0.71, 0.58, 0.5.
    assert error_at(1) == pytest.approx(2 / 2.7845, rel=1e-4)
    assert error_at(4) == pytest.approx(error_at(1) / 2)


def test_unseen_targets_change_no_loss(storm: Episode) -> None:
    torch.manual_seed(0)
    network = MIM(HEAD.config(hidden=4, layers=2)).eval()
    batch = crops(storm).batch_at(0)
    frames = batch["frames"].clone()
    hidden = (batch["mask"] < 0.99).expand_as(frames).clone()
    hidden[:, : HEAD.history] = False  # what the network sees stays
    hidden[:, :, 1] = False
    frames[hidden] = 9.0
    loss = RainLoss(HEAD, patch=4)
    assert loss(network, batch) == loss(network, {**batch, "frames": frames})


def test_training_lowers_the_error_and_the_weights_forecast(storm: Episode, tmp_path: Path) -> None:
    plan = Plan(
        head=HEAD,
        architecture=HEAD.config(hidden=8, layers=2),
        crops=CROPS,
        settings=TrainSettings(steps=30, learning_rate=3e-3, gradient_clip=1.0, seed=1),
        batch_size=2,
    )
    out = tmp_path / "weights.safetensors"
    heard: list[float] = []
    from nowcast.learn.training import Watch

    watch = Watch(step=lambda _, loss: heard.append(loss))
    header = train([storm], plan=plan, out=out, about={"title": "a storm"}, watch=watch)
    assert len(heard) == 30
    assert np.mean(heard[-8:]) < np.mean(heard[:8])
    network, metadata = checkpoint.load(out)
    assert metadata == header
    assert metadata["title"] == "a storm"
    assert network.config == plan.architecture
    assert Mim(out)(storm.radar, steps=2).sizes["lead_time"] == 2
