"""Forecasts in notebooks: what the accessor says, and what IPython shows."""

from __future__ import annotations

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pyproj
import pytest
import xarray as xr

import nowcast.notebook
from nowcast.field.errors import SchemaError, UsageError
from nowcast.field.grid import Grid
from nowcast.field.schema import Radar, as_radar
from nowcast.forecast.persistence import Persistence
from nowcast.ingest.simulated import Storm, low_countries
from nowcast.products.map_data import MapData
from nowcast.products.netcdf import NetCdf
from nowcast.products.style import MapStyle

sys.path.append(str(Path(__file__).parent / "products"))  # forecasts of every kind
from forecast_samples import NOON, forecast, grid_of

BARE = MapStyle(longest_side=300, map_data=MapData())


@pytest.fixture(autouse=True)
def _without_geography(monkeypatch: pytest.MonkeyPatch) -> None:
    """Maps without coastlines, which take seconds."""
    monkeypatch.setattr("nowcast.products.panels.find_map_data", MapData)
    monkeypatch.setattr("nowcast.products.sheet.find_map_data", MapData)


@pytest.fixture(scope="module")
def radar() -> Radar:
    """A simulated storm of eight frames."""
    storm = Storm(grid=low_countries(48), motion_m_s=(12.0, 6.0), radar_range_km=40)
    frames = storm.radar(start=np.datetime64("2026-06-01T12:00"), frames=8)
    return as_radar(frames.assign_attrs(simulated="true"))


