from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from config.recipe import ArchiveSource, Recipe, TrainingPart
from mim_core import checkpoint
from mim_core.model import MIM
from nowcast import build_learning
from nowcast.field import schema
from nowcast.field.errors import MissingFramesError, UsageError
from nowcast.forecast.head import RainHead
from nowcast.forecast.mim import Mim
from nowcast.ingest.simulated import Storm, low_countries
from nowcast.learn.decisions import best_cuts, decide, pooled
from nowcast.learn.episodes import episodes_of
from nowcast.verify.probability import ProbabilityBins, probability_bins
from nowcast.verify.sums import stack

HEAD = RainHead(thresholds_mm_h=(0.1, 1.0, 30.0))


def bins(probability: list[float], happened: list[bool]) -> ProbabilityBins:
    """One lead and threshold: (1, 1, bin)."""
    found = probability_bins(probability, np.array(happened))
    return stack([stack([found])])  # type: ignore[return-value]


def test_the_cut_with_the_highest_csi_by_hand() -> None:
    """Rain at 0.8 and 0.4, none at 0.3: CSI is 2/3 from 0.3 down, 1 from 0.4 down, 1/2 above."""
    ((cut,),) = best_cuts(bins([0.8, 0.4, 0.3, 0.0], [True, True, False, False]))
    assert 0.3 < cut <= 0.4


def test_calibrated_probabilities_give_the_cut_of_theory() -> None:
    """It lies at CSI / (1 + CSI)."""
    generator = np.random.default_rng(0)
    p = generator.beta(0.3, 0.9, size=400_000)
    made = bins(p.tolist(), (generator.random(p.size) < p).tolist())
    ((cut,),) = best_cuts(made)
    best = float(made.best_csi[0, 0])
    assert cut == pytest.approx(best / (1 + best), abs=0.03)


def test_what_never_happened_takes_the_cut_of_the_lower_threshold() -> None:
    generator = np.random.default_rng(1)
    p = generator.random(50_000)
    seen, unseen = generator.random(p.size) < p, np.zeros(p.size, dtype=bool)
    both = stack([stack([probability_bins(p, seen), probability_bins(p / 100, unseen)])])
    low, high = best_cuts(both)  # type: ignore[arg-type]
    assert high == low


def test_events_are_pooled_by_minutes_ahead_by_hand() -> None:
    """Leads of 10 and 20 min, and of 5, 10 and 15 min of a grid of half as many pixels."""
    rain, none = bins([0.8] * 4, [True] * 4), bins([0.8] * 4, [False] * 4)
    few = bins([0.8] * 2, [True] * 2)
    slow = stack([rain, none]).arrays()
    fast = stack([few, few, few]).arrays()
    found = pooled(
        [
            ((10.0, 20.0), ProbabilityBins.of({name: of[:, 0] for name, of in slow.items()})),
            ((5.0, 10.0, 15.0), ProbabilityBins.of({name: of[:, 0] for name, of in fast.items()})),
        ]
    )
    # The slow one half counts at 5 min, and at 15 it is half rain and half none; the fast one ends.
    np.testing.assert_allclose(found.happened.sum(axis=-1)[:, 0], [1.5, 2.0, 1.5, 0.0])
    np.testing.assert_allclose(found.n.sum(axis=-1)[:, 0], [1.5, 2.0, 2.0, 1.0])


def test_decisions_are_read_between_the_minutes_that_they_were_fixed_for() -> None:
    head = RainHead(thresholds_mm_h=(0.1,), decisions=((0.5, 0.4, 0.2),))  # 5, 10 and 15 min
    two, five, twenty = (head.decided(steps=3, step_minutes=step) for step in (2.5, 5.0, 20.0))
    np.testing.assert_allclose(two, [[0.5, 0.5, 0.45]])
    np.testing.assert_allclose(five, [[0.5, 0.4, 0.2]])
    np.testing.assert_allclose(twenty, [[0.2, 0.2, 0.2]])
    assert RainHead().decided(steps=3, step_minutes=5.0) is None


