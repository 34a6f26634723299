"""Rain timelines of places, published with the forecast they are read off."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
from feed_samples import played, write_frames

from nowcast.field.errors import SourceError
from nowcast.ingest.simulated import low_countries
from nowcast.service import published
from nowcast.service.replay import as_fast_as_can_be

FORMS = ("nc", "csv", "json")


def test_a_cycle_holds_the_timelines_of_its_places(tmp_path):
    import xarray as xr

    frames = write_frames(tmp_path / "archive", count=2, size=16)
    lon, lat = low_countries(16).lonlat_of(0, 0)
    listed = tmp_path / "places.csv"
    listed.write_text(f"id,name,lon,lat\nmill,The Mill,{lon},{lat}\nrome,Rome,12.5,41.9\n")
    work = played(tmp_path, frames, products={"stations": listed}, feed={"grace_seconds": 0})
    with work.service() as service:
        listed.unlink()  # was read when the service started
        until = frames[-1][0] + np.timedelta64(1, "h")
        as_fast_as_can_be(service, work.clock, work.feeder, until=until)
    assert work.kinds("cycle failed") == []
    one = published.latest(work.layout)
    assert one.id.issue_time == frames[-1][0]
    names = [f"{one.id}.points.{form}" for form in FORMS]
    assert {*names, f"{one.id}.nc"} == set(one.manifest.files)
    assert one.problems() == []

    with xr.open_dataset(one.folder / names[0]) as found:
        assert found["station_id"].values.astype(str).tolist() == ["mill", "rome"]
        minutes = found["lead_time"].values / np.timedelta64(1, "m")
        assert minutes.tolist() == [0.0, 5.0, 10.0]  # the newest frame, then the two leads
        # In that corner of the second frame it rains 0.51 mm/h, and persistence keeps it so.
        assert found["rainfall_rate"].values[0] == pytest.approx([0.51] * 3, abs=0.02)
        assert np.isnan(found["rainfall_rate"].values[1]).all()
    with (one.folder / names[1]).open() as file:
        assert len(list(csv.DictReader(file))) == 2 * 3
    told = json.loads((one.folder / names[2]).read_text())
    assert [place["state"] for place in told["places"]] == ["raining", "unknown"]
    assert told["source"] == one.manifest.source


def test_a_list_that_cannot_be_used_is_told_at_the_start(tmp_path):
    frames = write_frames(tmp_path / "archive", count=1, size=16)
    work = played(tmp_path, frames, products={"stations": tmp_path / "none.csv"})
    with pytest.raises(SourceError, match=r"none\.csv"), work.service():
        pass
