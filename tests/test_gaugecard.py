"""Radar and forecasts against gauges that stand under a simulated storm."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from nowcast import build, gaugecard, scorecard
from nowcast.demonstration import SimulatedArchive, write_archive
from nowcast.field.accumulation import amount_mm
from nowcast.field.errors import MissingFramesError
from nowcast.field.gauges import Gauges, amounts_between, gauges_dataset, places_of
from nowcast.field.places import at_cells, cells_of
from nowcast.field.schema import grid_of
from nowcast.forecast.extrapolation import Extrapolation
from nowcast.forecast.persistence import Persistence
from nowcast.gaugecard import GaugeSettings
from nowcast.hindcast import Hindcast
from nowcast.ingest.archive import Archive
from nowcast.ingest.gauges import read_gauges
from nowcast.ingest.simulated import Storm, low_countries
from stations.station import Station

CELLS = [(20 + 4 * i, 20 + 5 * i) for i in range(8)]


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> SimulatedArchive:
    storm = Storm(grid=low_countries(72), motion_m_s=(12.0, 6.0), radar_range_km=60)
    return write_archive(tmp_path_factory.mktemp("archive"), storm=storm)


@pytest.fixture(scope="module")
def archive(simulated: SimulatedArchive) -> Archive:
    return build.archive("odim", simulated.folder)


def gauges_under(archive: Archive, *, factor: float = 1.0) -> Gauges:
    """Gauges that measure ``factor`` times what each frame says of the 5 min after it."""
    frames = archive.frames_between(archive.times[0], archive.latest)
    grid = grid_of(frames)
    rates = np.stack([frames["rainfall_rate"].values[:, row, column] for row, column in CELLS])
    return gauges_dataset(
        factor * rates / 12,
        times=archive.times + np.timedelta64(5, "m"),
        stations=[Station(f"{cell}", *grid.lonlat_of(*cell)) for cell in CELLS],
        interval_minutes=5,
    )


def row(table: pd.DataFrame, method: str, score: str, until: float | None = None) -> pd.Series:
    rows = table[(table["method"] == method) & (table["score"] == score)]
    rows = rows[rows["until_minutes"].isna() if until is None else rows["until_minutes"] == until]
    return rows.iloc[0]


def test_gauges_that_say_what_the_radar_says(archive: Archive) -> None:
    for factor in (1.0, 0.5):
        card = gaugecard.score_radar(archive, [gauges_under(archive, factor=factor)])
        table = card.table()
        assert row(table, "radar", "multiplicative_bias")["value"] == pytest.approx(1 / factor)
        assert row(table, "radar", "correlation")["value"] == pytest.approx(1)
        windows = len(archive.times) // 3
        assert 0 < row(table, "radar", "mae")["n"] <= windows * len(CELLS)


def test_a_forecast_worsens_with_its_lead_and_extrapolation_wins(
    simulated: SimulatedArchive, archive: Archive, tmp_path: Path
) -> None:
    methods = {"extrapolation": Extrapolation(), "persistence": Persistence()}
    list(Hindcast(archive, methods, steps=6, out=tmp_path).run(simulated.issue_times))
    files = scorecard.forecast_files(tmp_path)
    gauges = gauges_under(archive)
    card = gaugecard.score_forecasts(files, archive, [gauges], settings=GaugeSettings(minutes=15))
    table = pd.read_csv(card.write(tmp_path))
    assert set(table["method"]) == {"radar", "extrapolation", "persistence"}
    assert sorted(set(table["until_minutes"])) == [15, 30]
    for until in (15, 30):
        mae = {m: row(table, m, "mae", until) for m in set(table["method"])}
        assert mae["radar"]["value"] == pytest.approx(0, abs=1e-6)
        assert 0 < mae["extrapolation"]["value"] < mae["persistence"]["value"]
        assert len({int(one["n"]) for one in mae.values()}) == 1, "not the same pairs"
    late, early = (row(table, "persistence", "mae", until)["value"] for until in (30, 15))
    assert late > early
    # A window of a forecast by itself: the frame of issue, then the first two leads.
    (issued, *_) = simulated.issue_times
    path = next(iter(files["extrapolation"].values()))
    one = gaugecard.score_forecasts(
        {"extrapolation": {path.name: path}}, archive, [gauges], settings=GaugeSettings()
    )
    from nowcast.products.reading import read_forecast

    forecast = read_forecast(path)
    assert forecast["forecast_reference_time"].values == issued
    first = archive.observed([issued])[0]
    said = [
        float(first[r, c] + forecast["rainfall_rate"][0, r, c] + forecast["rainfall_rate"][1, r, c])
        for r, c in CELLS
    ]
    fell = gauges["rainfall_amount"].sel(time=issued + np.array([5, 10, 15], "timedelta64[m]"))
    pairs = pd.DataFrame({"said": np.array(said) / 12, "fell": fell.sum("time", skipna=False)})
    assert row(one.table(), "extrapolation", "mae", 15)["value"] == pytest.approx(
        (pairs["said"] - pairs["fell"]).abs().mean()
    )


def test_forecasts_without_company_or_truth(
    simulated: SimulatedArchive, archive: Archive, tmp_path: Path
) -> None:
    methods = {"persistence": Persistence()}
    list(Hindcast(archive, methods, steps=6, out=tmp_path).run(simulated.issue_times[:2]))
    files = {**scorecard.forecast_files(tmp_path), "mim": {}}
    gauges = gauges_under(archive)
    with pytest.raises(MissingFramesError, match="no gauge has readings over any 15 min"):
        gaugecard.score_forecasts(files, archive, [gauges])
    yesterday = gauges.assign_coords(time=gauges["time"].values - np.timedelta64(1, "D"))
    with pytest.raises(MissingFramesError, match="no gauge has readings"):
        gaugecard.score_radar(archive, [Gauges(yesterday)])


def test_openmrg_of_august(shared_data: Path) -> None:
    folder = shared_data / "radar/openmrg/20150827"
    names = ("openMRG_city_gauges_20150827.nc", "openMRG_smhi_gauge_20150827.nc")
    found = [read_gauges(folder / name) for name in names]
    table = gaugecard.score_radar(build.archive("openmrg", folder), found).table()
    assert row(table, "radar", "mae")["n"] == 11 * 48
    assert row(table, "radar", "correlation")["value"] == pytest.approx(0.723, abs=0.001)
    assert row(table, "radar", "multiplicative_bias")["value"] == pytest.approx(0.855, abs=0.001)


def test_a_frame_until_the_next_one_fits_gauges_better_than_the_trapezoid(
    shared_data: Path,
) -> None:
    folder = shared_data / "radar/openmrg/20150827"
    gauges = read_gauges(folder / "openMRG_city_gauges_20150827.nc")
    archive = build.archive("openmrg", folder)
    frames = archive.frames_between(archive.times[0], archive.latest)
    cells = cells_of(grid_of(frames), places_of(gauges))
    rates = at_cells(frames["rainfall_rate"].values, cells).astype(np.float64)
    edges = archive.times[:-1:3]
    fell = amounts_between(gauges, edges)
    minutes = (archive.times - archive.times[0]) / np.timedelta64(1, "m")
    # A trapezoid is the step rule of the means of neighbours.
    middles = (rates[:-1] + rates[1:]) / 2
    ours, trapezoid = (
        np.stack(
            [
                amount_mm(
                    values, minutes=minutes[: len(values)], hold=5, start=start, end=start + 15
                )
                for start in 15.0 * np.arange(len(fell))
            ]
        )
        for values in (rates, middles)
    )
    known = np.isfinite(fell)
    fits = [np.corrcoef(said[known], fell[known])[0, 1] for said in (ours, trapezoid)]
    assert fits[0] == pytest.approx(0.72, abs=0.02)
    assert fits[0] > fits[1] + 0.03
