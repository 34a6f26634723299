"""How far to believe a probability: reliability diagrams and ROC curves.

Both are read off the same table (``reliability.csv``, ``verify.table.reliability_table``): a row of
panels a lead, a panel a threshold, a line a method. A method without probabilities says 0 or 1: two
points of the reliability diagram, one of the ROC curve.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nowcast.field.errors import UsageError
from nowcast.products import charts
from nowcast.products import style as look

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure
    from numpy.typing import NDArray

    DrawPanel = Callable[[SubFigure, pd.DataFrame, dict[str, charts.Line], str], Axes]

_COLUMNS = (
    *("method", "lead_minutes", "threshold_mm_h", "cut", "n"),
    *("mean_probability", "observed_frequency", "pod", "pofd"),
)
# What so few pixels did tells nothing: the bin is left out.
FEWEST = 100
_SKILL = "#eef3e6"
_WIDTH = 2.7  # inches


def draw_reliability(
    table: pd.DataFrame,
    *,
    path: Path,
    leads_minutes: Sequence[float] | None = None,
    thresholds_mm_h: Sequence[float] | None = None,
) -> Path:
    """Draw how often it happened against how likely it was said to be.

    Below each panel stands how often each probability was said. Dashed is how often it happened on
    the whole, shaded where a probability is better than that. Bins of fewer than 100 pixels are
    left out. Without ``leads_minutes`` at most four leads, without ``thresholds_mm_h`` all that
    occurred are drawn. PNG or SVG by the suffix of ``path``. Raises UsageError, ProductError.
    """
    figure = _draw(table, _reliability_panel, leads_minutes, thresholds_mm_h, height=3.1)
    note = (
        "dashed: how often it happened; shaded: better than saying that always; "
        f"bins of fewer than {FEWEST} pixels are left out"
    )
    return _finish(figure, "Reliability of the probabilities", note=note, path=path)


def draw_roc(
    table: pd.DataFrame,
    *,
    path: Path,
    leads_minutes: Sequence[float] | None = None,
    thresholds_mm_h: Sequence[float] | None = None,
) -> Path:
    """Draw hits against false alarms as the probability is cut ever lower, and the area below.

    Arguments and errors are those of draw_reliability.
    """
    figure = _draw(table, _roc_panel, leads_minutes, thresholds_mm_h, height=2.9)
    note = "numbers: area under the curve; 1 is perfect, 0.5 (dashed) is chance"
    return _finish(figure, "ROC: hits against false alarms", note=note, path=path)


def roc_area(pofd: NDArray[np.float64], pod: NDArray[np.float64]) -> float:
    """The area under a ROC curve from (1, 1) to (0, 0), by trapezia."""
    return float(((pofd[:-1] - pofd[1:]) * (pod[:-1] + pod[1:]) / 2).sum())


def _draw(
    table: pd.DataFrame,
    draw_panel: DrawPanel,
    leads_minutes: Sequence[float] | None,
    thresholds_mm_h: Sequence[float] | None,
    *,
    height: float,
) -> Figure:
    """The figure of all panels, ``height`` inches each."""
    from matplotlib.figure import Figure  # noqa: PLC0415

    charts.require_columns(table, _COLUMNS, what="a table of reliability")
    leads = _held(table, "lead_minutes", leads_minutes or charts.some_leads(table["lead_minutes"]))
    thresholds = _held(table, "threshold_mm_h", thresholds_mm_h or _occurred(table))
    lines = charts.lines_of(list(table["method"].drop_duplicates()))
    figure = Figure(
        figsize=(_WIDTH * len(thresholds) + 0.3, height * len(leads) + 0.9),
        dpi=look.DPI,
        layout="constrained",
    )
    parts = figure.subfigures(len(leads), len(thresholds), squeeze=False)
    for lead, row in zip(leads, parts, strict=True):
        for threshold, part in zip(thresholds, row, strict=True):
            at_lead = np.isclose(table["lead_minutes"], lead)
            chosen = table[at_lead & np.isclose(table["threshold_mm_h"], threshold)]
            title = f"rain ≥ {threshold:g} mm h⁻¹, +{lead:g} min\n{_sample(chosen)}"
            draw_panel(part, chosen, lines, title)
    return figure


def _reliability_panel(
    part: SubFigure, chosen: pd.DataFrame, lines: dict[str, charts.Line], title: str
) -> Axes:
    axes: Axes
    axes, below = part.subplots(2, 1, sharex=True, height_ratios=(3.2, 1))
    rate = _base_rate(chosen)
    _shade_skill(axes, rate)
    axes.plot([0, 1], [0, 1], color=look.GRATICULE, linewidth=0.8)
    for method, line in lines.items():
        bins = chosen[(chosen["method"] == method) & (chosen["n"] >= FEWEST)]
        said, happened = (bins[name] for name in ("mean_probability", "observed_frequency"))
        axes.plot(said, happened, label=method, **line.settings())
        below.plot(said, bins["n"], **line.settings() | {"linewidth": 0.9, "markersize": 2.5})
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    axes.set_ylabel("observed frequency", fontsize=8)
    below.set_yscale("log")
    below.set_ylim(bottom=FEWEST)
    below.set_ylabel("pixels", fontsize=8)
    below.set_xlabel("probability said", fontsize=8)
    _finish_panel(axes, title)
    charts.quieten(below)
    return axes


def _roc_panel(
    part: SubFigure, chosen: pd.DataFrame, lines: dict[str, charts.Line], title: str
) -> Axes:
    axes: Axes = part.subplots()
    axes.plot([0, 1], [0, 1], color=look.GRATICULE, linewidth=0.8, linestyle="--")
    for number, (method, line) in enumerate(lines.items()):
        cuts = chosen[chosen["method"] == method].sort_values("cut")
        pofd, pod = (np.append(cuts[name].to_numpy(float), 0.0) for name in ("pofd", "pod"))
        axes.plot(pofd, pod, label=method, **line.settings())
        area = roc_area(pofd, pod)
        place = (0.97, 0.05 + 0.085 * (len(lines) - 1 - number))
        words = f"{method} {area:.3f}" if np.isfinite(area) else f"{method} -"
        axes.text(
            *place, words, transform=axes.transAxes, ha="right", fontsize=7.5, color=line.colour
        )
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    axes.set_xlabel("false alarms among what did not happen", fontsize=8)
    axes.set_ylabel("hits among what happened", fontsize=8)
    _finish_panel(axes, title)
    return axes


def _shade_skill(axes: Axes, rate: float) -> None:
    """Where a probability is nearer to what happened than the base rate is."""
    if not np.isfinite(rate):
        return
    said = np.array([0.0, rate, rate, 1.0])
    halfway = (said + rate) / 2
    edge = np.array([0.0, 0.0, 1.0, 1.0])
    axes.fill_between(said[:2], halfway[:2], edge[:2], color=_SKILL, linewidth=0)
    axes.fill_between(said[2:], halfway[2:], edge[2:], color=_SKILL, linewidth=0)
    axes.axhline(rate, color=look.QUIET, linewidth=0.8, linestyle="--")


def _finish_panel(axes: Axes, title: str) -> None:
    axes.set_title(title, fontsize=8, color=look.QUIET)
    charts.quieten(axes)


def _finish(figure: Figure, title: str, *, note: str, path: Path) -> Path:
    charts.put_legend(figure, figure.axes[0], note=note)
    charts.put_title(figure, title)
    return charts.save(figure, path)


def _held(table: pd.DataFrame, column: str, wanted: Sequence[float]) -> list[float]:
    """The wanted values of a column; raises UsageError for one that it does not hold."""
    held = np.unique(table[column].to_numpy(float))
    for value in wanted:
        if not np.isclose(held, value).any():
            found = ", ".join(f"{each:g}" for each in held)
            raise UsageError(f"no {column} {value:g} in the table: it holds {found}")
    return list(wanted)


def _occurred(table: pd.DataFrame) -> list[float]:
    """The thresholds that were reached anywhere, or all where none was."""
    happened = (table["n"] * table["observed_frequency"]).groupby(table["threshold_mm_h"]).sum()
    return [
        float(value) for value in (happened[happened > 0] if happened.any() else happened).index
    ]


def _base_rate(chosen: pd.DataFrame) -> float:
    """How often it happened among all pixels, whatever was said; NaN without any."""
    first = chosen[chosen["method"] == chosen["method"].iloc[0]]
    total = first["n"].sum()
    return float((first["n"] * first["observed_frequency"]).sum() / total) if total else np.nan


def _sample(chosen: pd.DataFrame) -> str:
    """How many pixels count, and in how many of them it happened."""
    first = chosen[chosen["method"] == chosen["method"].iloc[0]]
    happened = (first["n"] * first["observed_frequency"]).sum()
    return f"{charts.counted([first['n'].sum()])}, {charts.number(happened)} with such rain"
