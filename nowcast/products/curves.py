"""Curves of scores by lead time, a line a method."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from nowcast.field.errors import UsageError
from nowcast.products import charts
from nowcast.products import style as look

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from matplotlib.axes import Axes

_COLUMNS = ("method", "lead_minutes", "score", "threshold_mm_h", "value")
_PANEL = (3.1, 2.5)  # inches
_COLUMNS_AT_LEAST = 3
# Where a score is bounded, its axis shows the bounds.
_BOUNDED = {"csi", "pod", "far", "pofd", "fss", "accuracy", "roc_area", "best_csi"}
_BEST = {"frequency_bias": 1.0, "multiplicative_bias": 1.0, "mean_error": 0.0}
_SPELT = {"brier": "Brier score", "roc_area": "ROC area", "rmse_db": "RMSE (dB)"}
_IN_MM_H = {"mae", "rmse", "mean_error", "crps", "fair_crps"}


def draw_scores(
    table: pd.DataFrame,
    *,
    path: Path,
    title: str = "Skill by lead time",
    scores: Sequence[str] = ("csi", "fss", "mae"),
    methods: Sequence[str] | None = None,
) -> Path:
    """Draw a tidy table of scores: a row of panels a score, a panel a threshold, a line a method.

    ``table`` has columns method, lead_minutes, score, threshold_mm_h (NaN for scores without one)
    and value, and scale_cells where scores have scales; where several rows stand for one point
    their mean is drawn, and NaN counts as no value. Columns low and high are drawn as a band, n and
    cycles are told as sample sizes, where the table has them.
    ``scores`` and ``methods`` choose what is drawn, in their order. PNG or SVG by the suffix of
    ``path``. Raises UsageError for a table that lacks a column or has none of the scores,
    ProductError where it cannot be written.
    """
    from matplotlib.figure import Figure  # noqa: PLC0415

    charts.require_columns(table, _COLUMNS, what="a score table")
    charts.require_kind(path)
    held = list(table["score"].drop_duplicates())
    table = pd.concat([table[table["score"] == score] for score in scores])
    if table.empty:
        raise UsageError(f"no score {', '.join(scores)} in the table: it holds {', '.join(held)}")
    drawn = list(methods or table["method"].drop_duplicates())
    panels = _panels(table.assign(row=_row_names(table)))
    columns = max(len(row) for row in panels)
    figure = Figure(
        figsize=(_PANEL[0] * columns + 0.3, _PANEL[1] * len(panels) + 0.9),
        dpi=look.DPI,
        layout="constrained",
    )
    grid = figure.subplots(len(panels), columns, squeeze=False)
    for row, line in zip(panels, grid, strict=True):
        for axes in line[len(row) :]:
            axes.set_visible(False)
        for axes, chosen in zip(line, row, strict=False):
            _draw_panel(axes, chosen, methods=drawn)
    charts.put_legend(figure, grid[0, 0], note=_note(table))
    charts.put_title(figure, title)
    return charts.save(figure, path)


def _panels(table: pd.DataFrame) -> list[list[pd.DataFrame]]:
    """The rows of panels: one a score by threshold, and those that know none on the last ones."""
    by_threshold = table[table["threshold_mm_h"].notna()].groupby("row", sort=False)
    rows = [[panel for _, panel in row.groupby("threshold_mm_h")] for _, row in by_threshold]
    columns = max([len(row) for row in rows], default=_COLUMNS_AT_LEAST)
    single = [
        panel for _, panel in table[table["threshold_mm_h"].isna()].groupby("row", sort=False)
    ]
    return rows + [single[k : k + columns] for k in range(0, len(single), columns)]


def _panel_title(chosen: pd.DataFrame) -> str:
    """The threshold, and how many pixels a point of the panel rests on."""
    threshold = float(chosen["threshold_mm_h"].iloc[0])
    words = [] if np.isnan(threshold) else [f"rain ≥ {threshold:g} mm h⁻¹"]
    if "n" in chosen.columns:
        words.append(charts.counted(chosen["n"]))
    return "   ".join(words)


def _note(table: pd.DataFrame) -> str:
    """How many forecasts the scores are of, and what a band is."""
    words = []
    if "cycles" in table.columns:
        words.append(f"{int(table['cycles'].max())} forecasts of each method on the same pixels")
    if {"low", "high"} <= set(table.columns):
        known = table["low"].notna().any()
        words.append(
            "bands: 95 % interval, by drawing forecasts again in blocks"
            if known
            else "too few forecasts for intervals"
        )
    return "; ".join(words)


def _draw_panel(axes: Axes, chosen: pd.DataFrame, *, methods: Sequence[str]) -> None:
    for method, look_of_it in charts.lines_of(methods).items():
        rows = chosen[chosen["method"] == method]
        points = rows.groupby("lead_minutes")[_drawn_columns(rows)].mean()
        leads = points.index.to_numpy(float)
        axes.plot(leads, points["value"].to_numpy(float), label=method, **look_of_it.settings())
        if "low" in points.columns:
            low, high = (points[edge].to_numpy(float) for edge in ("low", "high"))
            axes.fill_between(leads, low, high, color=look_of_it.colour, alpha=0.16, linewidth=0)
    kind = str(chosen["score"].iloc[0]).lower()
    if kind in _BOUNDED:
        axes.set_ylim(0, 1)
    elif kind in _BEST:
        axes.axhline(_BEST[kind], color=look.GRATICULE, linewidth=0.8)
    else:
        axes.set_ylim(bottom=min(0.0, axes.get_ylim()[0]))
    axes.set_xlim(left=0)
    axes.set_xlabel("lead time (min)", fontsize=8)
    axes.set_ylabel(chosen["row"].iloc[0], fontsize=8.5)
    axes.set_title(_panel_title(chosen), fontsize=8.5, color=look.QUIET)
    charts.quieten(axes)


def _drawn_columns(rows: pd.DataFrame) -> list[str]:
    return [name for name in ("value", "low", "high") if name in rows.columns]


def _row_names(table: pd.DataFrame) -> list[str]:
    """The score of each row as an axis names it, with its scale where it has one."""
    scales = table["scale_cells"] if "scale_cells" in table.columns else [None] * len(table)
    return [
        _name(str(score)) + (f", {scale:g} cells" if pd.notna(scale) else "")
        for score, scale in zip(table["score"], scales, strict=True)
    ]


def _name(score: str) -> str:
    unit = " (mm h⁻¹)" if score in _IN_MM_H else ""
    known = score.upper() if len(score) <= 4 else score.replace("_", " ")
    return _SPELT.get(score, known) + unit
