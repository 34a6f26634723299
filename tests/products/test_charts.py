"""Charts of skill, reliability, ROC and spectra: each line is what its numbers say."""

from __future__ import annotations

from itertools import combinations
from xml.etree import ElementTree as ET

import colour_vision
import numpy as np
import pandas as pd
import pytest
from forecast_samples import NOON, forecast, grid_of
from PIL import Image

from nowcast.field import schema
from nowcast.field.errors import ProductError, UsageError
from nowcast.products import charts
from nowcast.products import style as look
from nowcast.products.colours import LAND, PROBABILITY, SEA
from nowcast.products.curves import draw_scores
from nowcast.products.diagrams import draw_reliability, draw_roc, roc_area
from nowcast.products.map_data import MapData
from nowcast.products.probabilities import draw_probabilities
from nowcast.products.spectra import draw_spectra
from nowcast.products.style import MapStyle

BARE = MapStyle(longest_side=300, map_data=MapData())
METHODS = ("mim", "extrapolation", "sprog", "steps", "anvil", "persistence")


@pytest.fixture
def drawn(monkeypatch):
    """Every figure that was saved, in order."""
    from matplotlib.figure import Figure

    figures, save = [], Figure.savefig
    monkeypatch.setattr(
        Figure, "savefig", lambda self, *a, **k: (figures.append(self), save(self, *a, **k))
    )
    return figures


def lines(axes) -> dict[str, np.ndarray]:
    """The points (2, n) of each named line."""
    return {
        line.get_label(): np.array(line.get_data(), dtype=float)
        for line in axes.get_lines()
        if not line.get_label().startswith("_")
    }


def words(figure) -> str:
    """All that is written on a figure."""
    from matplotlib.text import Text

    return " ".join(" ".join(text.get_text() for text in figure.findobj(Text)).split())


@pytest.fixture
def reliability() -> pd.DataFrame:
    """Two methods at two leads and thresholds; 10 mm/h never came.

    mim: 1000 pixels at 0.2 (100 had it), 300 at 0.8 (270), 50 at 1.0 (50: too few to show).
    yes: 1150 at 0, 200 at 1.
    """
    bins = {
        "mim": {0.2: (1000, 100), 0.8: (300, 270), 1.0: (50, 50)},
        "yes": {0.0: (1150, 300), 1.0: (200, 120)},
    }
    rows = []
    for method, cuts in bins.items():
        for lead in (5.0, 10.0):
            for threshold in (1.0, 10.0):
                rows += _bins(method, lead, threshold, cuts)
    return pd.DataFrame(rows)


def _bins(method: str, lead: float, threshold: float, cuts: dict) -> list[dict]:
    rows = []
    came = threshold < 10
    for cut in (0.0, 0.2, 0.8, 1.0):
        n, happened = cuts.get(cut, (0, 0))
        above = [(m, h) for edge, (m, h) in cuts.items() if edge >= cut]
        hits, said = sum(h for _, h in above), sum(m for m, _ in above)
        rows.append(
            {
                "method": method,
                "lead_minutes": lead,
                "threshold_mm_h": threshold,
                "cut": cut,
                "n": n,
                "mean_probability": cut if n else np.nan,
                "observed_frequency": (happened / n if came else 0.0) if n else np.nan,
                "pod": hits / 420 if came else np.nan,
                "pofd": (said - hits) / 930,
            }
        )
    return rows


def test_reliability_by_hand(tmp_path, drawn, reliability) -> None:
    path = draw_reliability(reliability, path=tmp_path / "reliability.png")
    (figure,) = drawn
    panels = [axes for axes in figure.axes if axes.get_ylabel() == "observed frequency"]
    assert [axes.get_title() for axes in panels] == [
        f"rain ≥ 1 mm h⁻¹, +{lead} min\nn 1.35 k, 420 with such rain" for lead in (5, 10)
    ]
    shown = lines(panels[0])
    assert list(shown) == ["mim", "yes"]
    np.testing.assert_allclose(shown["mim"], [[0.2, 0.8], [0.1, 0.9]])
    np.testing.assert_allclose(shown["yes"], [[0.0, 1.0], [300 / 1150, 0.6]])
    assert "bins of fewer than 100 pixels are left out" in words(figure)
    with Image.open(path) as picture:
        assert picture.size[0] > 250


