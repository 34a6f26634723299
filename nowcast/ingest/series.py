"""What tells the files of one series from others where their names do not: product and grid."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from nowcast.ingest.readers.cf_grid import horizontal_dims
from nowcast.ingest.readers.cf_known import mended
from nowcast.ingest.readers.cf_open import open_cf
from nowcast.ingest.readers.cf_rain import rain_variable
from nowcast.ingest.readers.hdf5 import Attributes, open_hdf5

if TYPE_CHECKING:
    from pathlib import Path

    from config.feed import FeedProfile, ReaderProfile

_ODIM_PLACE = (
    *("projdef", "xscale", "yscale", "UL_lon", "UL_lat", "UR_lon", "UR_lat"),
    *("LL_lon", "LL_lat", "LR_lon", "LR_lat"),
)


def series_of(path: Path, profile: FeedProfile) -> str | None:
    """What the file holds and on which grid, as ``RATE PPI 2200x1900 3f2a91``; reads no pixels.

    Empty for formats of which a feed has but one kind of file, None for a forecast, which is no
    observation. Raises FormatError and UnsafeFileError.
    """
    if profile.reader.format == "odim":
        return _odim(path)
    if profile.reader.format == "cf":
        return _cf(path, profile.reader)
    return ""


def _odim(path: Path) -> str:
    """Quantities and product; the interval tells an hourly accumulation from one of 5 minutes."""
    with open_hdf5(path) as file:
        groups = (
            f"{name}/{part}" for name in file if name.startswith("dataset") for part in file[name]
        )
        image = next(group for group in groups if f"{group}/data" in file)
        layers = (image, image.partition("/")[0], "")
        what, where = (
            Attributes.of(path, file, *(f"{layer}/{name}".lstrip("/") for layer in layers))
            for name in ("what", "where")
        )
        said = [what.text("quantity", ""), what.text("product", "")]
        if said[0] == "ACRR":
            said.append(f"{_interval_minutes(what):g} min")
        size = f"{where.number('ysize'):g}x{where.number('xsize'):g}"
        place = [str(where.get(name)) for name in _ODIM_PLACE]
        return " ".join([*filter(None, said), size, _mark(place)])


def _cf(path: Path, options: ReaderProfile) -> str | None:
    """The variable of rain; its coordinates and projection as stored, for PROJ is slow to know."""
    with open_cf(path) as dataset:
        known = mended(dataset)
        if "lead_time" in known.dims:
            return None
        variable, _ = rain_variable(known, wanted=options.variable, units=options.units, path=path)
        rows, columns = horizontal_dims(known, variable) or variable.dims[-2:]
        place = [known[dim].values.tobytes() for dim in (rows, columns) if dim in known.coords]
        projections = [
            sorted((key, str(value)) for key, value in known[name].attrs.items())
            for name in sorted(known.variables, key=str)
            if "grid_mapping_name" in known[name].attrs
        ]
        size = f"{variable.sizes[rows]}x{variable.sizes[columns]}"
        return f"{variable.name} {size} {_mark(place, projections)}"


def _interval_minutes(what: Attributes) -> float:
    """From starttime to endtime (HHMMSS), over midnight where need be."""
    clock = (what.text(f"{end}time", "0").ljust(6, "0") for end in ("start", "end"))
    start, end = (int(t[:2]) * 60 + int(t[2:4]) + int(t[4:6]) / 60 for t in clock)
    return (end - start) % 1440


def _mark(*place: object) -> str:
    """Six digits that differ for another place."""
    return hashlib.sha256(repr(place).encode()).hexdigest()[:6]
