"""The page in a real browser: what a forecaster sees and does."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from nowcast.web.export import export_site
from nowcast.web.gallery import Gallery
from tests.web.browser import DESKTOP, PHONE, chromium, shown
from tests.web.conftest import FORECAST, Served, gallery_of, grid, served, served_plainly


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport=DESKTOP, timezone_id="Europe/Amsterdam")
    made = context.new_page()
    made.set_default_timeout(20_000)
    problems: list[str] = []
    made.on("pageerror", lambda error: problems.append(str(error)))
    made.on("console", lambda said: said.type == "error" and problems.append(said.text))
    yield made
    context.close()
    assert [one for one in problems if "net::ERR_" not in one] == []


def look(page: Page, site: Served, hash_: str = "") -> None:
    page.goto(f"{site.address}/{hash_}")
    shown(page)


def pixel(page: Page, *, lon: float, lat: float) -> list[int]:
    """The colour of the canvas at a place, by the bounds that the page was told."""
    return page.evaluate(
        """async ([lon, lat, id]) => {
          const facts = await (await fetch(`data/${id}/forecast.json`)).json();
          const [west, south, east, north] = facts.bounds, [width, height] = facts.size;
          const up = (degrees) => Math.asinh(Math.tan(degrees * Math.PI / 180));
          const x = Math.floor(width * (lon - west) / (east - west));
          const y = Math.floor(height * (up(north) - up(lat)) / (up(north) - up(south)));
          const canvas = document.querySelector('canvas.rain');
          return [...canvas.getContext('2d').getImageData(x, y, 1, 1).data];
        }""",
        [lon, lat, FORECAST],
    )


def test_it_asks_nobody_else(page: Page, site: Served) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    look(page, site)
    assert len(asked) > 10
    assert [url for url in asked if not url.startswith((site.address, "blob:", "data:"))] == []


def test_radar_and_forecast_are_told_apart_and_played(page: Page, site: Served) -> None:
    look(page, site)
    moment = page.locator("#moment")
    expect(moment).to_have_attribute("data-kind", "radar")
    expect(moment).to_contain_text("1 Jun 2026, 14:00 (12:00 UTC)")
    page.keyboard.press(".")
    expect(moment).to_contain_text("Forecast +5 min")
    expect(page.locator("#slider")).to_have_attribute("aria-valuetext", re.compile("Forecast"))
    page.keyboard.press(",")
    page.keyboard.press(",")
    expect(moment).to_contain_text("Radar \N{MINUS SIGN}5 min")
    page.get_by_role("button", name="Play").click()
    expect(page.get_by_role("button", name="Stop")).to_be_visible()
    expect(moment).to_contain_text("Forecast")
    page.get_by_role("button", name="Now", exact=True).click()
    expect(moment).to_contain_text("Radar now")
    assert page.locator("#frames .radar").count() == 13
    assert page.locator("#frames .forecast").count() == 6


def test_layers_by_mouse_and_key_and_the_address_holds_all(page: Page, site: Served) -> None:
    look(page, site)
    page.keyboard.press(".")
    page.get_by_role("radio", name="0.3", exact=True).check()
    expect(page.locator("#legend figcaption")).to_have_text("Probability, %")
    page.keyboard.press("2")
    expect(page.get_by_role("radio", name="0.1", exact=True)).to_be_checked()
    page.keyboard.press("p")
    expect(page.locator("#place .words")).to_be_visible()
    address = page.evaluate("location.hash")
    for part in ("map=", "layer=probability-0.1", "time=20260601T1205Z", "place="):
        assert part in address
    other = page.context.new_page()
    other.goto(f"{site.address}/{address}")
    shown(other)
    expect(other.locator("#moment")).to_contain_text("Forecast +5 min")
    expect(other.get_by_role("radio", name="0.1", exact=True)).to_be_checked()
    expect(other.locator("#place .words")).to_be_visible()


def test_a_click_on_a_place_gives_its_rain(page: Page, site: Served) -> None:
    lon, lat = grid().lonlat_of(30, 30)
    look(page, site, f"#map=9/{lat}/{lon}")
    page.locator("#map").click(position={"x": 640, "y": 300})
    panel = page.locator("#place")
    expect(panel.locator("svg.chart .band")).to_have_count(1)
    expect(panel.locator("svg.chart .seen")).to_have_count(13)
    expect(panel.locator("svg.chart .came")).to_have_count(3)
    panel.locator("summary").click()
    expect(panel.locator("tr")).to_have_count(7)
    page.keyboard.press("Escape")
    expect(panel).to_be_hidden()


def test_help_names_keys_credits_and_files(page: Page, site: Served) -> None:
    look(page, site)
    page.keyboard.press("?")
    help_ = page.get_by_role("dialog")
    expect(help_).to_contain_text("Test service, CC BY 4.0")
    expect(help_.get_by_role("link")).to_have_text(
        ["20260601T1200Z.nc", "20260601T1200Z.tif", "20260601T1200Z.zarr.zip"]
    )
    page.keyboard.press("Escape")
    expect(help_).to_be_hidden()


def test_motion_and_storm_cells(page: Page, site: Served) -> None:
    look(page, site)
    for name in ("Motion", "Storm cells"):
        page.get_by_role("checkbox", name=name).check()
    page.wait_for_timeout(300)
    painted = page.locator(".leaflet-arrows-pane canvas")
    assert painted.count() >= 1
    inked = page.evaluate(
        """() => [...document.querySelectorAll('.leaflet-arrows-pane canvas')].map((canvas) =>
          canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data
            .some((value) => value > 0))"""
    )
    assert inked
    assert all(inked)


@pytest.mark.parametrize(("minutes", "state"), [(4, "fresh"), (11, "amber"), (21, "red")])
def test_old_data_are_said_to_be_old(page: Page, shelf: Path, minutes: float, state: str) -> None:
    with served(gallery_of(shelf, minutes=minutes)) as late:
        look(page, late)
        badge = page.locator("#age")
        expect(badge).to_have_attribute("data-state", state)
        expect(badge).to_contain_text(f"data {minutes} min old")
        expect(page.locator("#banner")).to_be_visible(visible=state == "red")
        if state == "red":
            expect(page.locator("#banner")).to_contain_text("Not current")


def test_what_is_loaded_plays_on_without_the_server(page: Page, gallery: Gallery) -> None:
    with served(gallery) as passing:
        look(page, passing)
        expect(page.locator("#frames .here")).to_have_count(19)
        passing.stop()
    seen = set()
    for _ in range(19):
        page.keyboard.press(".")
        seen.add(page.locator("canvas.rain").get_attribute("data-shown"))
    assert len(seen) == 19
    assert "" not in seen
    page.keyboard.press("p")
    expect(page.locator("#place .words")).to_contain_text("Read off the colours")


def test_the_page_shows_the_radar_cell_of_a_place(page: Page, site: Served) -> None:
    look(page, site, f"#forecast={FORECAST}&time=20260601T1205Z")
    expect(page.locator("canvas.rain")).to_have_attribute("data-shown", re.compile("rate/.*1205Z"))
    lon, lat = grid().lonlat_of(30, 28)  # the middle of the storm: 60 mm/h, class 50
    assert pixel(page, lon=lon, lat=lat)[:3] == list(bytes.fromhex("820e36"))
    lon, lat = grid().lonlat_of(2, 2)
    assert pixel(page, lon=lon, lat=lat)[3] == 0
    lon, lat = grid().lonlat_of(30, 48)
    assert 0 < pixel(page, lon=lon, lat=lat)[3] < 255  # hatched


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", ["", "skill.html"])
def test_axe_finds_nothing_serious(browser: Browser, site: Served, scheme: Any, path: str) -> None:
    # axe is put into the page, which its own policy forbids to others.
    context = browser.new_context(viewport=DESKTOP, color_scheme=scheme, bypass_csp=True)
    page = context.new_page()
    page.goto(f"{site.address}/{path}{'' if path else '#place=4.9/52.4'}")
    if path:
        expect(page.locator("#about")).to_contain_text("scored")
    else:
        shown(page)
        expect(page.locator("#place .words")).to_be_visible()
    found = Axe().run(page).response["violations"]
    context.close()
    bad = [one for one in found if one["impact"] in {"serious", "critical"}]
    assert [(one["id"], [node["html"] for node in one["nodes"]]) for one in bad] == []


def test_on_a_phone_everything_fits(browser: Browser, site: Served) -> None:
    context = browser.new_context(viewport=PHONE, has_touch=True, is_mobile=True)
    page = context.new_page()
    look(page, site)
    width, height = page.evaluate(
        "[document.documentElement.scrollWidth, document.documentElement.scrollHeight]"
    )
    assert (width, height) == (PHONE["width"], PHONE["height"])
    box = page.locator("#slider").bounding_box()
    assert box is not None
    assert box["y"] + box["height"] <= PHONE["height"]
    page.touchscreen.tap(200, 450)
    expect(page.locator("#place .words")).to_be_visible()
    context.close()


def test_the_exported_site_is_the_same_page(page: Page, gallery: Gallery, tmp_path: Path) -> None:
    export_site(gallery, tmp_path / "site", newest=1)

    with served_plainly(tmp_path / "site") as site:
        look(page, site)
        page.keyboard.press(".")
        expect(page.locator("#moment")).to_contain_text("Forecast +5 min")
        expect(page.locator("#frames .here")).to_have_count(19)
        page.keyboard.press("p")
        expect(page.locator("#place .words")).to_contain_text("Read off the colours")
        expect(page.locator("#place svg.chart")).to_be_visible()
