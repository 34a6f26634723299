"""Comparisons and curves: every panel shows its own field, every line its own method."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import numpy as np
import pandas as pd
import pytest
from forecast_samples import NOON, grid_of, past
from PIL import Image

from nowcast.field import schema
from nowcast.field.errors import GridMismatchError, UsageError
from nowcast.products import style as look
from nowcast.products.colours import RAIN_RATE
from nowcast.products.comparison import draw_comparison
from nowcast.products.curves import draw_scores
from nowcast.products.map_data import MapData
from nowcast.products.style import MapStyle

BARE = MapStyle(longest_side=300, map_data=MapData())
GRID = grid_of("mch", height=30, width=30)


def steady(rates: list[float], source: str, grid=GRID) -> schema.Forecast:
    """A forecast whose leads are each one rate everywhere."""
    field = np.ones((len(rates), *grid.shape)) * np.array(rates)[:, None, None]
    return schema.forecast_dataset(field, past=past(grid), source=source)


@pytest.fixture
def observed() -> schema.Frames:
    """Frames of 5 and 10 minutes past noon, each one rate everywhere; that at a quarter is lost."""
    times = [NOON + np.timedelta64(minutes, "m") for minutes in (5, 10)]
    field = np.ones((2, *GRID.shape)) * np.array([0.2, 0.4])[:, None, None]
    return schema.frames_dataset(field, times=times, grid=GRID)


def has(pixels: np.ndarray, number: int) -> bool:
    """Whether most of some pixels have the colour of a class."""
    colour = tuple(bytes.fromhex(RAIN_RATE.colours[number][1:]))
    return bool((pixels == colour).all(axis=2).mean() > 0.6)


def test_a_row_a_method_and_a_column_a_lead(tmp_path, observed):
    forecasts = [steady([1.5, 2.5, 4], "one: its parts"), steady([6, 15, 25], "other")]
    path = draw_comparison(
        forecasts, observed, leads_minutes=[5, 10, 15], path=tmp_path / "all.png", style=BARE
    )
    with Image.open(path) as opened:
        picture = np.asarray(opened.convert("RGB"))
    side = 120
    panels = [
        [
            picture[88 + row * 128 : 88 + row * 128 + side, 34 + column * 128 :][:, :side]
            for column in range(3)
        ]
        for row in range(3)
    ]
    expected = [[0, 1, None], [3, 4, 5], [6, 7, 8]]
    for line, numbers in zip(panels, expected, strict=True):
        for pixels, number in zip(line, numbers, strict=True):
            if number is None:  # no frame: hatched, with words
                assert not any(has(pixels, other) for other in range(12))
                assert (pixels[45:75, 20:100].min(axis=2) < 60).any()
            else:
                assert has(pixels, number)
    # Teal frames on top, orange ones below.
    assert picture[88 + 60, 34].tolist() == pytest.approx(_rgb(look.OBSERVED), abs=60)
    assert picture[88 + 128 + 60, 34].tolist() == pytest.approx(_rgb(look.FORECAST), abs=60)


def test_a_member_stands_below_its_forecast(tmp_path, observed):
    members = np.ones((2, 1, *GRID.shape)) * np.array([4.0, 25.0])[:, None, None, None]
    dims = ("realization", "lead_time", "y", "x")
    forecast = schema.forecast_dataset(
        np.full((1, *GRID.shape), 1.5),
        past=past(GRID),
        source="mim: drawn",
        extra={"rainfall_rate_member": (dims, members)},
        coords={"realization": [0, 1]},
    )
    with_member, without = tmp_path / "with.png", tmp_path / "without.png"
    draw_comparison([forecast], observed, leads_minutes=[5], path=with_member, style=BARE)
    plain = schema.Forecast(forecast.drop_vars("rainfall_rate_member"))
    draw_comparison([plain], observed, leads_minutes=[5], path=without, style=BARE)
    with Image.open(with_member) as tall, Image.open(without) as short:
        row = tall.height - short.height
        pixels = np.asarray(tall.convert("RGB"))
    assert row > 120
    side = row - 8
    assert has(pixels[88 + 2 * row : 88 + 2 * row + side, 34 : 34 + side], 5)  # 4 mm/h, as above


def _rgb(colour: str) -> list[int]:
    return list(bytes.fromhex(colour[1:]))


def test_an_svg_holds_the_words_and_the_panels(tmp_path, observed):
    one, again = tmp_path / "one.svg", tmp_path / "again.svg"
    for path in (one, again):
        draw_comparison([steady([1, 2], "x")], observed, leads_minutes=[5], path=path, style=BARE)
    root = ET.parse(one).getroot()
    assert root.tag.endswith("svg")
    assert len(root.findall(".//{http://www.w3.org/2000/svg}image")) == 2
    assert one.read_bytes() == again.read_bytes()


def test_what_cannot_be_compared_is_said(tmp_path, observed):
    where = {"path": tmp_path / "x.png", "style": BARE}
    with pytest.raises(
        UsageError, match=r"lead 20 min is not in the forecast by x: it holds 5, 10"
    ):
        draw_comparison([steady([1, 2], "x")], observed, leads_minutes=[20], **where)
    small = steady([1], "x", grid=grid_of("mch", height=9, width=9))
    with pytest.raises(GridMismatchError, match="forecast by x on 9x9 cells"):
        draw_comparison([small], observed, leads_minutes=[5], **where)
    with pytest.raises(UsageError, match="no forecast to compare"):
        draw_comparison([], observed, leads_minutes=[5], **where)
    later = steady([1], "x")
    later = later.assign_coords(
        forecast_reference_time=later["forecast_reference_time"] + np.timedelta64(5, "m")
    )
    with pytest.raises(UsageError, match="compare forecasts of one issue time"):
        draw_comparison([steady([1], "y"), later], observed, leads_minutes=[5], **where)
    with pytest.raises(UsageError, match=r"kind '\.jpg', expected \.png or \.svg"):
        draw_comparison([later], observed, leads_minutes=[5], path=tmp_path / "x.jpg")
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def table() -> pd.DataFrame:
    """CSI at two thresholds, FSS at one and two scales, MAE; two methods, three leads."""
    rows = [
        {
            "method": method,
            "lead_minutes": lead,
            "score": score,
            "threshold_mm_h": threshold,
            "scale_cells": scale,
            "value": 0.9 - lead / 60 - 0.1 * number,
        }
        for number, method in enumerate(("mim", "extrapolation"))
        for lead in (5, 10, 15)
        for score, threshold, scale in (
            ("mae", np.nan, None),
            ("csi", 1.0, None),
            ("csi", 5.0, None),
            ("fss", 1.0, 5),
            ("fss", 1.0, 17),
            ("pod", 1.0, None),
        )
    ]
    return pd.DataFrame(rows).astype({"scale_cells": "Int64"})


def words_and_lines(monkeypatch, draw) -> list[tuple[str, str, dict[str, list[float]]]]:
    """What was drawn: a row name, a title and the lines of each panel."""
    from matplotlib.figure import Figure

    figures = []
    save = Figure.savefig
    monkeypatch.setattr(
        Figure, "savefig", lambda self, *a, **k: (figures.append(self), save(self, *a, **k))
    )
    draw()
    return [
        (
            axes.get_ylabel(),
            axes.get_title(),
            {line.get_label(): list(line.get_ydata()) for line in axes.get_lines()},
        )
        for axes in figures[0].axes
        if axes.get_visible()
    ]


def test_a_panel_a_score_and_threshold(tmp_path, monkeypatch, table):
    path = tmp_path / "skill.png"
    panels = words_and_lines(monkeypatch, lambda: draw_scores(table, path=path))
    assert [panel[:2] for panel in panels] == [
        ("CSI", "rain ≥ 1 mm h⁻¹"),
        ("CSI", "rain ≥ 5 mm h⁻¹"),
        ("FSS, 5 cells", "rain ≥ 1 mm h⁻¹"),
        ("FSS, 17 cells", "rain ≥ 1 mm h⁻¹"),
        ("MAE (mm h⁻¹)", ""),
    ]
    for _, _, lines in panels:
        assert list(lines) == ["mim", "extrapolation"]
        assert lines["mim"] == pytest.approx([0.9 - lead / 60 for lead in (5, 10, 15)])
        assert lines["extrapolation"] == pytest.approx([0.8 - lead / 60 for lead in (5, 10, 15)])
    with Image.open(path) as picture:
        assert picture.size[0] > 500
        colours = picture.convert("RGB").getcolors(maxcolors=1 << 20)
    assert {(0x00, 0x72, 0xB2), (0xD5, 0x5E, 0x00)} <= {colour for _, colour in colours}


def test_methods_and_scores_are_chosen(tmp_path, monkeypatch, table):
    table = table.drop(columns="scale_cells")
    table.loc[table["lead_minutes"] == 10, "value"] = np.nan
    panels = words_and_lines(
        monkeypatch,
        lambda: draw_scores(
            table, path=tmp_path / "skill.svg", scores=["pod"], methods=["extrapolation"]
        ),
    )
    (panel,) = panels
    assert panel[0] == "POD"
    assert list(panel[2]) == ["extrapolation"]
    assert np.isnan(panel[2]["extrapolation"][1])


def test_tables_that_cannot_be_drawn(tmp_path, table):
    path = tmp_path / "skill.png"
    with pytest.raises(UsageError, match="without value, expected columns method"):
        draw_scores(table.drop(columns="value"), path=path)
    with pytest.raises(UsageError, match="0 rows without content"):
        draw_scores(table.iloc[:0], path=path)
    with pytest.raises(UsageError, match="no score sal in the table: it holds mae, csi, fss, pod"):
        draw_scores(table, path=path, scores=["sal"])
    with pytest.raises(UsageError, match=r"kind '\.pdf'"):
        draw_scores(table, path=tmp_path / "skill.pdf")
    assert list(tmp_path.iterdir()) == []
