"""A map sheet: all that stays the same from map to map drawn once, the rest laid upon it.

cartopy and matplotlib draw two transparencies of a sheet, what lies below the rain and what lies
above it. A map is then the lower one, the rain as pixels, the upper one, and its words.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from nowcast.products import axes as maps
from nowcast.products import style as look
from nowcast.products.basemap import basemap_of
from nowcast.products.layout import caption_artists, draw_legend, layout_of
from nowcast.products.map_data import find_map_data
from nowcast.products.pixels import coverage_edge, paint

if TYPE_CHECKING:
    from cartopy.mpl.geoaxes import GeoAxes
    from matplotlib.artist import Artist
    from numpy.typing import NDArray

    from nowcast.field.grid import Grid
    from nowcast.products.captions import Caption
    from nowcast.products.style import MapStyle


@lru_cache(maxsize=4)
def sheet_of(grid: Grid, style: MapStyle) -> MapSheet:
    """The sheet of a grid, made once in a process."""
    return MapSheet(grid, style)


class MapSheet:
    """The sheet of one grid in one style; ``draw`` lays a field on it.

    Attributes:
        layout: where things stand, in pixels.
        basemap: the geography drawn.

    """

    def __init__(self, grid: Grid, style: MapStyle) -> None:
        self.grid, self.style = grid, style
        self.layout = layout_of(grid, longest_side=style.longest_side)
        self.basemap = basemap_of(
            grid,
            data=style.map_data or find_map_data(),
            pixel=grid.dx * grid.width / self.layout.map_width,
        )
        size = self.layout.width / look.DPI, self.layout.height / look.DPI
        self._figure = Figure(figsize=size, dpi=look.DPI)
        self._canvas: Any = FigureCanvasAgg(self._figure)
        width, height = self.layout.map_width, self.layout.map_height
        box = self.layout.box(*self.layout.map_corner, width, height)
        self._axes: GeoAxes = maps.add_map_axes(self._figure, box, grid=grid)
        self._axes.spines["geo"].set_visible(False)
        self._below = self._ground()
        self._above = self._lines()

    def draw(
        self,
        values: NDArray[np.float32],
        caption: Caption,
        *,
        edge: NDArray[np.bool_] | None = None,
        over: Image.Image | None = None,
    ) -> Image.Image:
        """The map of ``values`` (y, x) as an RGB picture.

        ``edge`` is what ``edge_of`` gives, ``over`` what ``arrows`` gives.
        """
        shape = self.layout.map_height, self.layout.map_width
        field = paint(values, scale=self.style.scale, shape=shape, edge=edge)
        picture = self._below.copy()
        picture.alpha_composite(Image.fromarray(field), dest=self.layout.map_corner)
        for layer in (over, self._above, self._words(caption)):
            if layer is not None:
                picture.alpha_composite(layer)
        return picture.convert("RGB")

    def edge_of(self, observed: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """The pixels of the edge of what was ``observed`` (y, x)."""
        return coverage_edge(observed, (self.layout.map_height, self.layout.map_width))

    def arrows(self, motion_x: NDArray[np.float32], motion_y: NDArray[np.float32]) -> Image.Image:
        """A transparency of the motion (y, x), m s-1; no arrow where it is NaN."""
        drawn = maps.draw_arrows(self._axes, self.grid, motion_x, motion_y)
        try:
            return self._drawn(drawn)
        finally:
            for artist in drawn:
                artist.remove()

    def _ground(self) -> Image.Image:
        maps.draw_ground(self._axes, self.basemap, rivers=self.style.rivers)
        self._canvas.draw()
        below = self._picture()
        self._figure.patch.set_visible(False)
        for artist in [self._axes.patch, *self._axes.collections]:
            artist.set_visible(False)
        return below

    def _lines(self) -> Image.Image:
        maps.draw_lines(self._axes, self.basemap)
        maps.draw_graticule(self._axes, labels=True)
        maps.draw_places(self._axes, self.basemap, at_most=self.style.places)
        draw_legend(self._figure, self.layout, self.style.scale)
        self._credits()
        self._canvas.draw()
        return self._picture()

    def _credits(self) -> None:
        """Whose map it is, and what of it is missing."""
        drawn = ["coastlines", "borders", "lakes", "land"]
        drawn += ["rivers"] if self.style.rivers else []
        drawn += ["places"] if self.style.places else []
        at = self.layout.at
        small: dict[str, Any] = {"va": "baseline", "fontsize": 6.8}
        words = self.basemap.credit_line(*drawn)
        self._figure.text(*at(12, self.layout.height - 9), words, color=look.QUIET, **small)
        if missing := self.basemap.missing(*drawn):
            words = "No map data on this machine for: " + ", ".join(missing)
            self._figure.text(*at(12, self.layout.height - 35), words, color=look.ALARM, **small)

    def _words(self, caption: Caption) -> Image.Image:
        return self._drawn(caption_artists(self._figure, self.layout, caption))

    def _drawn(self, artists: list[Artist]) -> Image.Image:
        """These artists alone, on a transparent ground."""
        renderer = self._canvas.get_renderer()
        renderer.clear()
        for artist in artists:
            artist.draw(renderer)
        return self._picture()

    def _picture(self) -> Image.Image:
        return Image.fromarray(np.array(self._canvas.buffer_rgba()))
