"""The verification page of a small simulated hindcast, read as a reader's browser would."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest

from nowcast import build, scorecard
from nowcast.demonstration import SimulatedArchive, write_archive
from nowcast.forecast.extrapolation import Extrapolation
from nowcast.forecast.persistence import Persistence
from nowcast.hindcast import Hindcast
from nowcast.ingest.simulated import Storm, low_countries
from nowcast.products.ranks import draw_ranks
from nowcast.report.page import Page
from nowcast.report.pairs import BETTER, UNRESOLVED, UNSCORED, pair_tables
from nowcast.report.tables import every_score, shown
from nowcast.report.words import pair_words
from nowcast.verify.bootstrap import Resampling

if TYPE_CHECKING:
    from pathlib import Path

    from nowcast.scorecard import Scorecard

_VOID = {"meta", "img", "br", "hr", "link"}
_DRAWS = Resampling(draws=100)


class Read(HTMLParser):
    """What a page holds; a tag that is closed out of order fails."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []
        self.tags: set[str] = set()
        self.rows: dict[str, list[list[str]]] = {}
        self.table = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        told = dict(attrs)
        self.links += [str(told[name]) for name in ("href", "src") if name in told]
        if tag == "table":
            self.table = told.get("id") or ""
        if tag == "tr":
            self.rows.setdefault(self.table, []).append([])
        if tag in {"td", "th"}:
            self.rows[self.table][-1].append("")
        if tag not in _VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] in {"td", "th"}:
            self.rows[self.table][-1][-1] += data


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> SimulatedArchive:
    storm = Storm(grid=low_countries(48), motion_m_s=(12.0, 6.0), radar_range_km=60)
    return write_archive(tmp_path_factory.mktemp("archive"), storm=storm)


@pytest.fixture(scope="module")
def folder(simulated: SimulatedArchive, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two methods, and at one issue time only one of them."""
    out = tmp_path_factory.mktemp("past")
    source = build.archive("odim", simulated.folder)
    first, last = simulated.issue_times[0], simulated.issue_times[-1]
    times = list(np.arange(first, last + 1, np.timedelta64(5, "m")))[:9]
    methods = {"extrapolation": Extrapolation(), "persistence <b>": Persistence()}
    list(Hindcast(source=source, nowcasters=methods, steps=2, out=out).run(times))
    next(iter(sorted((out / "extrapolation").glob("*.nc")))).unlink()
    return out


@pytest.fixture(scope="module")
def card(folder: Path, simulated: SimulatedArchive) -> Scorecard:
    settings = scorecard.ScoreSettings(thresholds_mm_h=(0.5, 200.0), scales_cells=(9,))
    source = build.archive("odim", simulated.folder)
    return scorecard.score(scorecard.forecast_files(folder), source, settings=settings)


def test_the_page_says_what_the_score_table_says(
    folder: Path, simulated: SimulatedArchive, card: Scorecard, tmp_path: Path
) -> None:
    source = build.archive("odim", simulated.folder)
    written = Page(card, scorecard.forecast_files(folder), source, resampling=_DRAWS)
    text = written.write(tmp_path).read_text()
    read = Read()
    read.feed(text)
    assert read.open == []
    assert "script" not in read.tags
    outside = [link for link in read.links if not link.startswith("#")]
    assert outside
    assert not [link for link in outside if not (tmp_path / link).is_file()]
    assert "http" not in text.replace("http-equiv", "")

    csi = read.rows["score-csi"][2:]
    table = card.table().query("score == 'csi' and threshold_mm_h == 0.5")
    for row, (lead, of_lead) in zip(csi[:2], table.groupby("lead_minutes"), strict=True):
        assert [float(word) for word in row[:2]] == [0.5, lead]
        by_method = of_lead.set_index("method")["value"]
        assert row[2] == shown(by_method["extrapolation"])
        assert row[5] == shown(by_method["persistence <b>"])
        value, low, high = (float(word) for word in row[2:5])
        assert low <= value <= high
    # 200 mm/h was neither said nor seen.
    assert csi[2][:8] == ["200", "5", *["-"] * 6]
    assert "undefined: a ratio to 0" in text

    assert "persistence &lt;b&gt;" in text
    assert "persistence <b>" not in text
    assert "no forecast of extrapolation to compare with" in text
    assert "rank histogram" not in text.lower()
    stored = pd.read_csv(tmp_path / "scores.csv")
    assert len(stored) == len(card.table())


def test_better_is_said_only_where_the_interval_tells(card: Scorecard) -> None:
    cycles = card.cycles
    (compared,) = pair_tables(cycles, resampling=_DRAWS).values()
    csi = _csi(compared)
    assert csi["verdict"] == BETTER
    assert csi["low"] > 0
    assert csi[BETTER] + csi[UNRESOLVED] == 2
    turned = dict(reversed(cycles.items()))
    (other,) = pair_tables(turned, resampling=_DRAWS).values()
    assert _csi(other)["verdict"] == "worse"
    assert "better by" in pair_words("a", "b", compared, cycles=8)

    few = {method: tallies[:7] for method, tallies in cycles.items()}
    (unsure,) = pair_tables(few, resampling=_DRAWS).values()
    assert set(unsure["verdict"]) == {UNRESOLVED, UNSCORED}
    assert every_score(few, resampling=_DRAWS)["low"].isna().all()
    assert "no interval is drawn" in pair_words("a", "b", unsure, cycles=7)


def test_a_method_against_itself_is_not_resolved(card: Scorecard) -> None:
    own = card.cycles["extrapolation"]
    (compared,) = pair_tables({"one": own, "twin": own}, resampling=_DRAWS).values()
    assert set(compared["verdict"]) == {UNRESOLVED, UNSCORED}
    assert (compared["difference"].dropna() == 0).all()


def test_rank_histogram_bars_are_the_frequencies(tmp_path: Path) -> None:
    table = pd.DataFrame(
        {"method": "mim", "lead_minutes": 5.0, "rank": [0, 1, 2], "n": [10.0, 30.0, 60.0]}
    ).assign(frequency=[0.1, 0.3, 0.6])
    drawn = draw_ranks(table, path=tmp_path / "ranks.svg").read_text()
    assert drawn.startswith("<?xml")
    heights = [
        abs(float(path.split()[1]) - float(path.split()[7]))
        for path in re.findall(r'd="M ([-\d. \nLz]+)"[^>]*style="fill: #0072b2', drawn)
    ]
    assert len(heights) == 3
    assert [height / heights[0] for height in heights] == pytest.approx([1, 3, 6], rel=1e-3)


def _csi(compared: pd.DataFrame) -> pd.Series:
    return compared.query("score == 'csi' and threshold_mm_h == 0.5").iloc[0]
