"""What is old goes, with all that belongs to it; the newest forecast never does."""

from __future__ import annotations

import numpy as np
import pytest
from feed_samples import CADENCE, START, played, write_frames

from nowcast import build_service
from nowcast.cycle import HISTORY
from nowcast.service import published
from nowcast.service.replay import as_fast_as_can_be

COUNT = 8
LAST = START + (COUNT - 1) * CADENCE


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    return write_frames(tmp_path_factory.mktemp("archive"), count=COUNT, size=16)


def serve(root, archive, **retention):
    """A service that has published a forecast a frame, with maps, and refused some files."""
    work = played(root, archive, feed={"grace_seconds": 0}, retention=retention)
    with work.service() as service:
        until = archive[-1][0] + np.timedelta64(5, "m")
        as_fast_as_can_be(service, work.clock, work.feeder, until=until)
    for cycle in published.cycles(work.layout):
        (work.layout.maps / str(cycle)).mkdir()
    for number in range(6):
        (work.layout.quarantine / f"{number}.h5").touch()
        (work.layout.quarantine / f"{number}.h5.reason.json").write_text("{}")
    return work


def tidied(work, when: np.datetime64) -> list:
    """What is published at a time, no frame having come meanwhile; ``latest`` is whole."""
    work.clock.advance((when - work.clock.now()) / np.timedelta64(1, "s"))
    with work.service() as service:
        service.tick()
    assert published.latest(work.layout).problems() == []
    return published.cycles(work.layout)


def names(folder) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_what_is_old_goes_and_the_newest_stays_however_old(tmp_path, archive):
    work = serve(tmp_path, archive, published_hours=2, quarantine_files=2)
    assert len(published.cycles(work.layout)) == len(names(work.layout.frames)) == COUNT
    (work.layout.published / "notes").mkdir()  # not ours to take away
    (newest,) = tidied(work, LAST + np.timedelta64(20, "D"))
    assert newest.issue_time == archive[-1][0]
    assert published.latest(work.layout).id == newest
    assert names(work.layout.published) == [str(newest), "notes"]
    assert names(work.layout.maps) == [str(newest)]
    assert names(work.layout.quarantine) == [
        f"{number}.h5{end}" for number in (4, 5) for end in ("", ".reason.json")
    ]
    assert names(work.layout.staging) == []
    # What the newest rests on is there still, and older frames are gone.
    assert HISTORY <= len(names(work.layout.frames)) < COUNT
    assert build_service.rebuilt(work.settings, str(newest)).differing == []


def test_what_is_young_stays(tmp_path, archive):
    work = serve(tmp_path, archive, published_hours=2, quarantine_files=200)
    assert len(tidied(work, LAST + np.timedelta64(1, "h"))) == COUNT
    assert len(names(work.layout.maps)) == len(names(work.layout.frames)) == COUNT
    assert len(names(work.layout.quarantine)) == 12


def test_what_the_kept_ones_rest_on_is_kept(tmp_path, archive):
    work = serve(tmp_path, archive, published_hours=2)
    kept = tidied(work, START + np.timedelta64(2, "h") + np.timedelta64(12, "m"))
    assert [cycle.issue_time for cycle in kept] == [when for when, _ in archive[3:]]
    for cycle in kept:
        assert build_service.rebuilt(work.settings, str(cycle)).differing == []


def test_a_disk_that_is_short_of_space_keeps_the_newest(tmp_path, archive):
    work = serve(tmp_path, archive, published_hours=48, free_gib=0)
    retention = work.settings.retention.model_copy(update={"free_gib": 1e9})
    work.settings = work.settings.model_copy(update={"retention": retention})
    (newest,) = tidied(work, LAST + CADENCE)
    assert newest.issue_time == archive[-1][0]
    told = work.kinds("disk short")
    assert [event.facts["forecasts"] for event in told] == [COUNT - 1]
