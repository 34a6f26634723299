"""Map axes in the projection of a grid: land, lines, places, graticule."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cartopy.crs
import matplotlib.path
import numpy as np
from cartopy.mpl.path import shapely_to_path
from matplotlib.collections import PathCollection
from matplotlib.patheffects import withStroke
from matplotlib.quiver import Quiver, QuiverKey

from nowcast.products import style as look
from nowcast.products.colours import LAND, SEA

if TYPE_CHECKING:
    from cartopy.mpl.geoaxes import GeoAxes
    from matplotlib.artist import Artist
    from matplotlib.figure import Figure
    from matplotlib.text import Annotation
    from numpy.typing import NDArray

    from nowcast.field.grid import Grid
    from nowcast.products.basemap import Basemap

# Artists below the field and above it.
BELOW, FIELD, ABOVE = 1.0, 2.0, 3.0


class GridProjection(cartopy.crs.Projection):  # type: ignore[misc]
    """The projection of a grid as cartopy draws it, its bounds those of the grid.

    Projections given by their parameters have no area of use, so cartopy knows no bounds for them.
    """

    def __init__(self, grid: Grid) -> None:
        super().__init__(grid.crs)
        self.bounds = grid.extent
        west, east, south, north = grid.extent
        self.threshold = min(east - west, north - south) / 100.0


def aspect(grid: Grid) -> float:
    """How much higher than wide the grid lies on a map."""
    dy, dx = grid.cell_metres
    return (dy * grid.height) / (dx * grid.width)


def add_map_axes(figure: Figure, box: tuple[float, float, float, float], *, grid: Grid) -> GeoAxes:
    """Axes that show exactly the grid in ``box`` (left, bottom, width, height of the figure)."""
    projection = cartopy.crs.PlateCarree() if grid.is_geographic else GridProjection(grid)
    axes = figure.add_axes(box, projection=projection)
    west, east, south, north = grid.extent
    axes.set_xlim(west, east)
    axes.set_ylim(south, north)
    axes.set_aspect("auto")
    return axes


def draw_ground(axes: GeoAxes, basemap: Basemap, *, rivers: bool) -> None:
    """What lies below the field: land, sea, lakes, rivers."""
    axes.patch.set_facecolor(look.NO_LAND if basemap.missing("land") else SEA)
    _draw(axes, basemap, "land", facecolor=LAND, edgecolor=LAND, linewidth=0.4, zorder=BELOW)
    _draw(
        axes,
        basemap,
        "lakes",
        facecolor=SEA,
        edgecolor=look.RIVER,
        linewidth=0.5,
        zorder=BELOW + 0.1,
    )
    if rivers:
        _draw(axes, basemap, "rivers", edgecolor=look.RIVER, linewidth=0.5, zorder=BELOW + 0.2)


def draw_lines(axes: GeoAxes, basemap: Basemap) -> None:
    """The lines above the field: coastlines and borders."""
    _draw(axes, basemap, "coastlines", edgecolor=look.COAST, linewidth=0.7, zorder=ABOVE)
    _draw(axes, basemap, "borders", edgecolor=look.BORDER, linewidth=0.8, zorder=ABOVE)


def _draw(axes: GeoAxes, basemap: Basemap, layer: str, **settings: Any) -> None:
    paths = [_path(geometry) for geometry in basemap.layers[layer]]
    settings = {"facecolor": "none", "transform": axes.transData, **settings}
    axes.add_collection(PathCollection(paths, **settings), autolim=False)


def _path(geometry: Any) -> matplotlib.path.Path:
    parts = getattr(geometry, "geoms", [geometry])
    drawn = [shapely_to_path(part) for part in parts if part.geom_type != "Point"]
    return matplotlib.path.Path.make_compound_path(*drawn)


def draw_graticule(axes: GeoAxes, *, labels: bool) -> None:
    """Meridians and parallels above the field, labelled at the left and below."""
    lines = axes.gridlines(
        draw_labels=["left", "bottom"] if labels else False,
        color=look.GRATICULE,
        linewidth=0.5,
        linestyle=(0, (4, 3)),
        zorder=ABOVE + 0.1,
    )
    text = {"size": 7.5, "color": look.QUIET}
    lines.xlabel_style, lines.ylabel_style = text, text | {"rotation": 0}
    lines.rotate_labels = False


def draw_places(axes: GeoAxes, basemap: Basemap, *, at_most: int) -> list[Artist]:
    """Dots and names of the largest places that leave each other room; what was drawn."""
    renderer = axes.get_figure().canvas.get_renderer()
    frame = axes.get_window_extent(renderer)
    taken: list[Any] = []
    drawn: list[Artist] = []
    for place, x, y in basemap.places:
        if len(taken) >= at_most:
            break
        column, row = axes.transData.transform((x, y))
        if not (frame.x0 + 6 < column < frame.x1 - 6 and frame.y0 + 8 < row < frame.y1 - 8):
            continue
        if any(np.hypot(column - a, row - b) < 44 for a, b, _ in taken):
            continue
        label = _name(axes, place.name, (x, y))
        if label.get_window_extent(renderer).x1 > frame.x1 - 3:
            label.set(ha="right", position=(-3.5, 0))
        extent = label.get_window_extent(renderer)
        if any(extent.padded(3).overlaps(other) for _, _, other in taken):
            label.remove()
            continue
        taken.append((column, row, extent))
        drawn += [label, _dot(axes, (x, y))]
    return drawn


def _name(axes: GeoAxes, name: str, at: tuple[float, float]) -> Annotation:
    label: Annotation = axes.annotate(
        name,
        at,
        xytext=(3.5, 0),
        textcoords="offset points",
        va="center_baseline",
        fontsize=7.5,
        color=look.INK,
        zorder=ABOVE + 0.3,
        annotation_clip=False,
        path_effects=[withStroke(linewidth=2.2, foreground="#ffffffdd")],
    )
    return label


def _dot(axes: GeoAxes, at: tuple[float, float]) -> Artist:
    drawn: list[Artist] = axes.plot(
        *at,
        ".",
        color=look.INK,
        markersize=5.5,
        zorder=ABOVE + 0.2,
        markeredgecolor="white",
        markeredgewidth=0.6,
    )
    return drawn[0]


def draw_arrows(
    axes: GeoAxes, grid: Grid, motion_x: NDArray[np.float32], motion_y: NDArray[np.float32]
) -> list[Artist]:
    """Arrows of the motion (y, x) in m s-1, about sixteen along the longer side, and their key."""
    every = max(max(grid.shape) // 16, 1)
    rows = slice(every // 2, None, every)
    columns = slice(every // 2, None, every)
    x, y = np.meshgrid(grid.x[columns], grid.y[rows])
    across, up = motion_x[rows, columns], motion_y[rows, columns]
    told = np.isfinite(across) & np.isfinite(up)
    # cartopy's own quiver would take the vectors for east and north; these follow the grid.
    arrows = Quiver(
        axes,
        x[told],
        y[told],
        across[told],
        up[told],
        transform=axes.transData,
        angles="uv",
        scale_units="inches",
        scale=45.0,
        width=0.0023,
        color="#30363cd0",
        zorder=ABOVE + 0.4,
        path_effects=[withStroke(linewidth=1.6, foreground="#ffffffb0")],
    )
    axes.add_collection(arrows, autolim=False)
    key = QuiverKey(
        arrows,
        *(0.9, 0.035, 10.0),
        "10 m s⁻¹",
        labelpos="E",
        coordinates="axes",
        fontproperties={"size": 7.5},
        labelsep=0.05,
    )
    key.text.set_path_effects([withStroke(linewidth=2.2, foreground="#ffffffdd")])
    return [arrows, axes.add_artist(key)]
