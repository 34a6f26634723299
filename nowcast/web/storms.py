"""Storm cells and their tracks: T-DaTing of pysteps over the radar, moved on with the forecast.

Feldmann et al., Weather and Climate Dynamics 2, 1225-1244, 2021, doi:10.5194/wcd-2-1225-2021.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from nowcast.field.errors import SourceError
from nowcast.forecast.pysteps_quietly import cell_tracking, quietly

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nowcast.web.observations import Observations
    from nowcast.web.opened import Opened

_FRAMES = 6  # of the radar that cells are tracked through
_LEAST = 3
_ZR_A, _ZR_B = 200.0, 1.6  # for dBZ, in which the method's thresholds are
_MOST_CELLS = 60


def storms(opened: Opened, seen: Observations) -> list[dict[str, Any]]:
    """The cells (35 dBZ and more) at issue time, strongest first, in degrees.

    Each has ``dbz``, ``outline`` and ``past`` (lon, lat) up to now, and ``ahead``, a place a lead:
    the cell moved along the forecast's motion. Empty without motion or at least three frames.
    """
    frames = _frames(opened, seen)
    if len(frames) < _LEAST or "motion_x" not in opened.data:
        return []
    video = np.stack([_dbz(rate) for rate in frames])
    names = [f"{index:012d}" for index in range(len(frames))]
    with quietly():
        tracks, cells, _ = cell_tracking()(video, names, mintrack=1)
    newest = cells[-1].sort_values("max_ref", ascending=False)[:_MOST_CELLS]
    return [_cell(opened, cell, tracks) for _, cell in newest.iterrows()]


def _cell(opened: Opened, cell: Any, tracks: list[Any]) -> dict[str, Any]:
    track = next((one for one in tracks if (one["ID"] == cell["ID"]).any()), None)
    been = [] if track is None else zip(track["cen_y"], track["cen_x"], strict=True)
    outline = np.asarray(max(cell["cont"], key=len), dtype=float)
    return {
        "dbz": round(float(cell["max_ref"]), 1),
        "outline": _places(opened, outline),
        "past": _places(opened, list(been)),
        "ahead": _places(opened, _moved(opened, float(cell["cen_y"]), float(cell["cen_x"]))),
    }


def _moved(opened: Opened, row: float, column: float) -> list[tuple[float, float]]:
    """Where a cell (row, column) is at each lead, moved along the motion step by step."""
    along_x, along_y = opened.motion()
    grid, step = opened.grid, float(opened.step / np.timedelta64(1, "s"))
    down, across = grid.cell_metres
    found = []
    for _ in opened.leads:
        here = min(max(round(row), 0), grid.height - 1), min(max(round(column), 0), grid.width - 1)
        column += float(np.nan_to_num(along_x[here])) * step / across
        row -= float(np.nan_to_num(along_y[here])) * step / down
        found.append((row, column))
    return found


def _places(opened: Opened, cells: Any) -> list[list[float]]:
    """Longitude and latitude (degrees) of rows and columns."""
    places = (opened.grid.lonlat_of(row, column) for row, column in cells)
    return [[round(lon, 4), round(lat, 4)] for lon, lat in places]


def _frames(opened: Opened, seen: Observations) -> list[NDArray[np.float32]]:
    """The newest frames up to issue, evenly spaced, oldest first; fewer where one is missing."""
    found: list[NDArray[np.float32]] = []
    for back in range(_FRAMES):
        try:
            found.insert(0, seen.rate(opened.issued - back * opened.step, grid=opened.grid))
        except SourceError:
            break
    return found


def _dbz(rate: NDArray[np.float32]) -> NDArray[np.float64]:
    with np.errstate(divide="ignore"):
        return np.where(rate > 0, 10 * np.log10(_ZR_A * np.power(rate, _ZR_B)), np.nan)
