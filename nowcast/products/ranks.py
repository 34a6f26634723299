"""How well an ensemble knows its own doubt: rank histograms."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nowcast.products import charts
from nowcast.products import style as look

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import pandas as pd
    from matplotlib.axes import Axes

_COLUMNS = ("method", "lead_minutes", "rank", "n", "frequency")
_PANEL = (3.1, 2.5)  # inches


def draw_ranks(
    table: pd.DataFrame, *, path: Path, leads_minutes: Sequence[float] | None = None
) -> Path:
    """Draw how often each rank was the observation's: a row of panels a method, a panel a lead.

    ``table`` is that of ``verify.table.rank_table``. The dashed line is an honest ensemble's.
    Without ``leads_minutes`` at most four leads are drawn. PNG or SVG by the suffix of ``path``.
    Raises UsageError for a table that is empty or lacks a column, ProductError.
    """
    from matplotlib.figure import Figure  # noqa: PLC0415

    charts.require_columns(table, _COLUMNS, what="a table of ranks")
    charts.require_kind(path)
    leads = list(leads_minutes or charts.some_leads(table["lead_minutes"].to_numpy(float)))
    lines = charts.lines_of(list(table["method"].drop_duplicates()))
    figure = Figure(
        figsize=(_PANEL[0] * len(leads) + 0.3, _PANEL[1] * len(lines) + 0.9),
        dpi=look.DPI,
        layout="constrained",
    )
    grid = figure.subplots(len(lines), len(leads), squeeze=False)
    for (method, line), row in zip(lines.items(), grid, strict=True):
        of_method = table[table["method"] == method]
        for lead, axes in zip(leads, row, strict=True):
            chosen = of_method[np.isclose(of_method["lead_minutes"].to_numpy(float), lead)]
            _draw_panel(axes, chosen, method=method, line=line)
            axes.set_title(
                f"+{lead:g} min   {charts.counted([chosen['n'].sum()])}",
                fontsize=8.5,
                color=look.QUIET,
            )
    note = (
        "dashed: every rank alike, as of an honest ensemble; high at both ends: too narrow; "
        "high in the middle: too wide; high at one end: biased; where all is dry none is counted"
    )
    charts.put_legend(figure, grid[0, 0], note=note)
    charts.put_title(figure, "Rank of the observation among the members")
    return charts.save(figure, path)


def _draw_panel(axes: Axes, chosen: pd.DataFrame, *, method: str, line: charts.Line) -> None:
    from matplotlib.ticker import MaxNLocator  # noqa: PLC0415

    ranks, frequency = (chosen[name].to_numpy(float) for name in ("rank", "frequency"))
    axes.bar(ranks, np.nan_to_num(frequency), width=0.86, color=line.colour, alpha=0.75)
    if ranks.size:
        axes.axhline(
            1 / ranks.size, color=look.INK, linewidth=1.0, linestyle="--", label="every rank alike"
        )
    axes.set_xlabel("members below the observation", fontsize=8)
    axes.set_ylabel(f"{method}: part of pixels", fontsize=8)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    charts.quieten(axes)
