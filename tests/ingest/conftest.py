"""A little radar: a feed of its own, and its files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import h5py
import numpy as np
import pytest

from config.feed import FeedProfile

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

LITTLE = {
    "name": "little",
    "title": "A little radar",
    "institution": "Little Weather Service",
    "licence": "CC0",
    "pattern": r"little_(?P<time>\d{12})\.h5",
    "time_format": "%Y%m%d%H%M",
    "cadence_minutes": 5,
    "unit": "mm/h",
    "grid": "20x30, 1 km",
    "reader": {"format": "odim"},
}


@pytest.fixture(scope="session")
def little() -> FeedProfile:
    """Names with a time, 5 min, ODIM inside."""
    return FeedProfile.model_validate(LITTLE)


@pytest.fixture(scope="session")
def write_frame() -> Callable[..., Path]:
    """Writes one ODIM composite of rain rates at a time and returns its path."""
    return write_odim_frame


def write_odim_frame(
    folder: Path,
    time: str,
    rate_mm_h: NDArray[np.float32],
    *,
    name: str = "little_%Y%m%d%H%M.h5",
    west: float = 100_000.0,
    quantity: str = "RATE",
) -> Path:
    """By h5py alone, from the standard: independent of the project's own writer."""
    import pyproj

    stamp = np.datetime64(time, "s").item()
    height, width = rate_mm_h.shape
    projection = "+proj=laea +lat_0=55 +lon_0=10 +x_0=0 +y_0=0 +ellps=WGS84 +units=m"
    to_degrees = pyproj.Transformer.from_crs(projection, "EPSG:4326", always_xy=True)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / stamp.strftime(name)
    with h5py.File(path, "w") as file:
        file.attrs["Conventions"] = np.bytes_("ODIM_H5/V2_4")
        what = file.create_group("what").attrs
        for key, value in {"object": "COMP", "version": "H5rad 2.4", "source": "ORG:0"}.items():
            what[key] = np.bytes_(value)
        what["date"], what["time"] = (np.bytes_(stamp.strftime(f)) for f in ("%Y%m%d", "%H%M%S"))
        where = file.create_group("where").attrs
        where["projdef"] = np.bytes_(projection)
        where["xsize"], where["ysize"], where["xscale"], where["yscale"] = width, height, 1e3, 1e3
        edges = {"UL": (0, 0), "UR": (width, 0), "LL": (0, height), "LR": (width, height)}
        for corner, (column, row) in edges.items():
            place = to_degrees.transform(west + 1e3 * column, 200_000.0 - 1e3 * row)
            where[f"{corner}_lon"], where[f"{corner}_lat"] = place
        data = file.create_group("dataset1/data1")
        inside = data.create_group("what").attrs
        inside["quantity"] = np.bytes_(quantity)
        inside["gain"], inside["offset"], inside["nodata"], inside["undetect"] = (
            1.0,
            0.0,
            -9.0,
            -8.0,
        )
        stored = np.where(np.isnan(rate_mm_h), -9.0, np.where(rate_mm_h == 0, -8.0, rate_mm_h))
        data["data"] = stored.astype(np.float64)
    return path
