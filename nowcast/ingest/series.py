"""What tells the files of one series from others where their names do not: product and grid."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from nowcast.ingest.readers.hdf5 import Attributes, open_hdf5
from nowcast.ingest.readers.odim_grid import composite_grid

if TYPE_CHECKING:
    from pathlib import Path

    import h5py

    from config.feed import FeedProfile
    from nowcast.field.grid import Grid


def series_of(path: Path, profile: FeedProfile) -> str:
    """What the file holds and on which grid, as ``RATE 1900x2200 3f2a91``; reads no pixels.

    Empty for formats of which a feed has but one kind of file. Raises FormatError.
    """
    if profile.reader.format == "odim":
        return _odim(path)
    return ""


def _odim(path: Path) -> str:
    """Quantities and product; the interval tells an hourly accumulation from one of 5 minutes."""
    with open_hdf5(path) as file:
        data = [f"dataset1/{name}" for name in file["dataset1"] if name.startswith("data")]
        image: h5py.Dataset = file[f"{data[0]}/data"]
        what = Attributes.of(path, file, f"{data[0]}/what", "dataset1/what", "what")
        where = Attributes.of(path, file, f"{data[0]}/where", "dataset1/where", "where")
        said = [what.text("quantity", ""), what.text("product", "")]
        if said[0] == "ACRR":
            said.append(f"{_interval_minutes(what):g} min")
        return " ".join([*filter(None, said), _name(composite_grid(where, shape=image.shape))])


def _interval_minutes(what: Attributes) -> float:
    """From starttime to endtime (HHMMSS), over midnight where need be."""
    clock = (what.text(f"{end}time", "0").ljust(6, "0") for end in ("start", "end"))
    start, end = (int(t[:2]) * 60 + int(t[2:4]) + int(t[4:6]) / 60 for t in clock)
    return (end - start) % 1440


def _name(grid: Grid) -> str:
    """Size, and a mark that differs for another place or projection."""
    place = (grid.west, grid.north, grid.dx, grid.dy, grid.crs.to_wkt())
    mark = hashlib.sha256(repr(place).encode()).hexdigest()[:6]
    return f"{grid.height}x{grid.width} {mark}"
