"""The grid of an ODIM_H5 composite: its projection, and where its corners say that it lies."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import pyproj

from nowcast.field.errors import FormatError
from nowcast.field.grid import WGS84, Grid
from nowcast.ingest.readers.projection import projection

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nowcast.ingest.readers.hdf5 import Attributes

# Corners are stored in degrees and often as float32: exact ones fit to a few thousandths of a cell.
_EXACT_CELLS, _BEARABLE_CELLS = 0.1, 1.0


def composite_grid(where: Attributes, *, shape: tuple[int, ...]) -> Grid:
    """The grid that the attributes ``where`` describe, for an image of ``shape``.

    The first row is the northernmost (ODIM_H5 2.4, section 4.3.1). The upper left corner places the
    grid, or else the corners that are there; all corners are held against it. They are the outer
    corners of the corner cells, or the cells' centres where those fit and the outer corners do not.
    Raises FormatError where sizes and corners contradict each other.
    """
    path = where.path
    width, height = (where.number(name) for name in ("xsize", "ysize"))
    if shape != (height, width):
        raise FormatError(
            f"{path}: an image of shape {shape}, expected ysize {height:g} x xsize {width:g}"
        )
    dx, dy = (abs(where.number(name)) for name in ("xscale", "yscale"))
    if not (0 < dx < np.inf and 0 < dy < np.inf):
        raise FormatError(f"{path}: cells of {dx:g} x {dy:g}, expected xscale and yscale above 0")
    crs, _ = projection(
        where.text("projdef"), path=path
    )  # ODIM: xscale is in metres whatever the units
    west, north = _upper_left(
        where, crs=crs, cells=np.array([width, height]), size=np.array([dx, dy])
    )
    # Degrees of 13 digits give the corner of a grid in round metres as 0.0000137.
    digits = 9 if crs.is_geographic else 3
    return Grid(
        crs=crs,
        west=round(west, digits) + 0.0,
        north=round(north, digits) + 0.0,
        dx=dx,
        dy=dy,
        height=shape[0],
        width=shape[1],
    )


def _upper_left(
    where: Attributes, *, crs: pyproj.CRS, cells: NDArray[np.float64], size: NDArray[np.float64]
) -> tuple[float, float]:
    """X and y of the outer upper left corner."""
    if where.get("UL_x") is not None and where.get("UL_y") is not None:
        # Not ODIM, but plain: RMI gives the corner in the projection itself.
        return where.number("UL_x"), where.number("UL_y")
    corners = _corners(where, crs)
    misfits = {}
    for inset in (0.0, 0.5):  # outer corners, or centres of the corner cells
        origins = {
            name: place - (np.array([east, -south]) * (cells - 2 * inset) + [inset, -inset]) * size
            for name, (place, east, south) in corners.items()
        }
        origin = origins["UL"] if "UL" in origins else np.mean(list(origins.values()), axis=0)
        misfits[inset] = max(np.abs((found - origin) / size).max() for found in origins.values())
        if misfits[inset] <= _EXACT_CELLS:
            return float(origin[0]), float(origin[1])
        if inset == 0:
            outer = origin
    if misfits[0.0] <= _BEARABLE_CELLS:
        return float(outer[0]), float(outer[1])
    raise FormatError(
        f"{where.path}: corners {', '.join(corners)} lie {misfits[0.0]:.1f} cells off a grid of "
        f"{cells[1]:g} x {cells[0]:g} cells of {size[0]:g} m in {crs.to_string()}, "
        f"expected at most {_BEARABLE_CELLS:g}"
    )


@lru_cache(maxsize=32)
def _from_degrees(crs: pyproj.CRS) -> pyproj.Transformer:
    """PROJ takes longer to make one than a small file to be read, and all files of a feed agree."""
    return pyproj.Transformer.from_crs(WGS84, crs, always_xy=True)


def _corners(where: Attributes, crs: pyproj.CRS) -> dict[str, tuple[NDArray[np.float64], int, int]]:
    """Place (x, y) of each corner that is given, and whether it is an eastern, a southern one."""
    from_degrees = _from_degrees(crs)
    corners = {}
    for name, east, south in (("UL", 0, 0), ("UR", 1, 0), ("LL", 0, 1), ("LR", 1, 1)):
        if where.get(f"{name}_lon") is None or where.get(f"{name}_lat") is None:
            continue
        degrees = where.number(f"{name}_lon"), where.number(f"{name}_lat")
        place = np.array(from_degrees.transform(*degrees))
        if not np.isfinite(place).all():
            raise FormatError(
                f"{where.path}: corner {name} at {degrees} lies nowhere in {crs.to_string()}"
            )
        corners[name] = (place, east, south)
    if not corners:
        raise FormatError(
            f"{where.path}: no corners, expected UL_lon, UL_lat and the like: "
            "where the grid lies is unknown"
        )
    return corners
