"""How our maps look: sizes, colours of lines, what is drawn."""

from __future__ import annotations

from dataclasses import dataclass

from nowcast.products.colours import RAIN_RATE, ColourScale
from nowcast.products.map_data import MapData

DPI = 100
INK = "#1f2328"
QUIET = "#5d646b"
FORECAST = "#b3470b"
OBSERVED = "#0b6b6b"
ALARM = "#b3001b"
# A line above probabilities: far from all their colours for every kind of colour vision.
HAPPENED = "#ff33ff"
COAST = "#4a4f55"
BORDER = "#7d6f86"
RIVER = "#9fb3bf"
GRATICULE = "#8d959c"
NO_LAND = "#efefec"
WARNING_GROUND = "#ffd23f"
SIMULATED_GROUND = "#d9c2ee"


@dataclass(frozen=True)
class MapStyle:
    """Settings of a map.

    Attributes:
        longest_side: pixels along the longer side of the map itself.
        scale: the colour scale.
        map_data: where geography is read from; None for what this machine has.
        places: the largest number of places named.
        rivers: whether rivers are drawn.
        motion_arrows: whether the motion of the echoes is drawn, where a forecast holds it.

    """

    longest_side: int = 760
    scale: ColourScale = RAIN_RATE
    map_data: MapData | None = None
    places: int = 26
    rivers: bool = True
    motion_arrows: bool = False

    def __post_init__(self) -> None:
        if not 100 <= self.longest_side <= 4000:
            raise ValueError(f"a map of {self.longest_side} pixels, expected 100 to 4000")
