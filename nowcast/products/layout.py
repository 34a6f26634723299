"""Where things stand on a map sheet, and its words and legend."""

from __future__ import annotations

from dataclasses import dataclass
from textwrap import wrap
from typing import TYPE_CHECKING, Any

from matplotlib.cm import ScalarMappable
from matplotlib.colors import BoundaryNorm, ListedColormap
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.text import Text

from nowcast.products import style as look
from nowcast.products.axes import aspect
from nowcast.products.pixels import COVERAGE_EDGE, HATCH_GROUND, HATCH_STRIPE

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from nowcast.field.grid import Grid
    from nowcast.products.captions import Caption
    from nowcast.products.colours import ColourScale

Box = tuple[float, float, float, float]

_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 104, 84, 64
_NARROWEST = 330
_MARGIN = 12


@dataclass(frozen=True)
class Layout:
    """Where things stand on a sheet, in pixels from its upper left corner."""

    map_width: int
    map_height: int
    width: int
    height: int

    @property
    def map_corner(self) -> tuple[int, int]:
        """Column and row of the map's upper left pixel."""
        return _LEFT, _TOP

    def box(self, left: float, top: float, width: float, height: float) -> Box:
        """A rectangle of pixels as parts of the figure: left, bottom, width, height."""
        bottom = self.height - top - height
        return (
            left / self.width,
            bottom / self.height,
            width / self.width,
            height / self.height,
        )

    def at(self, column: float, row: float) -> tuple[float, float]:
        """A pixel as parts of the figure: from the left, from below."""
        return column / self.width, 1.0 - row / self.height


def layout_of(grid: Grid, *, longest_side: int) -> Layout:
    """The layout of a sheet whose map measures ``longest_side`` pixels along its longer side."""
    ratio = aspect(grid)
    wide = longest_side if ratio <= 1 else max(round(longest_side / ratio), 16)
    high = longest_side if ratio > 1 else max(round(longest_side * ratio), 16)
    # Even numbers throughout: H.264 wants them.
    width = _LEFT + max(wide, _NARROWEST) + _RIGHT
    height = _TOP + high + _BOTTOM
    return Layout(
        map_width=wide, map_height=high, width=width + width % 2, height=height + height % 2
    )


def draw_legend(figure: Figure, layout: Layout, scale: ColourScale) -> None:
    """The colour scale right of the map, and below it what hatching and lines mean."""
    left = layout.map_corner[0] + layout.map_width + 16
    top = layout.map_corner[1] + 26
    high = max(min(layout.map_height - 110, 420), 60)
    column, row = layout.at(left - 2, top - 11)
    figure.text(column, row, scale.unit, fontsize=8.5, color=look.INK, va="baseline")
    axes = figure.add_axes(layout.box(left, top, 16, high))
    draw_scale(figure, axes, scale)
    row_of_key = top + high + 34
    _key(figure, layout, (left, row_of_key), "not seen\n(not dry)")
    swatch = Rectangle(
        layout.at(left, row_of_key),
        16 / layout.width,
        14 / layout.height,
        linewidth=0,
        facecolor=_shade(HATCH_GROUND),
        edgecolor=_shade(HATCH_STRIPE),
        hatch="/////",
        transform=figure.transFigure,
    )
    figure.add_artist(swatch)
    row_of_key += 32
    _key(figure, layout, (left, row_of_key), "edge of radar\ncoverage")
    ends = [layout.at(left + across, row_of_key - 7) for across in (0, 16)]
    x, y = zip(*ends, strict=True)
    edge = _shade(COVERAGE_EDGE)
    figure.add_artist(Line2D(x, y, linewidth=1, color=edge, transform=figure.transFigure))


def _key(figure: Figure, layout: Layout, at: tuple[float, float], words: str) -> None:
    """What a sign of the legend at the pixel ``at`` means."""
    x, y = layout.at(at[0] + 22, at[1] - 7)
    figure.text(x, y, words, fontsize=6.8, color=look.QUIET, va="center", linespacing=1.1)


