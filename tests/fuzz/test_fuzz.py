"""The fuzz in short: 500 mutants of real files of all formats. ``make fuzz`` runs 20,000."""

from __future__ import annotations

from typing import TYPE_CHECKING

import fuzz_run
import numpy as np
from fuzz_mutants import write_mutant
from fuzz_run import FATES, Fate, Report

from nowcast.service.child import prepare

if TYPE_CHECKING:
    from pathlib import Path


def test_five_hundred_mutants_end_as_they_should(shared_data: Path, tmp_path: Path) -> None:
    prepare(*fuzz_run.LIBRARIES)
    report = fuzz_run.run(shared_data, tmp_path, mutants=500, batch=25)
    assert sum(report.count(fate) for fate in FATES) == 500
    assert len(report.fates) >= 16
    assert report.count("foreign error") == 0, report.table()
    assert report.count("passed, and is no frame") == 0, report.table()
    # Were all refused, the seeds would be broken; were all accepted, the mutants.
    assert report.count("refused") > 100
    assert report.count("accepted as it was") + report.count("accepted, other content") > 50


def test_a_number_tells_a_mutant(tmp_path: Path) -> None:
    seed = tmp_path / "seed.bin"
    seed.write_bytes(np.random.default_rng(0).bytes(5000))
    made = [tmp_path / name for name in "abc"]
    for folder, number in zip(made, (1, 1, 2), strict=True):
        folder.mkdir()
        write_mutant(seed, number, folder)
    first, again, other = ((folder / "seed.bin").read_bytes() for folder in made)
    assert first == again
    assert len({first, other, seed.read_bytes()}) == 3


def test_what_must_not_happen_is_shown() -> None:
    report = Report()
    report.add(Fate("odim", 7, "refused", "truncated", 0.1))
    report.add(Fate("odim", 8, "hung", "not done after 10 s", 10.0))
    table = report.table()
    assert "hung: odim 8: not done after 10 s" in table
    assert "slowest: odim 8 10.00 s" in table
    assert report.count("refused") == 1
