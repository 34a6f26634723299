"""``nowcast points``, ``nowcast run --stations`` and ``nowcast verify-gauges``, as a user does."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from nowcast.cli.app import app
from nowcast.demonstration import SimulatedArchive, write_archive
from nowcast.field.errors import NowcastError, SourceError, UsageError
from nowcast.ingest.simulated import Storm, low_countries

RUN = ("--method", "extrapolation", "--leads", "6", "--no-maps")


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> SimulatedArchive:
    storm = Storm(grid=low_countries(72), motion_m_s=(12.0, 6.0), radar_range_km=60)
    return write_archive(tmp_path_factory.mktemp("archive"), storm=storm)


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Path:
    grid = low_countries(72)
    lines = ["id,name,lon,lat"]
    for name, cell in (("M", (36, 36)), ("N", (20, 40)), ("Edge", (0, 0))):
        lon, lat = grid.lonlat_of(*cell)
        lines.append(f"{name},{name} town,{lon:.5f},{lat:.5f}")
    path = tmp_path_factory.mktemp("places") / "places.csv"
    path.write_text("\n".join([*lines, "Far,Far off,-120,10"]))
    return path


@pytest.fixture(scope="module")
def forecast(
    simulated: SimulatedArchive, places: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    out = tmp_path_factory.mktemp("run")
    done = nowcast(
        *("run", "--feed", "odim", "--archive", simulated.folder, "--out", out, *RUN),
        *("--stations", places),
    )
    names = [Path(line).name for line in done.splitlines()]
    stem = "20260601T1415Z"
    assert names == [f"{stem}.nc", *(f"{stem}.points.{form}" for form in ("nc", "csv", "json"))]
    return out / f"{stem}.nc"


def nowcast(*words: object) -> str:
    """What a command prints on standard output; its NowcastError is raised."""
    result = CliRunner().invoke(app, [str(word) for word in words])
    if isinstance(result.exception, NowcastError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.stdout


def test_a_sentence_a_place(forecast: Path, places: Path) -> None:
    lines = nowcast("points", forecast, "--stations", places).splitlines()
    assert [line.partition(":")[0] for line in lines] == [
        "M town",
        "N town",
        "Edge town",
        "Far off",
    ]
    assert lines[3] == "Far off: Unknown: outside what the radar sees."
    assert not any("Raining now" in line for line in lines), "now was not seen"


def test_with_the_archive_they_begin_now(
    forecast: Path, places: Path, simulated: SimulatedArchive, tmp_path: Path
) -> None:
    archive = ("--feed", "odim", "--archive", simulated.folder)
    text = nowcast(
        "points", forecast, "--stations", places, *archive, "--inside", "--json", "--out", tmp_path
    )
    found = json.loads(text)
    assert found["lead_minutes"] == [0, 5, 10, 15, 20, 25, 30]
    assert [place["id"] for place in found["places"]] == ["M", "N", "Edge"]
    written = json.loads((tmp_path / "20260601T1415Z.points.json").read_text())
    assert written == found
    # The cycle that made the forecast said the same.
    beside = json.loads((forecast.parent / "20260601T1415Z.points.json").read_text())
    assert beside["places"][:3] == found["places"]
    table = pd.read_csv(tmp_path / "20260601T1415Z.points.csv")
    assert len(table) == 3 * 7


def test_a_place_by_its_degrees(forecast: Path) -> None:
    lon, lat = low_countries(72).lonlat_of(36, 36)
    words = ("--place", f"{lon:.4f},{lat:.4f}", "--place", "-120,10", "--around", "p90")
    found = json.loads(nowcast("points", forecast, *words, "--json"))
    assert [place["id"] for place in found["places"]] == [f"{lon:.4f},{lat:.4f}", "-120,10"]
    assert found["around"] == "p90"


@pytest.mark.parametrize(
    ("words", "kind", "message"),
    [
        ((), UsageError, "no place to forecast for: give --stations FILE or --place LON,LAT"),
        (("--place", "5.18"), UsageError, "--place 5.18: expected LON,LAT in degrees"),
        (("--place", "5,95"), UsageError, "latitude 95, expected -90 to 90"),
        (("--stations", "none.csv"), SourceError, "none.csv: cannot be read"),
        (("--place", "5,52", "--around", "max"), UsageError, "--around max: expected one of cell"),
        (("--place", "5,52", "--feed", "odim"), UsageError, "--feed and --archive go together"),
    ],
)
def test_what_a_user_gets_wrong(
    forecast: Path, words: tuple[str, ...], kind: type[NowcastError], message: str
) -> None:
    with pytest.raises(kind, match=message):
        nowcast("points", forecast, *words)


def test_gauges_from_the_command_line(simulated: SimulatedArchive, tmp_path: Path) -> None:
    lon, lat = low_countries(72).lonlat_of(36, 36)
    times = pd.date_range("2026-06-01T12:00", "2026-06-01T14:15", freq="5min")
    amounts = np.random.default_rng(1).gamma(0.5, 0.2, times.size).round(2)
    table = pd.DataFrame({"time": times, "id": "A", "lon": lon, "lat": lat, "amount": amounts})
    table.to_csv(tmp_path / "gauges.csv", index=False)
    words = (
        *("verify-gauges", "--feed", "odim", "--archive", simulated.folder),
        *("--gauges", tmp_path / "gauges.csv", "--amounts", "0.2", "--out", tmp_path / "scores"),
    )
    text = nowcast(*words)
    assert "csi 0.2 mm" in text
    assert "radar" in text
    (score,) = json.loads(nowcast(*words, "--json"))["scores"]
    assert score["until_minutes"] is None
    written = pd.read_csv(tmp_path / "scores/gauges.csv")
    assert set(written["n"]) == {score["n"]}
    with pytest.raises(UsageError, match="--stamp middle: expected one of end, start"):
        nowcast(*words, "--stamp", "middle")
