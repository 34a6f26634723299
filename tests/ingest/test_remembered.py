"""A scan that is written down: the same frames without opening a file, until a file changes."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from nowcast import build
from nowcast.field.errors import MissingFramesError
from nowcast.ingest.archive import Archive
from nowcast.ingest.readers import odim
from nowcast.ingest.readers.odim_writer import OdimDetails, write_odim
from nowcast.ingest.remembered import remembered
from nowcast.ingest.simulated import Storm, low_countries

START = np.datetime64("2026-06-01T00:00", "ns")
LONG_AFTER = np.datetime64("2026-06-02T00:00", "ns")
DETAILS = OdimDetails(source="CMT:simulated storm", simulated=True)


def frame(folder: Path, index: int) -> None:
    grid = low_countries(16)
    storm = Storm(grid=grid, motion_m_s=(3.0, 1.5), wet_fraction=0.5, seed=index)
    time = START + index * np.timedelta64(5, "m")
    rate = storm.rate_mm_h(0.0)
    write_odim(folder / f"rain_{index}.h5", rate, grid=grid, time=time, details=DETAILS)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "archive"
    made.mkdir()
    for index in range(3):
        frame(made, index)
    return made


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files that were asked for their times."""
    asked: list[Path] = []
    times = odim.Odim.times

    def heard(reader: odim.Odim, path: Path) -> object:
        asked.append(path)
        return times(reader, path)

    monkeypatch.setattr(odim.Odim, "times", heard)
    return asked


def archive(folder: Path, *, now: np.datetime64 = LONG_AFTER) -> Archive:
    return Archive(folder, build.feed("odim"), now=now)


def told(given: Archive) -> tuple[object, ...]:
    known = given.catalogue
    return (known.times.tolist(), known.entries, known.series, known.others, known.ignored)


def test_what_is_remembered_is_what_was_found_and_no_file_is_opened_for_it(folder, opened):
    (folder / "notes.txt").write_text("no radar file")
    note = folder.parent / "state" / "note.json"
    first = remembered(archive(folder), note)
    assert len(opened) == 3
    second = remembered(archive(folder), note)
    assert len(opened) == 3
    assert told(second) == told(first) == told(archive(folder))
    assert second.cadence == np.timedelta64(5, "m")
    assert len(second.read(end=second.latest, frames=3)["time"]) == 3


def change_nothing_but_the_time(folder: Path) -> None:
    os.utime(folder / "rain_1.h5", ns=(1, 1))


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: frame(folder, 3),
        lambda folder: (folder / "rain_1.h5").unlink(),
        lambda folder: (folder / "rain_1.h5").rename(folder / "rain_9.h5"),
        change_nothing_but_the_time,
        lambda folder: (folder.parent / "note.json").write_text("{"),
        lambda folder: (folder.parent / "note.json").write_text("[]"),
    ],
    ids=["one more", "one less", "another name", "another time", "half a note", "no note"],
)
def test_a_change_is_seen(folder, change):
    note = folder.parent / "note.json"
    remembered(archive(folder), note)
    change(folder)
    assert told(remembered(archive(folder), note)) == told(archive(folder))


def test_a_note_of_another_question_is_not_taken_for_the_answer(folder, opened):
    note = folder.parent / "note.json"
    given = remembered(archive(folder), note)
    narrowed = Archive(folder, build.feed("odim"), series=given.catalogue.series, now=LONG_AFTER)
    remembered(narrowed, note)
    assert len(opened) == 6


def test_frames_ahead_of_the_clock_are_looked_for_again(folder):
    note = folder.parent / "note.json"
    early = START + np.timedelta64(5, "m")
    assert remembered(archive(folder, now=early), note).times.size == 2
    assert not note.exists()
    assert remembered(archive(folder), note).times.size == 3


def test_a_note_that_cannot_be_written_is_done_without(folder):
    blocked = folder.parent / "file"
    blocked.write_text("in the way")
    assert remembered(archive(folder), blocked / "note.json").times.size == 3


def test_an_empty_folder_is_no_archive(tmp_path):
    note = tmp_path / "note.json"
    note.write_text(json.dumps({"mark": "0"}))
    with pytest.raises(MissingFramesError):
        remembered(archive(tmp_path), note)
