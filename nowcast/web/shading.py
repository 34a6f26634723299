"""Values as colours: the scales of the page's layers, and PNG pictures painted with them."""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from nowcast.products.colours import PROBABILITY, RAIN_RATE, ColourScale

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nowcast.web.mercator import Raster

# Half transparent, so that they lie well on the light map and on the dark one.
_HATCH_GROUND, _HATCH_STRIPE, _EDGE = (
    (128, 128, 128, 40),
    (128, 128, 128, 110),
    (110, 110, 110, 255),
)
_STRIPE_EVERY, _STRIPE_WIDTH = 9, 2
_UNSEEN, _OUTSIDE = 0, 255
_PACKING = 4  # of PNG: a seventh larger than 6, in half the time


@dataclass(frozen=True)
class Shading:
    """Colours of a quantity.

    Attributes:
        name, unit: as a legend says them.
        bounds: between classes, ascending; a value on a bound belongs to the class above.
        labels: the bounds as a legend writes them.
        colours: one ``#rrggbb`` a class, one more than bounds; None where nothing is drawn.

    """

    name: str
    unit: str
    bounds: tuple[float, ...]
    labels: tuple[str, ...]
    colours: tuple[str | None, ...]

    @classmethod
    def of(cls, scale: ColourScale) -> Shading:
        """A scale of our maps, which draws nothing below its first level."""
        return cls(scale.name, scale.unit, scale.levels, scale.labels, (None, *scale.colours))

    def codes(self, values: NDArray[np.floating[Any]]) -> NDArray[np.uint8]:
        """0 where unseen (NaN), then 1, 2, ... for the classes, so that larger is more."""
        found = np.searchsorted(np.asarray(self.bounds, np.float32), values, side="right") + 1
        return np.where(np.isnan(values), _UNSEEN, found).astype(np.uint8)

    def legend(self) -> dict[str, Any]:
        """The scale as the page draws it."""
        return {
            "name": self.name,
            "unit": self.unit,
            "labels": list(self.labels),
            "colours": list(self.colours),
        }


RATE = Shading.of(RAIN_RATE)
CHANCE = Shading.of(PROBABILITY)
AMOUNT = Shading(
    name="rain since issue",
    unit="mm",
    bounds=(0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 20.0, 30.0, 50.0, 75.0, 100.0),
    labels=("0.1", "0.5", "1", "2", "5", "10", "15", "20", "30", "50", "75", "100"),
    colours=(None, *RAIN_RATE.colours),
)
_SIGNED = (-20.0, -10.0, -5.0, -2.0, -0.5, 0.5, 2.0, 5.0, 10.0, 20.0)
_SIGNED_LABELS = tuple(f"{bound:g}".replace("-", "\N{MINUS SIGN}") for bound in _SIGNED)
# Brown and teal, orange and purple: pairs that stay apart in every kind of colour vision.
CHANGE = Shading(
    name="rain that the difference memory adds",
    unit="mm h⁻¹",
    bounds=_SIGNED,
    labels=_SIGNED_LABELS,
    colours=(
        *("#3f2503", "#6f4408", "#a76d20", "#cfa256", "#e8d3a2"),
        None,
        *("#b4e0d8", "#6bbfb3", "#2a948a", "#05665e", "#00332d"),
    ),
)
MISTAKE = Shading(
    name="forecast minus radar",
    unit="mm h⁻¹",
    bounds=_SIGNED,
    labels=_SIGNED_LABELS,
    colours=(
        *("#5f2c02", "#a34e06", "#dd8017", "#f8b560", "#fbdcae"),
        None,
        *("#cfcce5", "#a99fcd", "#7d68ac", "#532d87", "#2a0a4d"),
    ),
)


def png(values: NDArray[np.floating[Any]], *, shading: Shading, raster: Raster) -> bytes:
    """A field (y, x) as PNG on ``raster``: classes in colour, unseen hatched, its edge drawn.

    Dry and what lies outside the grid is transparent. The picture has a palette of a few colours,
    which makes it a tenth of the size of one in full colour.
    """
    codes = np.asarray(raster.show(shading.codes(values), outside=_OUTSIDE), dtype=np.uint8)
    hatch = len(shading.colours) + 1
    pixels = _hatched(codes, ground=hatch, stripe=hatch + 1)
    pixels[_edge(codes)] = hatch + 2
    pixels[codes == _OUTSIDE] = 0  # no pixel is left with the code of what was not seen
    colours = [(0, 0, 0, 0), *map(_rgba, shading.colours), _HATCH_GROUND, _HATCH_STRIPE, _EDGE]
    picture = Image.fromarray(pixels)
    picture.putpalette([part for colour in colours for part in colour[:3]])
    alpha = bytes(colour[3] for colour in colours)
    written = io.BytesIO()
    picture.save(written, "PNG", transparency=alpha, compress_level=_PACKING)
    return written.getvalue()


def _rgba(colour: str | None) -> tuple[int, int, int, int]:
    if colour is None:
        return 0, 0, 0, 0
    red, green, blue = bytes.fromhex(colour.removeprefix("#"))
    return red, green, blue, 255


def _hatched(codes: NDArray[np.uint8], *, ground: int, stripe: int) -> NDArray[np.uint8]:
    """The codes with stripes where nothing was seen."""
    return np.where(codes == _UNSEEN, _hatching(codes.shape, ground, stripe), codes)


@lru_cache(maxsize=16)
def _hatching(shape: tuple[int, int], ground: int, stripe: int) -> NDArray[np.uint8]:
    """Stripes all over a picture; kept, for they cost as much as all else that is painted."""
    height, width = shape
    striped = (np.arange(height + width) % _STRIPE_EVERY) < _STRIPE_WIDTH
    diagonal = np.where(striped, stripe, ground).astype(np.uint8)
    return np.lib.stride_tricks.sliding_window_view(diagonal, width)[:height].copy()


def _edge(codes: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """The pixels just inside the edge of what was seen; the picture's own frame is no edge."""
    seen = (codes != _UNSEEN) & (codes != _OUTSIDE)
    edge: NDArray[np.bool_] = np.zeros_like(seen)
    edge[:-1] |= seen[:-1] & ~seen[1:]
    edge[1:] |= seen[1:] & ~seen[:-1]
    edge[:, :-1] |= seen[:, :-1] & ~seen[:, 1:]
    edge[:, 1:] |= seen[:, 1:] & ~seen[:, :-1]
    return edge