def test_roc_by_hand(tmp_path, drawn, reliability) -> None:
    draw_roc(reliability, path=tmp_path / "roc.svg", leads_minutes=[10.0])
    (figure,) = drawn
    (axes,) = figure.axes
    shown = lines(axes)
    cuts = [[80 / 930] * 3, [120 / 420] * 3]
    np.testing.assert_allclose(shown["yes"], np.hstack([[[1.0], [1.0]], cuts, [[0.0], [0.0]]]))
    # One point: the area of a triangle and a trapezium is (1 + pod - pofd) / 2.
    area = (1 + 120 / 420 - 80 / 930) / 2
    assert f"yes {area:.3f}" in words(figure)
    assert roc_area(*shown["yes"]) == pytest.approx(area)
    assert ET.parse(tmp_path / "roc.svg").getroot().tag.endswith("svg")


def test_thresholds_that_never_came_are_drawn_only_where_asked_for(
    tmp_path, drawn, reliability
) -> None:
    draw_roc(reliability, path=tmp_path / "roc.png", leads_minutes=[5.0], thresholds_mm_h=[10.0])
    assert "0 with such rain" in words(drawn[0])
    assert "mim -" in words(drawn[0])
    with pytest.raises(UsageError, match="no threshold_mm_h 3 in the table: it holds 1, 10"):
        draw_roc(reliability, path=tmp_path / "no.png", thresholds_mm_h=[3.0])
    with pytest.raises(UsageError, match="no lead_minutes 60 in the table: it holds 5, 10"):
        draw_reliability(reliability, path=tmp_path / "no.png", leads_minutes=[60.0])
    with pytest.raises(UsageError, match="a table of reliability of 0 rows without content"):
        draw_roc(reliability.iloc[:0], path=tmp_path / "no.png")
    assert [path.name for path in tmp_path.iterdir()] == ["roc.png"]


def spectra() -> pd.DataFrame:
    """Observed power falls with the cube; one method keeps it, one loses the short half."""
    wavelength = 64.0 / np.arange(1, 33)
    parts = []
    for lead in (15.0, 30.0):
        for method, share in (("observed", 1.0), ("mim", 0.5), ("sprog", 1.0)):
            power = wavelength**3 * np.where(wavelength < 16, share, 1.0)
            columns = {"method": method, "lead_minutes": lead, "wavelength_km": wavelength}
            parts.append(pd.DataFrame(columns | {"power": power, "pixels": 4096, "cycles": 3}))
    return pd.concat(parts)


def test_spectra_and_their_share(tmp_path, drawn) -> None:
    draw_spectra(spectra(), path=tmp_path / "spectra.png")
    (figure,) = drawn
    above, below = figure.axes[0], figure.axes[2]
    assert list(lines(above)) == ["observed", "mim", "sprog"]
    assert above.get_title() == "+15 min   n 4.1 k"
    shares = [line.get_ydata() for line in below.get_lines()]
    np.testing.assert_allclose(shares[0][[0, -1]], [1.0, 0.5])
    np.testing.assert_allclose(shares[1], 1.0)
    assert "3 forecasts of each method" in words(figure)
    with pytest.raises(UsageError, match="without cycles, expected columns method"):
        draw_spectra(spectra().drop(columns="cycles"), path=tmp_path / "no.png")


def test_bands_and_sample_sizes_of_skill(tmp_path, drawn) -> None:
    table = pd.DataFrame(
        {
            "method": "mim",
            "lead_minutes": [5.0, 10.0],
            "score": "csi",
            "threshold_mm_h": 1.0,
            "value": [0.8, 0.6],
            "low": [0.7, 0.4],
            "high": [0.9, 0.7],
            "n": [1_250_000, 1_200_000],
            "cycles": 9,
        }
    )
    draw_scores(table, path=tmp_path / "skill.png")
    draw_scores(table.assign(low=np.nan, high=np.nan), path=tmp_path / "few.png")
    certain, few = drawn
    (band,) = certain.axes[0].collections
    corners = band.get_paths()[0].vertices
    for lead, low, high in ((5, 0.7, 0.9), (10, 0.4, 0.7)):
        edge = corners[np.isclose(corners[:, 0], lead), 1]
        assert (edge.min(), edge.max()) == pytest.approx((low, high))
    assert certain.axes[0].get_title() == "rain ≥ 1 mm h⁻¹   n 1.2 M to 1.25 M"
    assert "9 forecasts of each method on the same pixels" in words(certain)
    assert "95 % interval" in words(certain)
    assert "too few forecasts for intervals" in words(few)