def test_events_of_two_cadences_decide_together(tmp_path: Path) -> None:
    weights = tmp_path / "weights.safetensors"
    checkpoint.save(
        weights, MIM(HEAD.config(hidden=4, layers=2)), metadata={"head": HEAD.to_dict()}
    )
    start, storm = np.datetime64("2026-06-01", "ns"), Storm(grid=low_countries(48))
    radar = storm.radar(start=start, frames=20)
    episodes = [
        episode
        for every in (1, 2)
        for episode in episodes_of(
            schema.Frames(radar.isel(time=slice(None, None, every))),
            name=f"every {every}",
            cadence=np.timedelta64(5 * every, "m"),
            history=HEAD.history,
            leads=3,
        )
    ]
    head = decide(weights, episodes, every=20)
    assert np.shape(head.decisions) == (3, 6)  # half an hour
    _, metadata = checkpoint.load(weights)
    assert metadata["decided_on"] == {"events": ["every 1", "every 2"], "forecasts": 2}


def test_decisions_are_fixed_two_hours_ahead_or_as_far_as_a_sequence_reaches(
    shared_data: Path,
) -> None:
    source = ArchiveSource(feed="openmrg", archive="radar/openmrg/20150725")
    recipe = Recipe(sources=(source,))
    plan = build_learning.plan(recipe, steps=None, seed=None, device="cpu")
    (episode,) = build_learning.deciding_episodes(recipe, plan=plan, data=shared_data)
    assert episode.leads == 24
    assert episode.issues[-1] == 31 - 6 - 1  # of 31 frames, with six leads after it


def test_decisions_go_into_the_weights_and_the_forecasts(tmp_path: Path) -> None:
    torch.manual_seed(0)
    weights = tmp_path / "weights.safetensors"
    checkpoint.save(
        weights,
        MIM(HEAD.config(hidden=4, layers=2)),
        metadata={"head": HEAD.to_dict(), "title": "kept"},
    )
    radar = Storm(grid=low_countries(64)).radar(start=np.datetime64("2026-06-01", "ns"), frames=12)
    episodes = list(
        episodes_of(
            schema.Frames(radar),
            name="storm",
            cadence=np.timedelta64(5, "m"),
            history=HEAD.history,
            leads=3,
        )
    )
    heard: list[str] = []
    head = decide(weights, episodes, every=3, heard=heard.append)
    assert np.shape(head.decisions) == (3, 3)
    assert all(0 < cut < 1 for leads in head.decisions for cut in leads)
    assert len(heard) == len(range(HEAD.history - 1, 11, 3))
    _, metadata = checkpoint.load(weights)
    assert metadata["title"] == "kept"
    assert metadata["decided_on"] == {"events": ["storm"], "forecasts": len(heard)}
    past = schema.Radar(radar.isel(time=slice(0, 5)))
    decided = Mim(weights)(past, steps=5)["decision_probability"]
    assert decided.dims == ("threshold", "lead_time")
    np.testing.assert_allclose(decided.values[:, :3], head.decisions, atol=1e-6)
    np.testing.assert_array_equal(decided.values[:, 3:], decided.values[:, [2, 2]])
    with pytest.raises(MissingFramesError, match="nothing to decide on"):
        decide(weights, [])


def test_one_archive_at_two_cadences_is_two_events(shared_data: Path) -> None:
    """As in the recipe that ships: sums of two cadences under one name would not add."""
    archive = "radar/openmrg/20150725"
    sources = [ArchiveSource(feed="openmrg", archive=archive, every=every) for every in (1, 2)]
    recipe = Recipe(training=TrainingPart(leads=3))
    plan = build_learning.plan(recipe, steps=None, seed=None, device="cpu")
    found = build_learning.episodes(sources, plan=plan, data=shared_data)
    minutes = {episode.name: episode.sampling.step_minutes for episode in found}
    assert sorted(minutes.values()) == [5.0, 10.0]


def test_a_feed_that_a_recipe_does_not_have_cannot_be_left_out() -> None:
    def asked(recipe: str | None, *without: str) -> None:
        build_learning.training_recipe(
            recipe=recipe, feed_name="knmi", archive_folder=Path(), series=None, without=without
        )

    asked("radar-wider", "mch", "knmi")
    with pytest.raises(UsageError, match=r"unknown feed of the recipe 'mhc'\. Did you mean mch\?"):
        asked("radar-wider", "mhc")
    with pytest.raises(UsageError, match="give --recipe"):
        asked(None, "mch")
