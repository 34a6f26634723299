"""Sums of verified forecasts: nothing lost, nothing counted twice, nothing mixed."""

from __future__ import annotations

import sqlite3
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skill_samples import NOON, STEP, THRESHOLDS, field, invented

from nowcast.field.errors import FormatError, SchemaError, StoreError
from nowcast.service.skill.store import Decision, Scored, SkillStore
from nowcast.verify.packing import Layout
from nowcast.verify.scores import SCORES
from nowcast.verify.tally import total

HOUR = np.timedelta64(1, "h")


def truth(seed: int) -> np.ndarray:
    return np.stack([field(seed + k) for k in range(2)])


def cycle(k: int, **given: object) -> list[Scored]:
    """The k-th cycle: MIM misses a third of the rain, persistence is another field."""
    seen = truth(10 * k)
    rates = {"mim": np.where(seen > 2, seen, 0), "persistence": truth(10 * k + 5)}
    return invented(NOON + k * STEP, rates, seen, **given)  # type: ignore[arg-type]


def every(store: SkillStore) -> dict[str, list]:
    return store.tallies(start=NOON - HOUR, stop=NOON + 9 * HOUR)


def test_what_goes_in_comes_out(tmp_path: Path) -> None:
    store = SkillStore(tmp_path / "skill.sqlite")
    assert store.add(cycle(0)) == 4
    (mim,) = every(store)["mim"]
    seen = truth(0)
    said = np.where(seen > 2, seen, 0)
    assert mim.lead_minutes == (5.0, 10.0)
    assert mim.issued == ("2026-06-01T12:00Z",)
    assert mim.thresholds_mm_h == THRESHOLDS
    by_hand = np.abs(said - seen).mean(axis=(1, 2))
    np.testing.assert_allclose(SCORES["mae"](mim), by_hand, rtol=1e-6)
    hits, events = (said >= 0.5).sum(), (seen >= 0.5).sum()
    table = mim.contingency
    assert table.hits[:, 1].sum() == hits
    assert (table.hits + table.misses)[:, 1].sum() == events


def test_no_lead_counts_twice(tmp_path: Path) -> None:
    store = SkillStore(tmp_path / "skill.sqlite")
    store.add(cycle(0)[:1])
    before = total(every(store)["mim"]).coverage.counted
    # The first lead again, by a process that died before it was told so, and with other sums.
    again = [invented(NOON, {"mim": truth(7), "persistence": truth(8)}, truth(9))[0], cycle(0)[1]]
    assert store.add(again) == 2
    after = total(every(store)["mim"]).coverage.counted
    assert after[0] == before[0]
    assert store.scored_leads(since=NOON) == {"20260601T1200Z": {300, 600}}
    assert store.add(cycle(0)) == 0


def test_a_kill_in_the_middle_leaves_all_of_a_piece_or_nothing(tmp_path: Path) -> None:
    store = SkillStore(tmp_path / "skill.sqlite")
    store.add(cycle(0))
    broken = cycle(1)
    bad = Scored(**{**vars(broken[1]), "sums": {"mim": object(), "persistence": b""}})
    with pytest.raises(StoreError, match="cannot be used"):
        store.add([broken[0], bad])
    assert set(store.scored_leads(since=NOON)) == {"20260601T1200Z"}
    assert store.check() == "ok"


def test_methods_are_compared_on_the_same_leads(tmp_path: Path) -> None:
    store = SkillStore(tmp_path / "skill.sqlite")
    store.add(cycle(0))
    alone = cycle(1, published="persistence")
    store.add(
        [Scored(**{**vars(one), "sums": {"persistence": one.sums["persistence"]}}) for one in alone]
    )
    found = every(store)
    assert [tally.issued for tally in found["mim"]] == [("2026-06-01T12:00Z",)]
    assert [tally.issued for tally in found["persistence"]] == [("2026-06-01T12:00Z",)]
    published = store.published_tallies(start=NOON - HOUR, stop=NOON + HOUR)
    assert [tally.issued[0][11:16] for tally in published] == ["12:00", "12:05"]
    assert published[1].equals(total([published[1]]).named("published"))


def test_a_method_that_stood_in_once_takes_nothing_from_the_others(tmp_path: Path) -> None:
    """The first cycle of a service has no motion yet, and persistence answers: then never again."""
    store = SkillStore(tmp_path / "skill.sqlite")
    seen = [truth(10 * k) for k in range(4)]
    store.add(invented(NOON, {"persistence": seen[0]}, seen[0], published="persistence"))
    for k in (1, 2, 3):
        rates = {"mim": seen[k] / 2, "extrapolation": seen[k]}
        store.add(invented(NOON + k * STEP, rates, seen[k]))
    found = every(store)
    assert {method: len(tallies) for method, tallies in found.items()} == {
        "extrapolation": 3,
        "mim": 3,
    }


