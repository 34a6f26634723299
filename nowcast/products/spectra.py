"""Charts of power spectra: what variance a forecast keeps at which scale."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from nowcast.products import charts
from nowcast.products import style as look

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd
    from matplotlib.axes import Axes

_COLUMNS = ("method", "lead_minutes", "wavelength_km", "power", "pixels", "cycles")
OBSERVED = "observed"
_WIDTH = 3.0  # inches
_OBSERVED_LINE: dict[str, Any] = {"color": look.INK, "linewidth": 2.2, "alpha": 0.75}
# Five markers a decade: rings of short waves lie too close for one each.
_MARKED = np.arange(-1.0, 4.0, 0.2)


def draw_spectra(table: pd.DataFrame, *, path: Path) -> Path:
    """Draw spectra of ``verify.spectrum.mean_spectra``: a column a lead, a line a method.

    Above is the power (dB2) by wavelength, below it that of a forecast as a part of the observed.
    PNG or SVG by the suffix of ``path``. Raises UsageError for a table that is empty or lacks a
    column, ProductError where ``path`` cannot be written.
    """
    from matplotlib.figure import Figure  # noqa: PLC0415

    charts.require_columns(table, _COLUMNS, what="a table of spectra")
    charts.require_kind(path)
    leads = [float(lead) for lead in np.unique(table["lead_minutes"])]
    methods = [name for name in table["method"].drop_duplicates() if name != OBSERVED]
    figure = Figure(figsize=(_WIDTH * len(leads) + 0.5, 5.4), dpi=look.DPI, layout="constrained")
    grid = figure.subplots(
        2, len(leads), squeeze=False, sharex=True, sharey="row", height_ratios=(2, 1)
    )
    for lead, (above, below) in zip(leads, grid.T, strict=True):
        chosen = table[table["lead_minutes"] == lead]
        _draw_lead(above, below, chosen, lines=charts.lines_of(methods))
        pixels = charts.counted([chosen["pixels"].mean()])
        above.set_title(f"+{lead:g} min   {pixels}", fontsize=8.5, color=look.QUIET)
    grid[0, 0].set_ylabel("power of the rain rate (dB²)", fontsize=8)
    grid[1, 0].set_ylabel("forecast / observed", fontsize=8)
    note = (
        f"{int(table['cycles'].max())} forecasts of each method, on the cells that all have a "
        "value for, faded out towards the edge; rain rates in dB, -15 dB where below 0.1 mm h⁻¹"
    )
    charts.put_legend(figure, grid[0, 0], note=note)
    charts.put_title(figure, "Power by wavelength, forecast and observed")
    return charts.save(figure, path)


def _draw_lead(
    above: Axes, below: Axes, chosen: pd.DataFrame, *, lines: dict[str, charts.Line]
) -> None:
    truth = chosen[chosen["method"] == OBSERVED]
    wavelength, observed = (truth[name].to_numpy(float) for name in ("wavelength_km", "power"))
    marked = np.unique(np.abs(np.log10(wavelength)[:, None] - _MARKED).argmin(axis=0))
    above.loglog(wavelength, observed, label=OBSERVED, **_OBSERVED_LINE)
    for method, line in lines.items():
        power = chosen.loc[chosen["method"] == method, "power"].to_numpy(float)
        settings = line.settings() | {"markevery": marked.tolist()}
        above.plot(wavelength, power, label=method, **settings)
        with np.errstate(divide="ignore", invalid="ignore"):
            below.plot(wavelength, power / observed, **settings)
    below.axhline(1.0, **_OBSERVED_LINE)
    below.set_yscale("log")
    below.set(ylim=(0.04, 4), yticks=(0.05, 0.1, 0.2, 0.5, 1, 2))
    below.yaxis.set_major_formatter("{x:g}")
    below.minorticks_off()
    below.set_xlabel("wavelength (km)", fontsize=8)
    above.set_xlim(wavelength.max(), wavelength.min())
    for axes in (above, below):
        axes.xaxis.set_major_formatter("{x:g}")
        charts.quieten(axes)
