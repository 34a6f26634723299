"""The skill gate in a running service: MIM that has lost gives way, and comes back when it is good.

Real frames of a simulated storm, real weights (small ones), real files, one service all the while.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import structlog
import torch
from feed_samples import played
from skill_samples import HEAD, storm_archive, weights

from mim_core import checkpoint
from mim_core.model import MIM
from nowcast import build_operators
from nowcast.build_service import ServiceRecipe, Surroundings, feed_of
from nowcast.products.reading import read_forecast
from nowcast.service import published
from nowcast.service.cycles import Cycles
from nowcast.service.operators import logs
from nowcast.service.replay import as_fast_as_can_be
from nowcast.service.skill.keepers import SkillGate
from nowcast.service.skill.preference import GateSettings

# A shorter memory than the service's: a morning is to be enough.
GATE = GateSettings(
    simpler=("extrapolation",),
    window_hours=2.0,
    return_hours=0.75,
    hold_hours=0.5,
    block_cycles=2,
    minimum_blocks=4,
)
DROPPED_BY, BACK_BY = np.timedelta64(70, "m"), np.timedelta64(135, "m")


def perturbed(path: Path) -> Path:
    """Weights that say an eighth of the rain: poor, but nothing that the output gate refuses."""
    network = MIM(HEAD.config(hidden=4, layers=2))
    with torch.no_grad():
        network.output.bias -= 0.9
    checkpoint.save(path, network, metadata={"head": HEAD.to_dict()})
    return path


class Story:
    """A service on a storm, begun with weights that say too little rain."""

    def __init__(self, root: Path) -> None:
        archive = storm_archive(root / "archive", size=32)
        paths = [entry.path for entry in archive.catalogue.entries]
        self.weights = perturbed(root / "mim.safetensors")
        self.begin = archive.times[0]
        self.work = played(
            root,
            list(zip(archive.times, paths, strict=True)),
            forecast={
                "methods": ["mim", "extrapolation", "persistence"],
                "leads": 1,
                "weights": self.weights,
                "probabilities": False,
            },
        )

    def surroundings(self) -> dict[str, Any]:
        """The closed loop as the settings want it, with the gate's shorter memory."""
        settings = self.work.settings
        listeners = (self.work.events.append, logs.tell)
        made = build_operators.looped(
            Surroundings(listeners=listeners),
            settings,
            feed=feed_of(settings),
            recipe=ServiceRecipe(settings),
        )
        (chore,) = made.chores
        gate = SkillGate(chore.store, GATE, pause_minutes=4.0)
        chore = replace(chore, methods=("mim", "extrapolation"), keepers=(gate,))
        return {"chores": (chore,), "prefer": made.prefer, "listeners": listeners}

    def play(self) -> Story:
        """Bad weights until the gate has had its time, then good ones."""
        with (
            structlog.testing.capture_logs() as self.lines,
            self.work.service(**self.surroundings()) as service,
        ):
            work = self.work
            as_fast_as_can_be(service, work.clock, work.feeder, until=self.begin + DROPPED_BY)
            weights(self.weights)
            as_fast_as_can_be(service, work.clock, work.feeder, until=self.begin + BACK_BY)
            rows = Cycles(service.planner.frames.ledger).between(self.begin, self.begin + BACK_BY)
        self.rows = {str(row.id): row for row in rows}
        layout = work.layout
        self.told = [published.open_cycle(layout, cycle) for cycle in published.cycles(layout)]
        return self

    @property
    def runs(self) -> list[tuple[str, int]]:
        """The rungs that answered one after another, and how often each in a row."""
        rungs = groupby(one.manifest.rung for one in self.told)
        return [(rung, len(list(same))) for rung, same in rungs]


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    return Story(tmp_path_factory.mktemp("story")).play()


def test_mim_gives_way_and_comes_back(story: Story) -> None:
    rungs = [rung for rung, _ in story.runs]
    # The first cycles have too little history for MIM, and the very first for any motion.
    assert rungs == ["persistence", "extrapolation", "mim", "extrapolation", "mim"]
    # Eight cycles can be told apart, the newest when its frame has come: one cycle later.
    assert story.runs[2] == ("mim", 9)


def test_all_say_why(story: Story) -> None:
    chosen = [one for one in story.told if "mim has been worse" in one.manifest.degraded_reason]
    assert len(chosen) >= 4
    for one in chosen:
        why = one.manifest.degraded_reason
        assert one.manifest.rung == "extrapolation"
        assert why.startswith("mim has been worse over 2 h: CSI -")
        assert "against extrapolation over" in why
        written = read_forecast(one.netcdf)
        assert (written.attrs["degraded_reason"], written.attrs["rung"]) == (why, "extrapolation")
        row = story.rows[str(one.id)]
        assert (row.state, row.rung, row.reason) == ("degraded", "extrapolation", why)
        told = [line["reason"] for line in story.lines if line["event"] == "cycle degraded"]
        assert why in told


def test_when_it_is_back_nothing_is_degraded(story: Story) -> None:
    last = story.told[-1]
    assert (last.manifest.rung, last.manifest.degraded_reason) == ("mim", "")
    assert story.rows[str(last.id)].state == "published"
    assert not read_forecast(last.netcdf).attrs.get("degraded_reason")
