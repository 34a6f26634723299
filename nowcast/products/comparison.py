"""Forecasts beside what was observed: a row a method, a column a lead time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from nowcast.field.atomic import written_beside
from nowcast.field.errors import GridMismatchError, UsageError
from nowcast.field.schema import grid_of
from nowcast.products import style as look
from nowcast.products.captions import duration, is_simulated, issued_at, source_line, utc
from nowcast.products.map_data import find_map_data
from nowcast.products.style import MapStyle

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from cartopy.mpl.geoaxes import GeoAxes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from nowcast.field.grid import Grid
    from nowcast.field.schema import Forecast, Frames, Radar
    from nowcast.products.basemap import Basemap

_MINUTE = np.timedelta64(1, "m")
_LEFT, _RIGHT, _TOP, _BOTTOM, _GAP = 34, 84, 88, 44, 8
# Pixels of a picture for each pixel of a panel: a drawing can be enlarged.
_FINENESS = {".png": 1, ".svg": 2}


@dataclass(frozen=True)
class _Panel:
    """One map of a comparison; ``rate`` is None where there was no frame."""

    row: int
    column: int
    rate: NDArray[np.float32] | None
    colour: str


def draw_comparison(
    forecasts: Sequence[Forecast],
    observed: Frames | Radar,
    *,
    leads_minutes: Sequence[float],
    path: Path,
    style: MapStyle | None = None,
) -> Path:
    """Draw the observation on top and a forecast a row below it, one column a lead time.

    The kind of picture is that of the suffix of ``path``: ``.png`` or ``.svg``. Raises UsageError
    for other suffixes, for leads that a forecast does not hold and for forecasts of several issue
    times, GridMismatchError for several grids, ProductError where ``path`` cannot be written.
    """
    fineness = _FINENESS.get(path.suffix)
    if fineness is None:
        raise UsageError(f"{path}: pictures of kind {path.suffix!r}, expected .png or .svg")
    _check(forecasts, observed)
    issued = issued_at(forecasts[0])
    leads = [np.timedelta64(round(minutes * 60), "s") for minutes in leads_minutes]
    panels = [
        _Panel(0, column, _frame_at(observed, issued + lead), look.OBSERVED)
        for column, lead in enumerate(leads)
    ]
    for row, forecast in enumerate(forecasts, start=1):
        for column, lead in enumerate(leads):
            panels.append(_Panel(row, column, _lead_of(forecast, lead), look.FORECAST))
    names = ["observed", *(_short(forecast) for forecast in forecasts)]
    sheet = _Sheet.of(grid_of(observed), style or MapStyle(), rows=len(names), columns=len(leads))
    figure = sheet.figure()
    for panel in panels:
        sheet.draw(figure, panel, fineness=fineness)
    for row, name in enumerate(names):
        sheet.name_row(figure, row, name)
    for column, lead in enumerate(leads):
        sheet.name_column(figure, column, f"{duration(lead, sign='+')}   {_clock(issued + lead)}")
    sheet.surround(figure, issued=issued, attrs=dict(forecasts[0].attrs))
    _save(figure, path)
    return path


@dataclass(frozen=True)
class _Sheet:
    """Where the panels stand, in pixels, and what they share."""

    grid: Grid
    style: MapStyle
    basemap: Basemap
    width: int
    height: int
    rows: int
    columns: int

    @classmethod
    def of(cls, grid: Grid, style: MapStyle, *, rows: int, columns: int) -> _Sheet:
        from nowcast.products.axes import aspect  # noqa: PLC0415 - loads cartopy
        from nowcast.products.basemap import basemap_of  # noqa: PLC0415

        side = min(max(round(style.longest_side * 0.4), 120), 320)
        ratio = aspect(grid)
        width, height = (side, round(side * ratio)) if ratio <= 1 else (round(side / ratio), side)
        basemap = basemap_of(
            grid,
            data=style.map_data or find_map_data(),
            pixel=grid.dx * grid.width / width,
        )
        return cls(grid, style, basemap, max(width, 40), max(height, 40), rows, columns)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the whole picture in pixels."""
        across = self.columns * (self.width + _GAP)
        down = self.rows * (self.height + _GAP)
        return max(_LEFT + across + _RIGHT, 430), _TOP + max(down, 200) + _BOTTOM

    def figure(self) -> Figure:
        """An empty picture."""
        from matplotlib.figure import Figure  # noqa: PLC0415

        width, height = self.size
        return Figure(figsize=(width / look.DPI, height / look.DPI), dpi=look.DPI)

    def corner(self, row: int, column: int) -> tuple[int, int]:
        """Column and row of the upper left pixel of a panel."""
        return _LEFT + column * (self.width + _GAP), _TOP + row * (self.height + _GAP)

    def draw(self, figure: Figure, panel: _Panel, *, fineness: int) -> None:
        """Draw one panel."""
        from nowcast.products import axes as maps  # noqa: PLC0415
        from nowcast.products.pixels import coverage_edge, paint  # noqa: PLC0415

        left, top = self.corner(panel.row, panel.column)
        axes = maps.add_map_axes(
            figure, self._box(left, top, self.width, self.height), grid=self.grid
        )
        maps.draw_ground(axes, self.basemap, rivers=False)
        shape = self.height * fineness, self.width * fineness
        shown = np.full(self.grid.shape, np.nan, np.float32) if panel.rate is None else panel.rate
        edge = coverage_edge(np.isfinite(shown), shape)
        picture = paint(shown, scale=self.style.scale, shape=shape, edge=edge)
        _lay(axes, picture, self.grid)
        maps.draw_lines(axes, self.basemap)
        maps.draw_graticule(axes, labels=False)
        axes.spines["geo"].set(edgecolor=panel.colour, linewidth=1.4, zorder=maps.ABOVE + 1)
        if panel.rate is None:
            axes.text(
                *(0.5, 0.5, "no frame"),
                transform=axes.transAxes,
                ha="center",
                fontsize=8.5,
                color=look.INK,
                bbox={"facecolor": "white", "linewidth": 0, "pad": 2},
            )

    def name_row(self, figure: Figure, row: int, name: str) -> None:
        """Write whose row it is along its left side."""
        top = self.corner(row, 0)[1]
        figure.text(
            *self._at(20, top + self.height / 2),
            name if len(name) < 30 else name[:28] + "…",
            rotation=90,
            ha="center",
            va="center",
            fontsize=9,
            weight="bold",
            color=look.OBSERVED if row == 0 else look.FORECAST,
        )

    def name_column(self, figure: Figure, column: int, name: str) -> None:
        """Write lead and valid time above a column."""
        left = self.corner(0, column)[0]
        figure.text(
            *self._at(left + self.width / 2, _TOP - 7),
            name,
            ha="center",
            fontsize=8,
            color=look.INK,
        )

    def surround(self, figure: Figure, *, issued: np.datetime64, attrs: dict[str, Any]) -> None:
        """Title, colour scale, and whose data it is."""
        from nowcast.products.layout import draw_scale  # noqa: PLC0415

        simulated = "SIMULATED STORM: " if is_simulated(attrs) else ""
        title = f"{simulated}rain rate, forecast and observed"
        figure.text(*self._at(12, 26), title[0].upper() + title[1:], fontsize=12.5, weight="bold")
        figure.text(*self._at(12, 48), f"issued {utc(issued, weekday=True)}", fontsize=9.5)
        _, height = self.size
        left = _LEFT + self.columns * (self.width + _GAP) + 12
        axes = figure.add_axes(
            self._box(left, _TOP + 20, 14, min(height - _TOP - _BOTTOM - 40, 380))
        )
        draw_scale(figure, axes, self.style.scale)
        figure.text(*self._at(left - 2, _TOP + 8), self.style.scale.unit, fontsize=8.5)
        drawn = ("coastlines", "borders", "lakes", "land")
        notes = [source_line(attrs), self.basemap.credit_line(*drawn)]
        if missing := self.basemap.missing(*drawn):
            notes[1] = "No map data on this machine for: " + ", ".join(missing)
        for row, words in enumerate(notes):
            place = self._at(12, height - 22 + 13 * row)
            figure.text(*place, words, fontsize=6.8, color=look.QUIET)

    def _box(
        self, left: float, top: float, width: float, height: float
    ) -> tuple[float, float, float, float]:
        whole, high = self.size
        return left / whole, (high - top - height) / high, width / whole, height / high

    def _at(self, column: float, row: float) -> tuple[float, float]:
        width, height = self.size
        return column / width, 1 - row / height


