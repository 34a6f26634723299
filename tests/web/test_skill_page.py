"""The page of skill: what a hindcast's tables and a service's sums become."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import expect

from nowcast.service.skill.store import SkillStore
from nowcast.web.gallery import Gallery
from nowcast.web.skill import HindcastSkill, NoSkill, ServiceSkill
from tests.web.browser import DESKTOP, chromium
from tests.web.conftest import gallery_of, served

SCORES = """method,lead_minutes,score,threshold_mm_h,scale_cells,value,n
mim,5,csi,1.0,,0.8,100
mim,10,csi,1.0,,0.6,100
extrapolation,5,csi,1.0,,0.7,100
extrapolation,10,csi,1.0,,,0
mim,5,mae,,,0.2,100
mim,5,rmse,,,0.2,100
"""
RELIABILITY = """method,lead_minutes,threshold_mm_h,cut,n,mean_probability,observed_frequency
mim,5,1.0,0.0,50,0.05,0.06
mim,5,1.0,0.5,30,0.55,0.5
mim,5,1.0,0.9,20,0.95,0.9
mim,5,1.0,0.7,0,,
"""


def tables(folder: Path) -> Path:
    (folder / "scores.csv").write_text(SCORES)
    (folder / "reliability.csv").write_text(RELIABILITY)
    return folder


def test_a_hindcasts_tables(tmp_path: Path) -> None:
    told = HindcastSkill(tables(tmp_path)).facts()
    assert [row["score"] for row in told["scores"]] == ["csi"] * 4 + ["mae"]
    assert told["scores"][3]["value"] is None  # not scored is not zero
    assert [row["n"] for row in told["reliability"]] == [50, 30, 20]


def test_where_nothing_was_scored_that_is_said(tmp_path: Path) -> None:
    nothing = NoSkill().facts()
    assert "Nothing has been scored" in nothing["about"]
    assert HindcastSkill(tmp_path).facts() == nothing
    assert ServiceSkill(SkillStore(tmp_path / "skill.sqlite")).facts() == nothing


def test_the_page_draws_every_method_and_reliability(shelf: Path, tmp_path: Path) -> None:
    from dataclasses import replace

    shown: Gallery = replace(gallery_of(shelf, minutes=3), skill=HindcastSkill(tables(tmp_path)))
    with served(shown) as site, chromium() as browser:
        page = browser.new_context(viewport=DESKTOP).new_page()
        page.goto(f"{site.address}/skill.html")
        expect(page.locator("#by-lead path.line")).to_have_count(4)  # two lines, two in the key
        expect(page.locator("#reliability svg.plot path.line")).to_have_count(2)
        expect(page.locator("#numbers td").nth(1)).to_have_text("0.800")
        page.locator("#score").select_option("mae")
        expect(page.locator("#meaning")).to_contain_text("Mean absolute error")