def draw_scale(figure: Figure, axes: Axes, scale: ColourScale, *, horizontal: bool = False) -> None:
    """The classes of a colour scale, equally wide, the last one open."""
    count = len(scale.levels)
    colours = ListedColormap(list(scale.colours))
    bar = figure.colorbar(
        ScalarMappable(norm=BoundaryNorm([*range(count), count], count), cmap=colours),
        cax=axes,
        orientation="horizontal" if horizontal else "vertical",
        ticks=range(count),
        spacing="uniform",
    )
    bar.set_ticklabels(list(scale.labels))
    bar.minorticks_off()
    bar.ax.tick_params(length=2.5, pad=2, labelsize=7.8, colors=look.INK)
    bar.outline.set(linewidth=0.5, edgecolor=look.QUIET)


def caption_artists(figure: Figure, layout: Layout, caption: Caption) -> list[Artist]:
    """The words of one map, and its frame, ready to be drawn."""
    frame = Rectangle(
        layout.at(layout.map_corner[0] - 1, layout.map_corner[1] + layout.map_height + 1),
        (layout.map_width + 2) / layout.width,
        (layout.map_height + 2) / layout.height,
        fill=False,
        edgecolor=caption.colour,
        linewidth=1.8,
        transform=figure.transFigure,
        figure=figure,
    )
    artists: list[Artist] = [frame]
    right = layout.width - _MARGIN
    whole = right - _MARGIN
    artists += [
        _text(figure, layout, (_MARGIN, 26), caption.title, size=13, weight="bold"),
        _text(figure, layout, (_MARGIN, 49), caption.valid, size=11),
        _fitted(figure, layout, (_MARGIN, 70), caption.details, widest=whole, size=8.5),
        _text(
            figure,
            layout,
            (right, 28),
            caption.badge,
            size=16,
            weight="bold",
            color=caption.colour,
            ha="right",
        ),
        _text(
            figure, layout, (right, 49), caption.age, size=8.5, color=caption.age_colour, ha="right"
        ),
        _fitted(
            figure,
            layout,
            (_MARGIN, layout.height - 22),
            caption.source,
            widest=whole,
            size=6.8,
        ),
    ]
    return artists + _banner_artists(figure, layout, caption)


def _banner_artists(figure: Figure, layout: Layout, caption: Caption) -> list[Artist]:
    artists: list[Artist] = []
    column, top = layout.map_corner
    for banner in caption.banners:
        lines = wrap(banner.text, max(layout.map_width // 8, 12))
        high = 8 + 15 * len(lines)
        artists.append(
            Rectangle(
                layout.at(column, top + high),
                layout.map_width / layout.width,
                high / layout.height,
                facecolor=banner.ground,
                linewidth=0,
                transform=figure.transFigure,
                figure=figure,
            )
        )
        for number, line in enumerate(lines):
            place = (column + 8, top + 16 + 15 * number)
            artists.append(_text(figure, layout, place, line, size=8.5, weight="bold"))
        top += high
    return artists


def _fitted(
    figure: Figure,
    layout: Layout,
    at: tuple[float, float],
    words: str,
    *,
    widest: float,
    size: float,
) -> Text:
    """Quiet words, made smaller or cut short where they would be wider than ``widest`` pixels."""
    text = _text(figure, layout, at, words, size=size, color=look.QUIET)
    canvas: Any = figure.canvas
    renderer = canvas.get_renderer()
    wide = text.get_window_extent(renderer).width
    if wide > widest:
        smaller = max(size * widest / wide, 6.0)
        text.set_fontsize(smaller)
        fitting = int(len(words) * widest / wide * size / smaller)
        if fitting < len(words):
            text.set_text(words[: fitting - 1] + "…")
    return text


def _text(
    figure: Figure, layout: Layout, at: tuple[float, float], words: str, **settings: Any
) -> Text:
    """Words on the sheet, not yet part of the figure."""
    x, y = layout.at(*at)
    settings = {"color": look.INK, "va": "baseline", **settings}
    return Text(x, y, words, figure=figure, transform=figure.transFigure, **settings)


def _shade(rgba: tuple[int, int, int, int]) -> Box:
    red, green, blue, alpha = rgba
    return red / 255, green / 255, blue / 255, alpha / 255
