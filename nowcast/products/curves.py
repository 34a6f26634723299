"""Curves of scores by lead time, a line a method."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from nowcast.field.atomic import written_beside
from nowcast.field.errors import UsageError
from nowcast.products import style as look

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from matplotlib.axes import Axes

_COLUMNS = ("method", "lead_minutes", "score", "threshold_mm_h", "value")
# Okabe and Ito (2008), https://jfly.uni-koeln.de/color, without yellow and black.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
_MARKERS = ("o", "s", "^", "D", "v", "P")
_PANEL = (3.1, 2.5)  # inches
# Where a score is bounded, its axis shows the bounds.
_BOUNDED = {"csi", "pod", "far", "pofd", "fss", "accuracy", "roc_area", "best_csi"}
_BEST = {"frequency_bias": 1.0, "multiplicative_bias": 1.0, "mean_error": 0.0}
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
    their mean is drawn, and NaN counts as no value.
    ``scores`` and ``methods`` choose what is drawn, in their order. PNG or SVG by the suffix of
    ``path``. Raises UsageError for a table that lacks a column or has none of the scores,
    ProductError where it cannot be written.
    """
    from matplotlib.figure import Figure  # noqa: PLC0415

    missing = [name for name in _COLUMNS if name not in table.columns]
    if missing or table.empty:
        raise UsageError(
            f"a score table of {len(table)} rows without {', '.join(missing) or 'content'}, "
            f"expected columns {', '.join(_COLUMNS)}"
        )
    if path.suffix not in {".png", ".svg"}:
        raise UsageError(f"{path}: pictures of kind {path.suffix!r}, expected .png or .svg")
    held = list(table["score"].drop_duplicates())
    table = pd.concat([table[table["score"] == score] for score in scores])
    if table.empty:
        raise UsageError(f"no score {', '.join(scores)} in the table: it holds {', '.join(held)}")
    drawn = list(methods or table["method"].drop_duplicates())
    table = table.assign(row=_row_names(table))
    rows = list(table["row"].drop_duplicates())
    panels = {row: _thresholds(table[table["row"] == row]) for row in rows}
    columns = max(len(thresholds) for thresholds in panels.values())
    figure = Figure(
        figsize=(_PANEL[0] * columns + 0.3, _PANEL[1] * len(rows) + 0.9),
        dpi=look.DPI,
        layout="constrained",
    )
    grid = figure.subplots(len(rows), columns, squeeze=False)
    for name, line in zip(rows, grid, strict=True):
        for axes in line[len(panels[name]) :]:
            axes.set_visible(False)
        for axes, threshold in zip(line, panels[name], strict=False):
            chosen = table[(table["row"] == name) & _at(table, threshold)]
            _draw_panel(axes, chosen, name=name, methods=drawn)
            if not np.isnan(threshold):
                axes.set_title(f"rain ≥ {threshold:g} mm h⁻¹", fontsize=8.5, color=look.QUIET)
    handles, labels = grid[0, 0].get_legend_handles_labels()
    figure.legend(
        handles,
        labels,
        loc="outside lower center",
        ncols=min(len(drawn), 4),
        frameon=False,
        fontsize=8.5,
    )
    figure.suptitle(title, fontsize=12, weight="bold", color=look.INK)
    with written_beside(path) as beside:
        figure.savefig(beside, format=path.suffix[1:])
    return path


def _draw_panel(axes: Axes, chosen: pd.DataFrame, *, name: str, methods: Sequence[str]) -> None:
    for number, method in enumerate(methods):
        curve = chosen[chosen["method"] == method].groupby("lead_minutes")["value"].mean()
        axes.plot(
            curve.index.to_numpy(float),
            curve.to_numpy(float),
            label=method,
            color=_COLOURS[number % len(_COLOURS)],
            marker=_MARKERS[number % len(_MARKERS)],
            linestyle="-" if number < len(_COLOURS) else "--",
            markersize=3.5,
            linewidth=1.4,
        )
    kind = str(chosen["score"].iloc[0]).lower()
    if kind in _BOUNDED:
        axes.set_ylim(0, 1)
    elif kind in _BEST:
        axes.axhline(_BEST[kind], color=look.GRATICULE, linewidth=0.8)
    else:
        axes.set_ylim(bottom=min(0.0, axes.get_ylim()[0]))
    axes.set_xlim(left=0)
    axes.set_xlabel("lead time (min)", fontsize=8)
    axes.set_ylabel(name, fontsize=8.5)
    axes.tick_params(labelsize=7.5)
    axes.grid(color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def _row_names(table: pd.DataFrame) -> list[str]:
    """The score of each row as an axis names it, with its scale where it has one."""
    scales = table["scale_cells"] if "scale_cells" in table.columns else [None] * len(table)
    return [
        _name(str(score)) + (f", {scale} cells" if pd.notna(scale) else "")
        for score, scale in zip(table["score"], scales, strict=True)
    ]


def _name(score: str) -> str:
    unit = " (mm h⁻¹)" if score in _IN_MM_H else ""
    return (score.upper() if len(score) <= 4 else score.replace("_", " ")) + unit


def _thresholds(table: pd.DataFrame) -> list[float]:
    """The thresholds, ascending; NaN where there is none."""
    return [float(value) for value in np.unique(table["threshold_mm_h"].to_numpy(float))]


def _at(table: pd.DataFrame, threshold: float) -> pd.Series[bool]:
    column = table["threshold_mm_h"]
    return column.isna() if np.isnan(threshold) else column == threshold