def test_probabilities_and_what_then_came(tmp_path) -> None:
    made = forecast("mch", kind="probability", leads=2, grid=grid_of("mch", height=40, width=40))
    chance = made["probability_of_exceedance"].values
    chance[:] = 0.0
    chance[0], chance[1, 0] = 0.95, 0.35
    came = np.zeros((2, 40, 40))
    came[:, 10:30, 10:30] = 0.5
    times = [NOON + np.timedelta64(minutes, "m") for minutes in (5, 10)]
    observed = schema.frames_dataset(came, times=times, grid=grid_of("mch", height=40, width=40))
    path = tmp_path / "chances.png"
    draw_probabilities(made, leads_minutes=[5, 10], observed=observed, path=path, style=BARE)
    with Image.open(path) as opened:
        picture = np.asarray(opened.convert("RGB"))
    # 10 mm/h is nowhere likely, and has no row.
    panels = [
        [picture[88 + row * 128 :, 34 + column * 128 :][:120, :120] for column in range(2)]
        for row in range(2)
    ]
    assert picture.shape[0] == 88 + 2 * 128 + 44
    for panel, share, outlined in (
        (panels[0][0], 9, True),
        (panels[0][1], 9, True),
        (panels[1][0], 3, False),
    ):
        filled = (panel == _rgb(PROBABILITY.colours[share - 1])).all(axis=2)
        assert filled.mean() > 0.6
        line = (panel == _rgb(look.HAPPENED)).all(axis=2)
        assert line.any() == outlined
        if outlined:
            rows, columns = np.nonzero(line)
            assert (rows.min(), rows.max(), columns.min(), columns.max()) == (30, 89, 30, 89)
    assert not (panels[1][1] == _rgb(PROBABILITY.colours[0])).all(axis=2).any()


def _rgb(colour: str) -> list[int]:
    return list(bytes.fromhex(colour[1:]))


def test_probabilities_that_are_not_there(tmp_path) -> None:
    where = {"leads_minutes": [5], "path": tmp_path / "x.png", "style": BARE}
    with pytest.raises(UsageError, match="no probabilities in the forecast by persistence: mim"):
        draw_probabilities(forecast("mch"), **where)
    made = forecast("mch", kind="probability")
    with pytest.raises(UsageError, match=r"no probability of 2 mm/h .* holds \[0.1, 1.0, 10.0\]"):
        draw_probabilities(made, thresholds_mm_h=[2.0], **where)
    with pytest.raises(UsageError, match=r"kind '\.gif', expected \.png or \.svg"):
        draw_probabilities(made, leads_minutes=[5], path=tmp_path / "x.gif")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("vision", colour_vision.VISIONS)
def test_lines_stay_apart_in_every_vision(vision: str) -> None:
    seen = [colour_vision.lab(line.colour, vision) for line in charts.lines_of(METHODS).values()]
    for one, other in combinations([*seen, colour_vision.lab(look.INK, vision)], 2):
        assert colour_vision.ciede2000(one, other) > 10
    happened = colour_vision.lab(look.HAPPENED, vision)
    for below in (*PROBABILITY.colours, LAND, SEA, look.COAST):
        assert colour_vision.ciede2000(happened, colour_vision.lab(below, vision)) > 20


def test_a_method_looks_the_same_in_every_chart() -> None:
    alone, among = charts.lines_of(["sprog"]), charts.lines_of(["ours", "mim", "sprog", "theirs"])
    assert alone["sprog"] == among["sprog"]
    assert list(among) == ["ours", "mim", "sprog", "theirs"]
    looks = [(line.colour, line.marker) for line in among.values()]
    assert len(set(looks)) == 4
    assert among["ours"].dashes == "--"
    many = [f"method {count}" for count in range(20)]
    assert list(charts.lines_of(many)) == many
    assert charts.in_order(["b", "steps", "a", "mim"]) == ["mim", "steps", "a", "b"]


def test_words_for_numbers() -> None:
    assert charts.counted([950]) == "n 950"
    assert charts.counted([1_234_000, 1_229_000]) == "n 1.23 M"
    assert charts.counted([999_600, 2.5e9]) == "n 1 M to 2.5 G"
    assert charts.counted([]) == "n 0"
    assert charts.some_leads([5, 10, 15]) == [5, 10, 15]
    assert charts.some_leads(np.arange(5, 65, 5)) == [15, 30, 45, 60]
    assert charts.some_leads([5.0]) == [5.0]


def test_a_picture_appears_whole_or_not_at_all(tmp_path) -> None:
    table = spectra().query("lead_minutes == 15")
    one, again = tmp_path / "one.svg", tmp_path / "again.svg"
    for path in (one, again):
        draw_spectra(table, path=path)
    assert one.read_bytes() == again.read_bytes()
    with pytest.raises(ProductError, match="there is no such folder"):
        draw_spectra(table, path=tmp_path / "absent" / "one.png")
