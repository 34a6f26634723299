"""Many small maps of one grid on a sheet: rows and columns, one colour scale, one caption."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nowcast.products import style as look
from nowcast.products.captions import is_simulated, source_line
from nowcast.products.map_data import find_map_data

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from typing import Any

    from cartopy.mpl.geoaxes import GeoAxes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from nowcast.field.grid import Grid
    from nowcast.products.basemap import Basemap
    from nowcast.products.style import MapStyle

# Where the panels stand in the picture, in pixels.
_LEFT, _RIGHT, _TOP, _BOTTOM, _GAP = 34, 84, 88, 44, 8
# Pixels of a picture for each pixel of a panel: a drawing can be enlarged.
_FINENESS = {".png": 1, ".svg": 2}
_OUTLINE = (*bytes.fromhex(look.HAPPENED[1:]), 255)


@dataclass(frozen=True)
class Panel:
    """One map.

    Attributes:
        row, column: where it stands.
        values: the field (y, x), NaN unseen; None where there is none.
        colour: of its frame.
        outlined: cells (y, x) that a line is drawn around.

    """

    row: int
    column: int
    values: NDArray[np.float32] | None
    colour: str
    outlined: NDArray[np.bool_] | None = None


@dataclass(frozen=True)
class Words:
    """What stands around the panels.

    Attributes:
        title, subtitle: above them; a simulated storm is called one before all else.
        rows: the name of each row, and its colour.
        columns: the name of each column.
        attrs: of the dataset shown: whose data it is, and whether they were made up.
        note: below them.

    """

    title: str
    subtitle: str
    rows: Sequence[tuple[str, str]]
    columns: Sequence[str]
    attrs: Mapping[str, Any]
    note: str = ""


def draw_panels(
    panels: Sequence[Panel], words: Words, *, grid: Grid, style: MapStyle, fineness: int = 1
) -> Figure:
    """The picture of all panels, ready to be saved.

    ``fineness`` is how many pixels of the field are drawn for each of a panel.
    """
    sheet = _Sheet.of(grid, style, rows=len(words.rows), columns=len(words.columns))
    figure = sheet.figure()
    for panel in panels:
        sheet.draw(figure, panel, fineness=fineness)
    for row, (name, colour) in enumerate(words.rows):
        sheet.name_row(figure, row, name, colour=colour)
    for column, name in enumerate(words.columns):
        sheet.name_column(figure, column, name)
    sheet.surround(figure, words)
    return figure


def fineness_of(path: Path) -> int:
    """How fine the fields of a picture are drawn: an SVG can be enlarged."""
    return _FINENESS.get(path.suffix, 1)


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

    def draw(self, figure: Figure, panel: Panel, *, fineness: int) -> None:
        """Draw one panel."""
        from nowcast.products import axes as maps  # noqa: PLC0415

        left, top = self.corner(panel.row, panel.column)
        axes = maps.add_map_axes(
            figure, self._box(left, top, self.width, self.height), grid=self.grid
        )
        maps.draw_ground(axes, self.basemap, rivers=False)
        _lay(axes, self._picture(panel, fineness=fineness), self.grid)
        maps.draw_lines(axes, self.basemap)
        maps.draw_graticule(axes, labels=False)
        axes.spines["geo"].set(edgecolor=panel.colour, linewidth=1.4, zorder=maps.ABOVE + 1)
        if panel.values is None:
            axes.text(
                *(0.5, 0.5, "no frame"),
                transform=axes.transAxes,
                ha="center",
                fontsize=8.5,
                color=look.INK,
                bbox={"facecolor": "white", "linewidth": 0, "pad": 2},
            )

    def name_row(self, figure: Figure, row: int, name: str, *, colour: str) -> None:
        """Write what a row shows along its left side."""
        top = self.corner(row, 0)[1]
        figure.text(
            *self._at(20, top + self.height / 2),
            name if len(name) < 30 else name[:28] + "…",
            rotation=90,
            ha="center",
            va="center",
            fontsize=9,
            weight="bold",
            color=colour,
        )

    def name_column(self, figure: Figure, column: int, name: str) -> None:
        """Write what a column shows above it."""
        left = self.corner(0, column)[0]
        place = self._at(left + self.width / 2, _TOP - 7)
        figure.text(*place, name, ha="center", fontsize=8, color=look.INK)

    def surround(self, figure: Figure, words: Words) -> None:
        """Title, colour scale, and whose data it is."""
        from nowcast.products.layout import draw_scale  # noqa: PLC0415

        title = f"SIMULATED STORM: {words.title}" if is_simulated(words.attrs) else words.title
        figure.text(*self._at(12, 26), title[0].upper() + title[1:], fontsize=12.5, weight="bold")
        figure.text(*self._at(12, 48), words.subtitle, fontsize=9.5)
        _, height = self.size
        left = _LEFT + self.columns * (self.width + _GAP) + 12
        axes = figure.add_axes(
            self._box(left, _TOP + 20, 14, min(height - _TOP - _BOTTOM - 40, 380))
        )
        draw_scale(figure, axes, self.style.scale)
        figure.text(*self._at(left - 2, _TOP + 8), self.style.scale.unit, fontsize=8.5)
        drawn = ("coastlines", "borders", "lakes", "land")
        credit = self.basemap.credit_line(*drawn)
        if missing := self.basemap.missing(*drawn):
            credit = "No map data on this machine for: " + ", ".join(missing)
        below = [note for note in (words.note, source_line(words.attrs), credit) if note]
        for row, note in enumerate(reversed(below)):
            place = self._at(12, height - 9 - 13 * row)
            figure.text(*place, note, fontsize=6.8, color=look.QUIET)

    def _picture(self, panel: Panel, *, fineness: int) -> NDArray[np.uint8]:
        """The field of a panel as pixels."""
        from nowcast.products.pixels import coverage_edge, paint  # noqa: PLC0415

        shape = self.height * fineness, self.width * fineness
        values = panel.values
        if values is None:
            values = np.full(self.grid.shape, np.nan, np.float32)
        edge = coverage_edge(np.isfinite(values), shape)
        picture = paint(values, scale=self.style.scale, shape=shape, edge=edge)
        if panel.outlined is not None:
            picture[coverage_edge(panel.outlined, shape)] = _OUTLINE
        return picture

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
