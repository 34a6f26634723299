"""From an archive of files to forecasts, scores and pictures: the joints between the rooms."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from nowcast import build, scorecard
from nowcast.cycle import Cycle
from nowcast.demonstration import SimulatedArchive, write_archive
from nowcast.field.errors import FormatError, MissingFramesError, SourceError, UsageError
from nowcast.forecast.extrapolation import Extrapolation
from nowcast.forecast.persistence import Persistence
from nowcast.hindcast import Hindcast
from nowcast.ingest.simulated import Storm, low_countries
from nowcast.products.netcdf import NetCdf
from nowcast.products.reading import read_forecast
from nowcast.verify import table

METHODS = {"extrapolation": Extrapolation(), "persistence": Persistence()}


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> SimulatedArchive:
    """The demonstration's episode, on fewer cells."""
    storm = Storm(grid=low_countries(72), motion_m_s=(12.0, 6.0), radar_range_km=60)
    return write_archive(tmp_path_factory.mktemp("archive"), storm=storm)


def hindcast(simulated: SimulatedArchive, out: Path, steps: int = 4) -> Hindcast:
    source = build.archive("odim", simulated.folder)
    return Hindcast(source=source, nowcasters=METHODS, steps=steps, out=out)


def test_every_method_at_every_time(simulated: SimulatedArchive, tmp_path: Path) -> None:
    done = list(hindcast(simulated, tmp_path).run(simulated.issue_times[:2]))
    assert [one.problem for one in done] == [""] * 4
    names = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.nc"))
    assert names == [
        f"{method}/20260601T{clock}Z.nc" for method in sorted(METHODS) for clock in ("1225", "1245")
    ]
    forecast = read_forecast(tmp_path / names[0])
    assert forecast.attrs["simulated"] == "true"
    assert forecast.attrs["source"].startswith("extrapolation")
    assert len(forecast.attrs["input_sha256"]) == 64


def test_what_is_there_is_kept(simulated: SimulatedArchive, tmp_path: Path) -> None:
    times = simulated.issue_times[:1]
    (first, _) = hindcast(simulated, tmp_path).run(times)
    assert first.path is not None
    before = first.path.stat().st_mtime_ns
    again = list(hindcast(simulated, tmp_path).run(times))
    assert [one.kept for one in again] == [True, True]
    assert first.path.stat().st_mtime_ns == before


def test_a_time_without_frames_is_told_and_the_others_go_on(
    simulated: SimulatedArchive, tmp_path: Path
) -> None:
    absent = simulated.issue_times[0] - np.timedelta64(1, "D")
    done = list(hindcast(simulated, tmp_path).run([absent, simulated.issue_times[0]]))
    assert [one.path is None for one in done] == [True, True, False, False]
    assert "no frame of feed odim at 2026-05-31T12:25Z" in done[0].problem


def test_scores_of_a_storm_that_moves(simulated: SimulatedArchive, tmp_path: Path) -> None:
    work = hindcast(simulated, tmp_path)
    list(work.run(simulated.issue_times))
    source = build.archive("odim", simulated.folder)
    card = scorecard.score(scorecard.forecast_files(tmp_path), source)
    assert not card.unscored
    scores = card.table()
    csi = scores[(scores["score"] == "csi") & (scores["threshold_mm_h"] == 0.5)]
    mean = csi.groupby("method")["value"].mean()
    assert mean["extrapolation"] > mean["persistence"] + 0.1
    assert (csi["cycles"] == len(simulated.issue_times)).all()
    # Both methods on the same pixels, lead by lead.
    counts = csi.pivot_table(index="lead_minutes", columns="method", values="n")
    assert (counts["extrapolation"] == counts["persistence"]).all()
    written = card.write(tmp_path)
    assert len(pd.read_csv(written[0])) == len(scores)
    with xr.open_dataset(tmp_path / "scores.nc") as stored:
        assert set(stored["method"].values) == set(METHODS)


def test_the_scores_of_two_halves_add_up_to_those_of_the_whole(
    simulated: SimulatedArchive, tmp_path: Path
) -> None:
    list(hindcast(simulated, tmp_path).run(simulated.issue_times))
    source = build.archive("odim", simulated.folder)
    files = scorecard.forecast_files(tmp_path)
    names = sorted(files["persistence"])
    halves = [
        scorecard.score({m: {n: paths[n] for n in part} for m, paths in files.items()}, source)
        for part in (names[:2], names[2:])
    ]
    whole = scorecard.score(files, source)
    for one, other, both in zip(halves[0].tallies, halves[1].tallies, whole.tallies, strict=True):
        added, at_once = (table.score_table([tally]) for tally in (one + other, both))
        pd.testing.assert_frame_equal(added, at_once)


def test_forecasts_that_cannot_be_compared_are_named(
    simulated: SimulatedArchive, tmp_path: Path
) -> None:
    list(hindcast(simulated, tmp_path).run(simulated.issue_times[:2]))
    (tmp_path / "persistence/20260601T1225Z.nc").unlink()
    source = build.archive("odim", simulated.folder)
    card = scorecard.score(scorecard.forecast_files(tmp_path), source)
    assert card.unscored == {"20260601T1225Z.nc": "no forecast of persistence to compare with"}
    (tmp_path / "persistence/20260601T1245Z.nc").unlink()
    with pytest.raises(MissingFramesError, match="not one forecast could be scored"):
        scorecard.score(
            {"a": {"x.nc": tmp_path / "x.nc"}, "b": {"y.nc": tmp_path / "y.nc"}}, source
        )


def test_a_folder_without_forecasts(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no forecasts, expected METHOD"):
        scorecard.forecast_files(tmp_path)
    with pytest.raises(SourceError, match="no such folder"):
        scorecard.forecast_files(tmp_path / "absent")


def test_a_cycle_writes_its_products(simulated: SimulatedArchive, tmp_path: Path) -> None:
    source = build.archive("odim", simulated.folder)
    cycle = Cycle(source, Persistence(), products=(NetCdf(),), attributes={"config_sha256": "0"})
    made = cycle.run(issued=source.latest, steps=2, into=tmp_path)
    assert [path.name for path in made.written] == ["20260601T1415Z.nc"]
    assert read_forecast(made.written[0]).attrs["config_sha256"] == "0"
    assert made.past.sizes["time"] == 4


def test_a_broken_frame_is_an_error_not_a_gap(simulated: SimulatedArchive, tmp_path: Path) -> None:
    import shutil

    folder = tmp_path / "archive"
    shutil.copytree(simulated.folder, folder)
    last = sorted(folder.iterdir())[-1]
    source = build.archive("odim", folder)
    assert source.latest == np.datetime64("2026-06-01T14:15")
    last.write_bytes(last.read_bytes()[:3000])
    with pytest.raises(FormatError, match=last.name):
        source.read(end=source.latest, frames=4)


@pytest.mark.parametrize(
    "text", ["2015-05-15T17:20Z", "2015-05-15T17:20", "2015-05-15T19:20+02:00"]
)
def test_times_as_people_write_them(text: str) -> None:
    assert build.time(text) == np.datetime64("2015-05-15T17:20")


def test_issue_times_are_read_sorted_and_once(tmp_path: Path) -> None:
    path = tmp_path / "times.txt"
    path.write_text("# two\n2015-05-15T17:40Z\n\n2015-05-15T17:20Z  # first\n2015-05-15T17:40Z\n")
    assert build.issue_times(path) == [
        np.datetime64("2015-05-15T17:20"),
        np.datetime64("2015-05-15T17:40"),
    ]
    path.write_text("# none\n")
    with pytest.raises(UsageError, match="holds no time"):
        build.issue_times(path)