def _lay(axes: GeoAxes, picture: NDArray[np.uint8], grid: Grid) -> None:
    """A picture over the whole map; matplotlib's own imshow, as cartopy's would project it."""
    from matplotlib.axes import Axes  # noqa: PLC0415

    from nowcast.products.axes import FIELD  # noqa: PLC0415

    Axes.imshow(
        axes, picture, extent=grid.extent, aspect="auto", interpolation="nearest", zorder=FIELD
    )


def _check(forecasts: Sequence[Forecast], observed: Frames | Radar) -> None:
    if not forecasts:
        raise UsageError("no forecast to compare with the observation")
    grid = grid_of(observed)
    for forecast in forecasts:
        source = forecast.attrs["source"]
        if not grid_of(forecast).same_as(grid):
            raise GridMismatchError(
                f"forecast by {source} on {grid_of(forecast)}, expected that of the observation: "
                f"{grid}"
            )
        if issued_at(forecast) != issued_at(forecasts[0]):
            raise UsageError(
                f"forecast by {source} issued {utc(issued_at(forecast))}, expected "
                f"{utc(issued_at(forecasts[0]))}: compare forecasts of one issue time"
            )


def _frame_at(observed: Frames | Radar, time: np.datetime64) -> NDArray[np.float32] | None:
    found = np.flatnonzero(observed["time"].values == time)
    return observed["rainfall_rate"].values[found[0]] if found.size else None


def _lead_of(forecast: Forecast, lead: np.timedelta64) -> NDArray[np.float32]:
    leads = forecast["lead_time"].values
    found = np.flatnonzero(leads == lead)
    if found.size == 0:
        held = ", ".join(f"{float(span / _MINUTE):g}" for span in leads)
        raise UsageError(
            f"lead {float(lead / _MINUTE):g} min is not in the forecast by "
            f"{forecast.attrs['source']}: it holds {held} min"
        )
    return np.asarray(forecast["rainfall_rate"].values[found[0]])


def _short(forecast: Forecast) -> str:
    """The method, without what it is made of."""
    return str(forecast.attrs["source"]).split(":")[0].strip()


def _clock(time: np.datetime64) -> str:
    return f"{time.astype('datetime64[s]').item():%H:%M} UTC"


def _save(figure: Figure, path: Path) -> None:
    import matplotlib as mpl  # noqa: PLC0415

    kind = path.suffix[1:]
    # Without these two an SVG would differ from run to run.
    metadata = {"Date": None} if kind == "svg" else {}
    with written_beside(path) as beside, mpl.rc_context({"svg.hashsalt": "nowcast"}):
        figure.savefig(beside, format=kind, dpi=look.DPI, metadata=metadata)