def test_a_forecast_issued_again_counts_as_it_was_at_first(tmp_path: Path) -> None:
    store = SkillStore(tmp_path / "skill.sqlite")
    perfect = {"mim": truth(0), "persistence": truth(0)}
    store.add(invented(NOON, perfect, truth(0), version=2))
    assert SCORES["mae"](total(every(store)["mim"])).tolist() == [0, 0]
    store.add(cycle(0))
    first = total(every(store)["mim"])
    assert first.coverage.cycles.tolist() == [1, 1]
    assert (SCORES["mae"](first) > 0).all()


def test_the_window_is_open_at_its_start(tmp_path: Path) -> None:
    store = SkillStore(tmp_path / "skill.sqlite")
    for k in range(3):
        store.add(cycle(k))
    assert store.count(start=NOON, stop=NOON + 2 * STEP) == 8
    assert store.latest() == (NOON + 2 * STEP).astype("datetime64[s]")
    assert store.prune(before=NOON + STEP) == 4
    assert store.count(start=NOON - STEP, stop=NOON + 2 * STEP) == 8


def test_an_unseen_frame_is_no_dry_one(tmp_path: Path) -> None:
    store = SkillStore(tmp_path / "skill.sqlite")
    dark = np.full_like(truth(0), np.nan)
    store.add(invented(NOON, {"mim": truth(0), "persistence": truth(1)}, dark))
    tally = total(every(store)["mim"])
    assert tally.coverage.counted.tolist() == [0, 0]
    assert np.isnan(SCORES["mae"](tally)).all()
    assert np.isnan(SCORES["csi"](tally)).all()


def test_sums_of_other_thresholds_stay_apart(tmp_path: Path) -> None:
    store = SkillStore(tmp_path / "skill.sqlite")
    store.add(cycle(0))
    (one, _), (other, _) = cycle(0), cycle(1)
    renamed = Layout((0.2, 0.5, 5.0), one.layout.scales_cells, one.layout.arrays)
    store.add([Scored(**{**vars(other), "layout": renamed})])
    (tally,) = every(store)["mim"]
    assert tally.thresholds_mm_h == (0.2, 0.5, 5.0)
    assert tally.issued == ("2026-06-01T12:05Z",)


def test_a_store_that_is_not_there_is_empty(tmp_path: Path) -> None:
    store = SkillStore(tmp_path / "skill.sqlite")
    assert every(store) == {}
    assert store.latest() is None
    assert store.decision() is None
    assert store.rows_in_table("2026-06-01") == 0
    assert not list(tmp_path.iterdir())


def test_decisions_and_tables_are_remembered(tmp_path: Path) -> None:
    store = SkillStore(tmp_path / "skill.sqlite")
    store.decide(Decision(NOON, "extrapolation", "worse"))
    store.decide(Decision(NOON + HOUR, "mim", "better"))
    last = store.decision()
    assert last is not None
    assert (last.method, last.reason) == ("mim", "better")
    store.table_written("2026-06-01", rows=4)
    assert store.rows_in_table("2026-06-01") == 4


def test_a_damaged_store_is_named(tmp_path: Path) -> None:
    path = tmp_path / "skill.sqlite"
    path.write_bytes(b"no database at all, but long enough to be one" * 100)
    with pytest.raises(StoreError, match=r"skill.sqlite: cannot be used: .*move it away"):
        SkillStore(path).add(cycle(0))
    with pytest.raises(StoreError, match="cannot be used"):
        every(SkillStore(path))


def test_a_store_of_a_later_release_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "skill.sqlite"
    SkillStore(path).add(cycle(0))
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA user_version = 7")
    database.close()
    for use in (SkillStore(path).latest, lambda: SkillStore(path).add(cycle(1))):
        with pytest.raises(StoreError, match="version 7, expected 1"):
            use()


def test_damaged_sums_are_named() -> None:
    (one, _) = cycle(0)
    with pytest.raises(FormatError, match="damaged sums"):
        one.layout.unpack(b"\x00\x01")
    with pytest.raises(FormatError, match="3 numbers, expected"):
        one.layout.unpack(zlib.compress(bytes(24)))
    with pytest.raises(FormatError, match="no layout of packed sums"):
        Layout.from_json('{"arrays": [["crps", "n", []]]}')
    again = Layout.from_json(one.layout.to_json())
    assert again == one.layout
    with pytest.raises(SchemaError, match="other thresholds"):
        Layout((0.1,), (3,), ()).pack(_tally(one), 0)


def _tally(one: Scored):
    numbers = one.layout.unpack(one.sums["mim"])[np.newaxis]
    return one.layout.tally(numbers, method="mim", lead_minutes=[5.0], issued=["x"])


LEADS = [lead for k in range(4) for lead in cycle(k)]


@settings(max_examples=8)
@given(order=st.permutations(range(len(LEADS))))
def test_the_order_of_arrival_does_not_matter(
    tmp_path_factory: pytest.TempPathFactory, order: list[int]
) -> None:
    store = SkillStore(tmp_path_factory.mktemp("store") / "skill.sqlite")
    for k in order:
        store.add([LEADS[k]])
    sorted_store = SkillStore(tmp_path_factory.mktemp("store") / "skill.sqlite")
    sorted_store.add(LEADS)
    for method, tallies in every(sorted_store).items():
        for one, other in zip(tallies, every(store)[method], strict=True):
            assert one.equals(other)
