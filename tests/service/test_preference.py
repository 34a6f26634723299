"""The skill gate: MIM made bad is dropped, one bad cycle is not enough, and it comes back."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from skill_samples import (
    NOON,
    STEP,
    Methods,
    accepted,
    field,
    invented,
    issue_times,
    publish,
    storm_archive,
    weights,
)

from nowcast.service.layout import Layout
from nowcast.service.skill.contest import contests, decide
from nowcast.service.skill.forecasts import published_forecasts
from nowcast.service.skill.judging import DueLead, Measure, judge
from nowcast.service.skill.keepers import SkillGate
from nowcast.service.skill.preference import GateSettings, Preference, SkillPreference
from nowcast.service.skill.rivals import make_rivals
from nowcast.service.skill.store import Scored, SkillStore

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

GATE = GateSettings(block_cycles=3, minimum_blocks=5, return_hours=2.0, hold_hours=1.0)
STAY = Preference("", "")


def truth(k: int) -> NDArray[np.float32]:
    return np.stack([field(7 * k), field(7 * k + 1)])


def noisy(k: int, *, spread: float, seed: int) -> NDArray[np.float32]:
    """The truth with errors of a method's own."""
    random = np.random.default_rng(1000 * seed + k)
    factor = np.exp(random.normal(0, spread, size=(2, 6, 6)))
    return (truth(k) * np.kron(factor, np.ones((1, 4, 4)))).astype(np.float32)


def good(k: int) -> NDArray[np.float32]:
    return noisy(k, spread=0.3, seed=1)


def dry(k: int) -> NDArray[np.float32]:
    return np.where(truth(k) > 8, truth(k), 0).astype(np.float32)


def wet(k: int) -> NDArray[np.float32]:
    return good(k) * 3


def good_but_once(k: int) -> NDArray[np.float32]:
    return good(k) * (k != 11)


@cache
def cycle(k: int, mim: Callable[[int], NDArray[np.float32]]) -> list[Scored]:
    """The k-th cycle, of which MIM says ``mim(k)``; extrapolation is good, persistence is not."""
    simple = {"extrapolation": noisy(k, spread=0.3, seed=2), "persistence": truth(k + 100)}
    return invented(NOON + k * STEP, {"mim": mim(k), **simple}, truth(k))


def add(
    store: SkillStore, cycles: range, mim: Callable[[int], NDArray[np.float32]]
) -> np.datetime64:
    """Score cycles; the time after the last of them."""
    store.add([lead for k in cycles for lead in cycle(k, mim)])
    return NOON + cycles.stop * STEP


@pytest.fixture
def store(tmp_path: Path) -> SkillStore:
    return SkillStore(tmp_path / "skill.sqlite")


def test_a_method_as_good_as_its_rivals_stays(store: SkillStore) -> None:
    now = add(store, range(24), good)
    assert decide(store, now, GATE) == STAY
    assert store.decision() is None


def test_mim_that_dries_the_field_is_dropped_although_its_error_is_small(store: SkillStore) -> None:
    now = add(store, range(24), dry)
    choice = decide(store, now, GATE)
    assert choice.method == "extrapolation"
    assert "mim has been worse over 24 h: CSI -0." in choice.reason
    assert "over 24 cycles" in choice.reason
    # What the service asks, now and after a restart.
    assert SkillPreference(SkillStore(store.path))(now) == choice


def test_mim_that_rains_too_much_is_dropped(store: SkillStore) -> None:
    now = add(store, range(24), wet)
    assert decide(store, now, GATE).method == "extrapolation"


def test_one_bad_cycle_is_not_enough(store: SkillStore) -> None:
    now = add(store, range(24), good_but_once)
    assert decide(store, now, GATE) == STAY


def test_a_short_record_decides_nothing(store: SkillStore) -> None:
    now = add(store, range(14), dry)
    assert decide(store, now, GATE) == STAY
    now = add(store, range(14, 15), dry)
    assert decide(store, now, GATE).method == "extrapolation"


def test_dry_weather_decides_nothing(store: SkillStore) -> None:
    none = np.zeros((2, 24, 24), dtype=np.float32)
    for k in range(24):
        rates = dict.fromkeys(("mim", "extrapolation"), none)
        store.add(invented(NOON + k * STEP, rates, none))
    assert decide(store, NOON + 24 * STEP, GATE) == STAY


def test_mim_comes_back_when_it_is_level_again_and_not_before(store: SkillStore) -> None:
    dropped = add(store, range(24), dry)
    assert decide(store, dropped, GATE).method == "extrapolation"
    # Mended, but within the time that a decision stands.
    soon = add(store, range(24, 30), truth)
    assert decide(store, soon, GATE).method == "extrapolation"
    # The two hours that are looked back on still hold bad cycles.
    assert decide(store, dropped + np.timedelta64(65, "m"), GATE).method == "extrapolation"
    later = add(store, range(30, 50), truth)
    assert decide(store, later, GATE) == STAY
    assert SkillPreference(store)(later) == STAY
    last = store.decision()
    assert last is not None
    assert last.reason.startswith("level again over 2 h: CSI +0.")
    # The bad day is still within the window that MIM is dropped by, but the decision stands.
    assert decide(store, later + np.timedelta64(30, "m"), GATE) == STAY


def test_in_doubt_it_stays_as_it_is(store: SkillStore) -> None:
    dropped = add(store, range(24), dry)
    decide(store, dropped, GATE)
    nothing_since = dropped + np.timedelta64(30, "h")
    assert decide(store, nothing_since, GATE).method == "extrapolation"


def test_the_gate_decides_in_a_child_every_few_minutes(store: SkillStore) -> None:
    now = add(store, range(24), dry)
    gate = SkillGate(store, GATE)
    assert not gate.keep(now)
    assert SkillPreference(store)(now)[0] == "extrapolation"
    store.path.unlink()
    gate.keep(now + STEP)
    assert SkillPreference(store)(now) == STAY


def test_real_weights_that_dry_the_field(store: SkillStore, tmp_path: Path) -> None:
    """The network itself with a bias that lowers the rain at every step, on a simulated storm."""
    radar, layout = storm_archive(tmp_path / "radar", size=32), Layout(tmp_path / "data")
    frames, recipe = accepted(radar), Methods(weights(tmp_path / "dry.safetensors", drying=True))
    for time in issue_times(4, 15):
        publish(layout, radar, recipe.nowcaster("mim"), time, steps=2)
    for one in published_forecasts(layout.published, since=NOON):
        folder = tmp_path / "shadow" / one.cycle
        made = make_rivals(one, frames, recipe, ("mim", "extrapolation"), folder)
        assert made.methods == ("extrapolation",)
        files = {method: folder / f"{method}.nc" for method in made.methods} | {"mim": one.path}
        due = DueLead(one, 2 * STEP, files)
        judged = judge([due], one.issued + 2 * STEP, frames, Measure((0.5,), (5,)))
        store.add(judged.scored)
    now = NOON + 21 * STEP
    choice = decide(store, now, GATE)
    assert choice.method == "extrapolation"
    (against,) = contests(store.tallies(start=NOON, stop=now), GATE)
    assert against.csi.high < -0.1
