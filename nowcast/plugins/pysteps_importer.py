"""Our readers as an importer of pysteps: ``pysteps.io.get_method("nowcast", "importer")``."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

# pysteps loads this module whenever it is imported: what reads files is imported when one is read.
if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    import pyproj
    from numpy.typing import NDArray

    from config.feed import FeedProfile
    from nowcast.field.grid import Grid
    from nowcast.field.schema import Frames

    Imported = tuple[NDArray[np.float64], None, dict[str, Any]]

# As parts of a cell: how far a PROJ string may put the grid from where it lies.
_TOLERANCE = 0.05


def import_nowcast(
    filename: str, feed: str | None = None, time: str | None = None, **_: Any
) -> Imported:
    """Import one radar field of any format that mim-nowcast reads.

    KNMI HDF5, FMI PGM and GeoTIFF, MeteoSwiss GIF, BOM, ODIM HDF5, MRMS GRIB2, RADOLAN, DWD RV,
    MeteoNet, NIMROD, CF NetCDF and Zarr; ``nowcast feeds`` lists the feeds.

    Parameters
    ----------
    filename: str
        Name of the file to import.
    feed: str
        The feed whose reader and settings count; found by name and content where it is None.
    time: str
        Of a file with several fields, the valid time (UTC) of the one to import, as
        2015-05-15T17:20.

    {extra_kwargs_doc}

    Returns
    -------
    out: tuple
        The rain rate in mm/h (nan where the radar did not see, 0 where it was dry, the first row in
        the north), None for the quality field, and the metadata.

    """
    from nowcast.field.schema import as_frames  # noqa: PLC0415
    from nowcast.ingest.xarray_engine import open_any  # noqa: PLC0415

    path = Path(filename)
    frames = as_frames(open_any(path, feed=feed))
    place = _place(frames, time, path=path)
    rate: NDArray[np.float64] = frames["rainfall_rate"].values[place].astype("float64")
    return rate, None, _metadata(frames, rate, profile=_profile(path, feed))


def _place(frames: Frames, time: str | None, *, path: Path) -> int:
    """Which frame of the file is meant; raises UsageError where that is open."""
    import numpy as np  # noqa: PLC0415

    from nowcast.field.errors import UsageError  # noqa: PLC0415

    times = frames["time"].values
    if time is None and times.size == 1:
        return 0
    wanted = np.datetime64("NaT") if time is None else np.datetime64(time.removesuffix("Z"))
    found = np.flatnonzero(times == wanted)
    if found.size != 1:
        held = ", ".join(str(each.astype("datetime64[m]")) for each in times[:3])
        raise UsageError(
            f"{path}: holds {times.size} fields ({held}{', ...' if times.size > 3 else ''}), "
            f"found {time!r}, expected time= to name one of them"
        )
    return int(found[0])


def _profile(path: Path, feed: str | None) -> FeedProfile | None:
    """The feed of a file; None where only its content says what it is."""
    from config.feed import FEEDS  # noqa: PLC0415
    from nowcast.ingest.decode import named_by  # noqa: PLC0415

    if feed is not None:
        return FEEDS.named(feed)
    named = named_by(path, FEEDS.all().values())
    return named[0][0] if named else None


def _metadata(
    frames: Frames, rate: NDArray[np.float64], *, profile: FeedProfile | None
) -> dict[str, Any]:
    """What pysteps wants to know of a field."""
    import numpy as np  # noqa: PLC0415

    from nowcast.field.schema import grid_of  # noqa: PLC0415
    from nowcast.field.units import ZR  # noqa: PLC0415

    grid, attrs = grid_of(frames), frames.attrs
    west, east, south, north = grid.extent
    relation = profile.zr if profile else ZR()
    cadence = profile.cadence_minutes if profile else None
    seen, wet = np.isfinite(rate), rate[rate > 0]
    return {
        "projection": proj_string(grid),
        "x1": west,
        "y1": south,
        "x2": east,
        "y2": north,
        "xpixelsize": grid.dx,
        "ypixelsize": grid.dy,
        "cartesian_unit": "degrees" if grid.is_geographic else "m",
        "yorigin": "upper",
        "institution": _institution(attrs, profile),
        "unit": "mm/h",
        "transform": None,
        # A rate is converted to a depth by it; nan where neither file nor feed states it.
        "accutime": float(attrs.get("accumulation_minutes") or cadence or np.nan),
        "zerovalue": 0.0,
        "threshold": float(wet.min()) if wet.size else 0.0 if seen.any() else np.nan,
        "zr_a": float(attrs.get("zr_a", relation.a)),
        "zr_b": float(attrs.get("zr_b", relation.b)),
    }


def _institution(attrs: Mapping[str, Any], profile: FeedProfile | None) -> str:
    """Whose data: by the feed, or else as the file says, in whatever code."""
    from config.feed import UNKNOWN  # noqa: PLC0415

    by_feed = profile.institution if profile else UNKNOWN
    return by_feed if by_feed != UNKNOWN else str(attrs.get("institution", UNKNOWN))


def proj_string(grid: Grid) -> str:
    """The projection of a grid as a PROJ string, with ``towgs84`` where its datum needs one.

    pyproj leaves the datum out of a PROJ string: 150 m in Switzerland, 100 m in Great Britain.
    Raises SchemaError where cells would lie off by more than a twentieth of their size.
    """
    import pyproj  # noqa: PLC0415
    from pyproj.transformer import TransformerGroup  # noqa: PLC0415

    from nowcast.field.errors import SchemaError  # noqa: PLC0415

    refusal = f"{grid.crs.name} cannot be written as a PROJ string, as pysteps asks"
    with warnings.catch_warnings():
        # That a PROJ string may say less than the CRS, and that no datum grids are installed.
        warnings.simplefilter("ignore", UserWarning)
        try:
            text = grid.crs.to_proj4().replace(" +type=crs", "")
        except pyproj.exceptions.CRSError as error:
            raise SchemaError(refusal) from error
        best = TransformerGroup(grid.crs, "EPSG:4326", always_xy=True).transformers[0]
    text += _datum_shift(best.definition)
    back = pyproj.Transformer.from_crs("EPSG:4326", text, always_xy=True)
    if not _farthest(grid, best, back) <= _TOLERANCE:
        raise SchemaError(refusal)
    return text


def _datum_shift(operation: str) -> str:
    """The ``towgs84`` that does what a PROJ pipeline to WGS 84 does; empty where it shifts none."""
    step = re.search(r"proj=helmert ([^+]*?)(?: step|$)", operation)
    if step is None:
        return ""
    given = dict(word.split("=") for word in step[1].split() if "=" in word)
    turn = -1.0 if given.get("convention") == "coordinate_frame" else 1.0
    numbers = [float(given.get(name, 0.0)) for name in ("x", "y", "z")]
    numbers += [turn * float(given.get(name, 0.0)) for name in ("rx", "ry", "rz")]
    numbers.append(float(given.get("s", 0.0)))
    return " +towgs84=" + ",".join(f"{number:g}" for number in numbers)


def _farthest(grid: Grid, there: pyproj.Transformer, back: pyproj.Transformer) -> float:
    """How far from where they lie places of a grid come back from the Earth, in cells."""
    import numpy as np  # noqa: PLC0415

    west, east, south, north = grid.extent
    x, y = np.meshgrid(np.linspace(west, east, 9), np.linspace(south, north, 9))
    again_x, again_y = back.transform(*there.transform(x, y))
    return float(np.max(np.hypot((again_x - x) / grid.dx, (again_y - y) / grid.dy)))
