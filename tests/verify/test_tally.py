"""Sums of many cycles: they add, in memory and over files, and nothing is lost on the way."""

from __future__ import annotations

import functools
import operator

import numpy as np
import pytest

from nowcast.field.errors import FormatError, ProductError, SchemaError
from nowcast.verify.categorical import ContingencyTable
from nowcast.verify.scoring import verify_forecast
from nowcast.verify.tally import Tally, total

STEP = np.timedelta64(10, "m")
ISSUED = np.datetime64("2024-05-01T12:00", "ns")


@pytest.fixture(scope="module")
def cycle(forecast_of, observed_frames):
    """The tally of one cycle, by number: with an ensemble, or not."""

    def build(number, *, members=True, **asked):
        rng = np.random.default_rng(number)
        rain = np.maximum(rng.gamma(0.5, 2.0, size=(7, 3, 12, 10)) - 0.5, 0).astype(np.float32)
        rain[0, :, :2] = np.nan
        issued = ISSUED + number * STEP
        forecast = forecast_of(rain[1], issued=issued, members=rain[2:] if members else None)
        asked = {"thresholds_mm_h": (0.1, 1.0), "scales_cells": (3,)} | asked
        return verify_forecast(forecast, observed_frames(rain[0], issued=issued), **asked)

    return build


def test_cycles_add_in_any_grouping(cycle):
    cycles = [cycle(k) for k in range(4)]
    left = functools.reduce(operator.add, cycles)
    pairs = (cycles[0] + cycles[1]) + (cycles[2] + cycles[3])
    assert left.issued == pairs.issued == tuple(f"2024-05-01T12:{k}0Z" for k in range(4))
    assert left.coverage.cycles.tolist() == [4, 4, 4]
    assert left.contingency.equals(pairs.contingency)
    assert left.contingency.hits.sum() == sum(one.contingency.hits.sum() for one in cycles)
    assert total(cycles).equals(left)
    for name, piece in left.pieces().items():
        for field, array in piece.arrays().items():
            assert array == pytest.approx(getattr(getattr(pairs, name), field)), (name, field)


def test_a_round_trip_through_files_is_exact(cycle, tmp_path):
    cycles = [cycle(k, members=k != 1, with_sal=k == 0) for k in range(3)]
    paths = [one.save(tmp_path / f"{k}.npz") for k, one in enumerate(cycles)]
    read = [Tally.load(path) for path in paths]
    for before, after in zip(cycles, read, strict=True):
        assert after.equals(before)
        assert after.lead_minutes == before.lead_minutes == (5, 10, 15)
    assert total(read).equals(total(cycles))
    assert not total(read).equals(total(reversed(read)))  # another order of issue times
    again = total(read).save(tmp_path / "total.npz")
    assert Tally.load(again).equals(total(cycles))
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "0.npz", "1.npz", "2.npz", "total.npz",
    ]  # fmt: skip


def test_the_same_sums_are_the_same_bytes(cycle, tmp_path):
    first = cycle(1).save(tmp_path / "a.npz").read_bytes()
    second = cycle(1).save(tmp_path / "b.npz").read_bytes()
    assert first == second
    assert first != cycle(2).save(tmp_path / "a.npz").read_bytes()


def test_a_cycle_without_an_ensemble_adds_no_ranks(cycle):
    with_members, without = cycle(0), cycle(1, members=False)
    for both in (with_members + without, without + with_members):
        assert both.ranks.equals(with_members.ranks)
        assert both.coverage.cycles.tolist() == [2, 2, 2]
        assert (both.crps.n == 2 * with_members.crps.n).all()
        assert (both.crps.fair_n == with_members.crps.fair_n).all()
    assert (without + without).ranks is None


def test_a_weight_makes_cases_alike(cycle):
    even = [one * (1 / one.coverage.counted.sum()) for one in (cycle(0), cycle(1) + cycle(2))]
    assert even[1].coverage.counted.sum() == pytest.approx(1)
    pooled = total(even)
    expected = sum(one.errors.absolute for one in even) / sum(one.errors.n for one in even)
    assert pooled.errors.mae == pytest.approx(expected)
    assert even[0].contingency.csi == pytest.approx(cycle(0).contingency.csi)


def test_different_questions_do_not_add(cycle):
    one = cycle(0)
    with pytest.raises(SchemaError, match="cycles do not add: method test and mim"):
        _ = one + cycle(1).named("mim")
    with pytest.raises(SchemaError, match=r"thresholds_mm_h \(0.1, 1.0\) and \(0.5,\)"):
        _ = one + cycle(1, thresholds_mm_h=(0.5,))
    with pytest.raises(SchemaError, match=r"scales_cells \(3,\) and \(3, 5\)"):
        _ = one + cycle(1, scales_cells=(3, 5))
    with pytest.raises(SchemaError, match="no cycles to add up"):
        total([])
    table = ContingencyTable(*np.zeros((4, 2)))
    with pytest.raises(SchemaError, match=r"hits of shape \(2,\) and of shape \(3,\) do not add"):
        _ = table + ContingencyTable(*np.zeros((4, 3)))
    with pytest.raises(SchemaError, match=r"ContingencyTable: sums \['hits'\], expected"):
        ContingencyTable.of({"hits": 1})


def test_ensembles_of_another_size_do_not_add(cycle):
    one = cycle(0)
    fewer = one.with_pieces(
        one.pieces() | {"ranks": type(one.ranks)(counts=one.ranks.counts[..., 1:])}
    )
    with pytest.raises(SchemaError, match=r"RankHistogram: counts of shape .* members"):
        _ = one + fewer


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 not a zip", b"\x93NUMPY", b"time,score\n"])
def test_other_files_are_refused_by_name(tmp_path, content):
    path = tmp_path / "other.npz"
    path.write_bytes(content)
    with pytest.raises(FormatError, match=r"other\.npz: no sums of a verification"):
        Tally.load(path)


def test_foreign_and_absent_archives_are_refused_by_name(tmp_path):
    np.savez(tmp_path / "rain.npz", rain=np.zeros(3))
    with pytest.raises(FormatError, match=r"rain\.npz: no sums of a verification"):
        Tally.load(tmp_path / "rain.npz")
    np.savez(tmp_path / "newer.npz", header=np.array('{"format": "nowcast tally 99"}'))
    with pytest.raises(FormatError, match="expected 'nowcast tally 1'"):
        Tally.load(tmp_path / "newer.npz")
    with pytest.raises(FormatError, match=r"none\.npz"):
        Tally.load(tmp_path / "none.npz")


def test_a_truncated_file_is_refused(cycle, tmp_path):
    path = cycle(0).save(tmp_path / "cut.npz")
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(FormatError, match=r"cut\.npz: no sums of a verification"):
        Tally.load(path)


def test_no_folder_no_file(cycle, tmp_path):
    with pytest.raises(ProductError, match="could not be written"):
        cycle(0).save(tmp_path / "absent" / "0.npz")
