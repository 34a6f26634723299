"""Gauges beside a place: by hand, of OpenMRG, in the browser and in the exported site."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import numpy as np
import pytest
import xarray as xr
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from nowcast import build
from nowcast.field.errors import SourceError
from nowcast.forecast.persistence import Persistence
from nowcast.ingest.gauge_files import GaugeFiles
from nowcast.products.netcdf import NetCdf
from nowcast.web.export import export_site
from nowcast.web.gallery import Gallery
from nowcast.web.gauges import GaugeReadings
from nowcast.web.library import library_of
from nowcast.web.observations import Observations
from tests.web.browser import DESKTOP, chromium, shown
from tests.web.conftest import FORECAST, ISSUED, Served, gallery_of, grid, served, served_plainly

MINUTE = np.timedelta64(1, "m")
LON, LAT = grid().lonlat_of(30, 30)
NORTH_KM = 1 / 111.195  # degrees


def table(path: Path, *, name: str, lat: float, minutes: int, amounts: list[float]) -> Path:
    """Readings that end with the issue time and after it, a row each."""
    first = ISSUED - (len(amounts) // 2 - 1) * minutes * MINUTE
    rows = [
        f"{first + index * minutes * MINUTE},{name},{LON},{lat},{amount}"
        for index, amount in enumerate(amounts)
    ]
    path.write_text("\n".join(["time,station,lon,lat,amount_mm", *rows]) + "\n")
    return path


@pytest.fixture
def measured(shelf: Path, tmp_path: Path) -> Gallery:
    """A gauge at the place, read every minute, one 4 km to the north, and one too far away."""
    files = tmp_path / "gauges"
    files.mkdir()
    amounts = [0.1] * 8 + [0.2, 0.3] + [0.0] * 10  # 12:00 is the tenth minute
    table(files / "a.csv", name="Mill", lat=LAT, minutes=1, amounts=amounts)
    north, far = LAT + 4 * NORTH_KM, LAT + 14 * NORTH_KM
    table(files / "b.csv", name="Weir", lat=north, minutes=15, amounts=[0.5, 2.0, 0.25, 0.0])
    table(files / "c.csv", name="Far", lat=far, minutes=15, amounts=[9.0, 9.0])
    (files / "notes.txt").write_text("no gauges here")
    return replace(gallery_of(shelf, minutes=3), gauges=GaugeReadings(GaugeFiles((files,))))


def test_the_nearest_are_said_by_distance_in_mm_h(measured: Gallery) -> None:
    said = measured.gauges.near(measured.open(FORECAST), lon=LON, lat=LAT)
    assert said["within_km"] == 10
    mill, weir = said["gauges"]
    assert (mill["name"], mill["km"], weir["name"], weir["km"]) == ("Mill", 0.0, "Weir", 4.0)
    # Minutes are gathered over the radar's five: 0.5 mm, then 0.8 mm, then nothing.
    assert [(one["time"][11:16], one["minutes"], one["rate"]) for one in mill["readings"]] == [
        ("11:55", 5, 6.0),
        ("12:00", 5, 9.6),
        ("12:05", 5, 0.0),
        ("12:10", 5, 0.0),
    ]
    assert [(one["time"][11:16], one["minutes"], one["rate"]) for one in weir["readings"]] == [
        ("11:45", 15, 2.0),
        ("12:00", 15, 8.0),
        ("12:15", 15, 1.0),
        ("12:30", 15, 0.0),
    ]


def test_where_none_is_near_none_is_said(measured: Gallery) -> None:
    opened = measured.open(FORECAST)
    south = measured.gauges.near(opened, lon=LON, lat=LAT - 11 * NORTH_KM)
    assert south == {"within_km": 10, "gauges": []}
    assert len(measured.gauges.around(opened)["gauges"]) == 3
    assert GaugeReadings().near(opened, lon=LON, lat=LAT)["gauges"] == []


def test_days_in_files_of_their_own_are_one_gauge(shelf: Path, tmp_path: Path) -> None:
    whole = table(tmp_path / "whole.csv", name="Mill", lat=LAT, minutes=5, amounts=[0.1, 0.2] * 3)
    head, *rows = whole.read_text().splitlines()
    (tmp_path / "one.csv").write_text("\n".join([head, *rows[:3]]))
    (tmp_path / "two.csv").write_text("\n".join([head, *rows[2:]]))
    opened = gallery_of(shelf, minutes=3).open(FORECAST)
    split = GaugeReadings(GaugeFiles((tmp_path / "one.csv", tmp_path / "two.csv")))
    (gauge,) = split.near(opened, lon=LON, lat=LAT)["gauges"]
    assert [gauge] == GaugeReadings(GaugeFiles((whole,))).near(opened, lon=LON, lat=LAT)["gauges"]


def test_a_file_is_read_again_when_it_changes(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = table(tmp_path / "a.csv", name="Mill", lat=LAT, minutes=5, amounts=[0.1, 0.2])
    files = GaugeFiles((tmp_path,))
    (first,) = files.sets()
    assert files.sets()[0] is first
    table(path, name="Mill", lat=LAT, minutes=5, amounts=[0.1, 0.2, 0.3, 0.4])
    assert files.sets()[0].sizes["time"] == 4
    path.write_text("time,station,lon,lat,amount_mm\n2026-06-01,Mill,half a li")  # being written
    assert files.sets()[0].sizes["time"] == 4
    assert "not read again" in caplog.text
    with pytest.raises(SourceError, match="no such file"):
        GaugeFiles((tmp_path / "nowhere.csv",)).sets()


def test_openmrg_beside_its_radar(shared_data: Path, tmp_path: Path) -> None:
    """The readings of a real place against its file, read with xarray alone."""
    folder = shared_data / "radar/openmrg/20150827"
    archive = build.archive("openmrg", folder)
    issued = np.datetime64("2015-08-27T09:30", "ns")
    past = archive.read(end=issued, frames=Persistence().history)
    NetCdf().write(Persistence()(past, steps=12), into=tmp_path)
    files = GaugeFiles((folder / "openMRG_city_gauges_20150827.nc",))
    shown_ = Gallery(
        library_of(tmp_path), Observations(archive), gauges=GaugeReadings(files, within_km=5)
    )
    with xr.open_dataset(files.paths[0]) as raw:
        place = raw.isel(station_id=raw["location"].values.tolist().index("Chalmers"))
        lon, lat = float(place["lon"]), float(place["lat"])
        window = slice("2015-08-27T09:16", "2015-08-27T09:20")
        fell = float(place["rainfall_amount"].sel(time=window).sum())
    said = shown_.gauges.near(shown_.open("20150827T0930Z"), lon=lon, lat=lat)["gauges"]
    assert (said[0]["name"], said[0]["km"]) == ("Chalmers", 0.0)
    assert 0 < said[1]["km"] <= 5
    assert len(said[0]["readings"]) == 36  # from 07:35 to 10:30
    (reading,) = [one for one in said[0]["readings"] if one["time"] == "2015-08-27T09:20:00Z"]
    assert fell > 0
    assert reading["rate"] == pytest.approx(12 * fell, abs=0.006)


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    with chromium() as browser:
        yield browser.new_context(viewport=DESKTOP, bypass_csp=True).new_page()


def _see_gauges(page: Page, site: Served) -> None:
    page.goto(f"{site.address}/#map=9/{LAT}/{LON}&place={LON}/{LAT}")
    shown(page)
    panel = page.locator("#place")
    expect(panel.locator("svg.chart path.gauge")).to_have_count(2)
    lines = panel.locator(".measured li")
    expect(lines).to_have_count(2)
    expect(lines.nth(0)).to_have_text("gauge Mill (0 km): 9.6 mm/h in the 5 min to 12:00 UTC")
    expect(lines.nth(1)).to_contain_text("gauge Weir (4 km): 8.0 mm/h in the 15 min to 12:00")
    expect(page.locator(".leaflet-overlay-pane path.gauge")).to_have_count(2)
    page.keyboard.press(".")
    expect(lines.nth(0)).to_contain_text("0.0 mm/h in the 5 min to 12:05 UTC")
    panel.locator("summary").click()
    expect(panel.locator("table.gauges th")).to_have_text(["Until", "Mill", "Weir"])
    expect(panel.locator("table.gauges tr")).to_have_count(8)  # from 11:45 to 12:30


def test_the_panel_of_a_place_shows_them(page: Page, measured: Gallery) -> None:
    with served(measured) as site:
        _see_gauges(page, site)
        # On paper: the dash of 12:00 begins five minutes before it, at the height of 9.6 mm/h.
        drawn = page.locator("svg.chart path.gauge.g0").get_attribute("d") or ""
        assert drawn.count("M") == 4
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            found = Axe().run(page).response["violations"]
            assert [one for one in found if one["impact"] in {"serious", "critical"}] == []
        far = {"lon": LON, "lat": LAT - 11 * NORTH_KM}
        told = httpx.get(f"{site.address}/data/{FORECAST}/point.json", params=far).json()
        assert (told["within_km"], told["gauges"]) == (10, [])
        page.goto(f"{site.address}/#place={far['lon']}/{far['lat']}")
        page.reload()
        expect(page.locator("#place .measured")).to_have_text("No gauge with readings within 10 km")


def test_the_exported_site_has_them_too(page: Page, measured: Gallery, tmp_path: Path) -> None:
    export_site(measured, tmp_path / "site", newest=1)
    told = json.loads((tmp_path / "site/data" / FORECAST / "gauges.json").read_text())
    assert {gauge["name"] for gauge in told["gauges"]} == {"Mill", "Weir", "Far"}

    with served_plainly(tmp_path / "site") as site:
        _see_gauges(page, site)
