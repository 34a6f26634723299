"""The closed loop on a folder of published forecasts: scored when the truth comes, once."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from skill_samples import (
    NOON,
    STEP,
    Methods,
    accepted,
    digest_of,
    field,
    invented,
    issue_times,
    publish,
    storm_archive,
    weights,
)

from nowcast import scorecard
from nowcast.field.errors import MissingFramesError
from nowcast.forecast.extrapolation import Extrapolation
from nowcast.forecast.persistence import Persistence
from nowcast.hindcast import Hindcast
from nowcast.ingest.archive import Archive
from nowcast.service.hooks import Event
from nowcast.service.layout import Layout
from nowcast.service.skill.forecasts import Accepted
from nowcast.service.skill.judging import Measure
from nowcast.service.skill.keepers import DayTables
from nowcast.service.skill.loop import SkillChore, SkillSettings
from nowcast.service.skill.report import read_day, read_skill
from nowcast.service.skill.store import Scored, SkillStore
from nowcast.verify.table import score_table
from nowcast.verify.tally import total

if TYPE_CHECKING:
    from collections.abc import Sequence

RIVALS = {"extrapolation": Extrapolation(), "persistence": Persistence()}
MEASURE = Measure((0.1, 1.0), (5,))
EVENING = NOON + np.timedelta64(8, "h")


@pytest.fixture(scope="module")
def radar(tmp_path_factory: pytest.TempPathFactory) -> Archive:
    return storm_archive(tmp_path_factory.mktemp("radar"))


@pytest.fixture(scope="module")
def issued(tmp_path_factory: pytest.TempPathFactory, radar: Archive) -> Layout:
    """Two cycles of extrapolation, published."""
    layout = Layout(tmp_path_factory.mktemp("data"))
    for time in issue_times(4, 2):
        publish(layout, radar, Extrapolation(), time, steps=3)
    return layout


@pytest.fixture
def layout(issued: Layout, tmp_path: Path) -> Layout:
    shutil.copytree(issued.root, tmp_path / "data", symlinks=True)
    return Layout(tmp_path / "data")


def chore(layout: Layout, frames: Accepted, **given: Any) -> SkillChore:
    settings = SkillSettings(measure=MEASURE)
    return SkillChore(
        layout=layout,
        store=SkillStore(layout.root / "state/skill.sqlite"),
        accepted=lambda: frames,
        **{"recipe": Methods(), "methods": tuple(RIVALS), "settings": settings} | given,
    )


def work_off(loop: SkillChore, now: np.datetime64 = EVENING) -> int:
    """Work until there is nothing to do; how many pieces that were."""
    pieces = 0
    while loop.work(now):
        pieces += 1
        assert pieces < 100
    return pieces


def test_the_loop_gives_the_scores_of_a_hindcast(
    layout: Layout, radar: Archive, tmp_path: Path
) -> None:
    """Piece by piece, in child processes and through a database: the same numbers."""
    loop, before = chore(layout, accepted(radar)), digest_of(layout.published)
    # Two cycles with rivals, and four valid times of their leads.
    assert work_off(loop) == 6
    assert digest_of(layout.published) == before
    list(Hindcast(radar, RIVALS, steps=3, out=tmp_path / "past").run(issue_times(4, 2)))
    settings = scorecard.ScoreSettings(MEASURE.thresholds_mm_h, MEASURE.scales_cells)
    card = scorecard.score(scorecard.forecast_files(tmp_path / "past"), radar, settings=settings)
    found = read_skill(loop.store, now=EVENING).cycles
    assert set(found) == {"published", *RIVALS}
    for tally in card.tallies:
        ours = total(found[tally.method])
        pd.testing.assert_frame_equal(score_table([ours]), score_table([tally]))
    as_published = score_table([total(found["published"]).named("extrapolation")])
    assert as_published.equals(score_table([total(found["extrapolation"])]))


def test_each_lead_is_scored_when_its_frame_comes(layout: Layout, radar: Archive) -> None:
    (first, _) = issue_times(4, 2)
    early = chore(layout, accepted(radar, until=first + STEP))
    work_off(early)
    assert early.store.scored_leads(since=NOON) == {"20260601T1220Z": {300}}
    later = chore(layout, accepted(radar, until=first + 2 * STEP))
    work_off(later)
    assert later.store.scored_leads(since=NOON) == {
        "20260601T1220Z": {300, 600},
        "20260601T1225Z": {300},
    }
    # What was made of the frames stays until the last lead; then it goes.
    assert sorted(path.name for path in later.shadow.iterdir()) == [
        "20260601T1220Z",
        "20260601T1225Z",
    ]
    work_off(chore(layout, accepted(radar)))
    assert not list(later.shadow.iterdir())
    assert work_off(chore(layout, accepted(radar))) == 0


def test_a_frame_that_never_comes_is_no_dry_one(layout: Layout, radar: Archive) -> None:
    frames = accepted(radar)
    gone = NOON + 6 * STEP
    loop = chore(
        layout, Accepted(tuple(one for one in frames.inputs if one.valid_time != gone), frames.feed)
    )
    work_off(loop)
    scored = loop.store.scored_leads(since=NOON)
    assert scored["20260601T1220Z"] == {300, 900}
    assert scored["20260601T1225Z"] == {600, 900}


def test_rivals_rest_on_the_frames_of_the_forecast(layout: Layout, radar: Archive) -> None:
    """A frame that was revised after the forecast would be an advantage."""
    frames = accepted(radar)
    revised = tuple(
        one._replace(sha256="0" * 64) if one.valid_time == NOON + STEP else one
        for one in frames.inputs
    )
    heard: list[Event] = []
    loop = chore(layout, Accepted(revised, frames.feed), listeners=(heard.append,))
    work_off(loop)
    told = [event for event in heard if event.kind == "rival lacking"]
    assert {event.cycle for event in told} == {"20260601T1220Z"}
    assert str(told[0].facts["reason"]).startswith("1 of the files that the forecast was made of")
    # It is scored all the same, without anything to compare it with.
    report = read_skill(loop.store, now=EVENING)
    assert [len(report.cycles[name]) for name in ("published", "persistence")] == [2, 1]


def test_a_file_that_cannot_be_read_is_told_once_and_the_others_go_on(
    layout: Layout, radar: Archive
) -> None:
    heard: list[Event] = []
    loop = chore(layout, accepted(radar), listeners=(heard.append,))
    while not (loop.shadow / "20260601T1220Z").is_dir():
        assert loop.work(EVENING)
    damaged = layout.published / "20260601T1225Z/20260601T1225Z.nc"
    damaged.write_bytes(damaged.read_bytes()[:5000])
    work_off(loop)
    told = [event for event in heard if event.kind == "lead not scored"]
    assert [event.cycle for event in told] == ["20260601T1225Z"] * 3
    assert "cut short or damaged" in str(told[0].facts["reason"])
    assert set(loop.store.scored_leads(since=NOON)) == {"20260601T1220Z"}
    assert work_off(loop) == 0


class Killed(BaseException):
    """What kill -9 looks like from inside."""


@dataclass(frozen=True)
class Dying(SkillStore):
    """A store whose process is killed as it begins to write, or as soon as it has written."""

    after: bool = False

    def add(self, scored: Sequence[Scored]) -> int:
        if self.after:
            super().add(scored)
        raise Killed


@pytest.mark.parametrize("after", [False, True])
def test_killed_at_every_write_the_sums_are_the_same(
    layout: Layout, radar: Archive, tmp_path: Path, *, after: bool
) -> None:
    whole = Layout(tmp_path / "whole")
    shutil.copytree(layout.root, whole.root, symlinks=True)
    until = NOON + 6 * STEP
    for one in (whole, layout):
        loop = chore(one, accepted(radar, until=until))
        for _ in range(2):
            assert loop._make_rivals(loop._open(EVENING))
    work_off(chore(whole, accepted(radar, until=until)))
    path = layout.root / "state/skill.sqlite"
    dying = chore(layout, accepted(radar, until=until))
    dying.store = Dying(path, after=after)
    (layout.root / "shadow/.20260601T1220Z.abcd.part").mkdir()
    with pytest.raises(Killed):
        dying.work(EVENING)
    if after:
        with pytest.raises(Killed):
            dying.work(EVENING)
        assert not dying.work(EVENING)
    work_off(chore(layout, accepted(radar, until=until)))
    ours, theirs = (
        read_skill(SkillStore(one.root / "state/skill.sqlite"), now=EVENING).cycles
        for one in (layout, whole)
    )
    assert theirs["published"]
    for method in theirs:
        assert all(a.equals(b) for a, b in zip(ours[method], theirs[method], strict=True))
    assert not list((layout.root / "shadow").glob(".*"))


def test_mim_is_scored_while_another_method_is_published(radar: Archive, tmp_path: Path) -> None:
    layout = Layout(tmp_path / "data")
    publish(layout, radar, Extrapolation(), NOON + 4 * STEP, steps=2)
    loop = chore(layout, accepted(radar))
    loop.recipe = Methods(weights(tmp_path / "mim.safetensors"))
    loop.methods = ("mim", *RIVALS)
    work_off(loop)
    report = read_skill(loop.store, now=EVENING)
    assert set(report.cycles) == {"published", "extrapolation", "persistence", "mim"}
    table = report.scores().set_index(["method", "score", "lead_minutes", "threshold_mm_h"])
    pixels = table["n"].xs("csi", level="score").unstack("method")
    assert (pixels.nunique(axis="columns") == 1).all()


def test_tables_of_days(tmp_path: Path) -> None:
    store, folder = SkillStore(tmp_path / "skill.sqlite"), tmp_path / "skill"
    truth = np.stack([field(1), field(2)])
    rates = {"mim": truth * 0.5, "persistence": truth * 0}
    store.add(invented(NOON, rates, truth))
    tables = DayTables(store, folder)
    assert tables.keep(EVENING)
    (path,) = folder.iterdir()
    assert path.name == "2026-06-01.csv"
    stored = pd.read_csv(path)
    expected = read_day(store, np.datetime64("2026-06-01")).scores()
    pd.testing.assert_frame_equal(stored, expected, check_dtype=False)
    assert {"low", "high", "n", "cycles"} <= set(stored.columns)
    assert set(stored["method"]) == {"published", *rates}
    before = path.stat().st_mtime_ns
    assert not tables.keep(EVENING)
    assert not DayTables(store, folder).keep(EVENING)
    assert path.stat().st_mtime_ns == before
    # More has been scored: the table is written again, when its pause is over.
    store.add(invented(NOON + STEP, rates, truth))
    assert not tables.keep(EVENING)
    assert tables.keep(EVENING + 4 * STEP)
    assert (pd.read_csv(path)["cycles"] == 2).all()


def test_an_empty_window_says_so(tmp_path: Path) -> None:
    report = read_skill(SkillStore(tmp_path / "skill.sqlite"), now=NOON)
    assert report.is_empty
    with pytest.raises(MissingFramesError, match="no forecast issued from 2026-05-31T12:00Z"):
        report.scores()