@pytest.fixture(scope="module")
def written(radar: Radar, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A forecast as ``nowcast run`` writes it, issued after four of the frames."""
    into = tmp_path_factory.mktemp("forecasts") / "persistence"
    into.mkdir()
    past = as_radar(radar.isel(time=slice(4)))
    return NetCdf().write(Persistence()(past, steps=4), into=into)


class Text(HTMLParser):
    """The words of HTML, its pictures, and whether every tag is closed."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.pictures: list[str] = []
        self.open: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "img":
            self.pictures.append(dict(attrs)["src"] or "")
        else:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def test_a_file_opened_with_xarray_tells_who_made_it(written: Path) -> None:
    with xr.open_dataset(written) as dataset:
        said = dataset.nowcast
        assert said.method == "persistence"
        assert said.issued == np.datetime64("2026-06-01T12:15")
        assert said.lead_minutes == [5.0, 10.0, 15.0, 20.0]
        assert said.degraded_reason == ""
        assert said.grid.shape == (48, 48)
        # Only a forecast has one: an accessor must not make others fail.
        with pytest.raises(SchemaError, match="no rainfall_rate"):
            _ = xr.Dataset({"temperature": 1.0}).nowcast


def test_the_view_shows_maps_and_facts_and_asks_nobody(written: Path) -> None:
    with xr.open_dataset(written) as dataset:
        html = dataset.nowcast._repr_html_()
    seen = Text(html)
    assert seen.open == []
    (picture,) = seen.pictures
    assert picture.startswith("data:image/png;base64,iVBORw0KGgo")
    text = " ".join(seen.words)
    assert "Rain rate by persistence, issued Mon 01 Jun 2026 12:15 UTC" in text
    assert "SIMULATED STORM, not an observation" in text
    assert "4, +5 min to +20 min" in text
    assert "MAE" not in text
    assert not re.search(r"https?://|<script|<link", html)


def test_numbers_by_lead_by_hand() -> None:
    made = forecast("mch", leads=2, grid=grid_of("mch", height=20, width=20))
    rate = made["rainfall_rate"].values
    rate[:] = 0
    rate[0, :5] = np.nan  # a quarter is unknown
    rate[0, 5, :3] = 0.1  # 3 of 300 are wet
    rate[1, 0, 0] = 12.34
    cells = [
        re.findall(r"<td[^>]*>([^<]*)</td>", row)
        for row in re.findall(r"<tr>(.*?)</tr>", made.nowcast.html().partition("<tbody>")[2])
    ]
    assert cells == [["+5 min", "0.1", "1.0", "25.0"], ["+10 min", "12.3", "0.2", "0.0"]]


def test_what_is_written_into_the_page_cannot_break_out_of_it() -> None:
    made = forecast("mch").assign_attrs(
        source="<b>mim</b>: x", degraded_reason="gap <script>alert(1)</script>", institution="A & B"
    )
    html = made.nowcast.html()
    assert "<script" not in html
    assert "<b>" not in html
    text = " ".join(Text(html).words)
    assert "DEGRADED: gap <script>alert(1)</script>" in text
    assert "A & B" in text


def test_scores_that_a_hindcast_left_beside(written: Path) -> None:
    row = {"method": "persistence", "lead_minutes": 10.0, "scale_cells": None, "n": 9}
    table = pd.DataFrame(
        [
            row | {"score": "mae", "threshold_mm_h": np.nan, "value": 0.4567, "cycles": 3},
            row | {"score": "csi", "threshold_mm_h": 1.0, "value": 0.625, "cycles": 3},
            row | {"score": "csi", "threshold_mm_h": 5.0, "value": 0.125, "cycles": 3},
        ]
    )
    path = written.parent.parent / "scores.csv"
    try:
        table.to_csv(path, index=False)
        with xr.open_dataset(written) as dataset:
            text = " ".join(Text(dataset.nowcast.html()).words)
        assert "0.457" in text
        assert "0.625" in text
        assert "0.125" not in text
        assert "scores: those of 3 forecasts by persistence" in text
        for foreign in ("not,a,table\n1,2,3\n", table.assign(method="mim").to_csv(index=False)):
            path.write_text(foreign)
            with xr.open_dataset(written) as dataset:
                assert "scores:" not in dataset.nowcast.html()
    finally:
        path.unlink()


def test_exceedance_comes_from_the_best_that_there_is() -> None:
    given = forecast("mch", kind="full")
    own = given.nowcast.exceedance(1.0)
    assert own.attrs["comment"] == "probability of the method"
    np.testing.assert_array_equal(own, given["probability_of_exceedance"].values[1])

    of_members = given.nowcast.exceedance(2.0)  # no probability of its own for 2 mm/h
    members = given["rainfall_rate_member"].values
    assert of_members.attrs["comment"] == "part of the members"
    expected = np.where(np.isnan(members).any(axis=0), np.nan, (members >= 2.0).mean(axis=0))
    np.testing.assert_array_equal(of_members.transpose("lead_time", "y", "x"), expected)

    plain = forecast("mch")
    yes = plain.nowcast.exceedance(2.0)
    rate = plain["rainfall_rate"].values
    np.testing.assert_array_equal(yes, np.where(np.isnan(rate), np.nan, rate >= 2.0))
    with pytest.raises(UsageError, match=r"no probability of 2 mm/h .* it holds \[0.1, 1.0, 10.0"):
        forecast("mch", kind="probability").nowcast.exceedance(2.0)


def test_a_place_reads_its_own_cell() -> None:
    made = forecast("mch", kind="full")
    lon, lat = grid_of("mch").lonlat_of(3, 4)
    there = made.nowcast.point(lon=lon, lat=lat)
    assert there.index.tolist() == [5.0, 10.0, 15.0]
    np.testing.assert_array_equal(there["time"], NOON + made["lead_time"].values)
    np.testing.assert_array_equal(there["rainfall_rate"], made["rainfall_rate"].values[:, 3, 4])
    chances = made["probability_of_exceedance"].values[:, :, 3, 4]
    np.testing.assert_array_equal(there["p(>= 1 mm/h)"], chances[1])
    assert {"p10", "p50", "p90"} <= set(there.columns)
    with pytest.raises(UsageError, match="lies outside the grid"):
        made.nowcast.point(lon=0, lat=0)


def test_maps_of_leads_and_of_probabilities() -> None:
    made = forecast("mch", kind="probability", grid=grid_of("mch", height=30, width=30))
    first, named, other = (made.nowcast.plot(lead) for lead in (None, 5, 10))
    assert first.tobytes() == named.tobytes() != other.tobytes()
    assert made.nowcast.plot(5, threshold_mm_h=1.0).tobytes() != first.tobytes()
    with pytest.raises(UsageError, match="lead 7 min is not in the forecast"):
        made.nowcast.plot(7)


def test_scores_against_what_came(written: Path, radar: Radar) -> None:
    observed = radar["rainfall_rate"]
    with xr.open_dataset(written) as dataset:
        table = dataset.nowcast.score(observed)
        rate = dataset["rainfall_rate"].values
    assert set(table["method"]) == {"persistence"}
    mae = table[table["score"] == "mae"]["value"].to_numpy()
    expected = np.nanmean(np.abs(rate - observed.values[4:]), axis=(1, 2))
    np.testing.assert_allclose(mae, expected, rtol=1e-5)


def test_ipython_shows_a_forecast_and_leaves_others_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from IPython.core.interactiveshell import InteractiveShell

    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    shell = InteractiveShell()
    made = forecast("mch")
    try:
        usual = shell.display_formatter.format(made)[0]["text/html"]
        shell.extension_manager.load_extension("nowcast.notebook")
        shown = shell.display_formatter.format(made)[0]["text/html"]
        other = xr.Dataset({"temperature": 1.0})
        assert "nowcast-forecast" not in usual
        assert shown.startswith('<div class="nowcast-forecast">')
        assert "xr-wrap" in shown
        assert "nowcast-forecast" not in shell.display_formatter.format(other)[0]["text/html"]
        shell.extension_manager.unload_extension("nowcast.notebook")
        assert "nowcast-forecast" not in shell.display_formatter.format(made)[0]["text/html"]
    finally:
        shell.history_manager.end_session()
        InteractiveShell.clear_instance()


def test_the_accessor_is_there_only_where_it_is_asked_for() -> None:
    code = (
        "import xarray, sys, nowcast.products.reading\n"
        "print(hasattr(xarray.Dataset, 'nowcast'))\n"
        "import nowcast.notebook\n"
        "print(hasattr(xarray.Dataset, 'nowcast'), 'torch' in sys.modules, "
        "'matplotlib' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True", "False", "False"]
    assert nowcast.notebook.NowcastAccessor is not None


def test_the_python_of_the_documentation_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (Path(__file__).parents[1] / "docs/notebook.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    here = Grid(pyproj.CRS("EPSG:21781"), 660e3, 260e3, 1000.0, 1000.0, 30, 40)
    made = forecast(kind="probability", leads=6, grid=here)
    NetCdf().write(made, into=tmp_path).rename(tmp_path / "20150515T1720Z.nc")
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    exec(code, names)
    assert names["chances"].dims == ("lead_time", "y", "x")  # type: ignore[attr-defined]
    assert len(names["place"]) == 6  # type: ignore[arg-type]
    assert names["picture"].size[0] > 300  # type: ignore[attr-defined]
