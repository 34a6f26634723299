"""Which reader a file needs: by feed profile, or by the content of an unknown file."""

from __future__ import annotations

import dataclasses
import importlib
import importlib.util
from typing import TYPE_CHECKING, Any

import numpy as np

from nowcast.field.errors import FormatError, MissingFramesError, UsageError
from nowcast.field.units import ZR

if TYPE_CHECKING:
    import datetime as dt
    import re
    from collections.abc import Iterable
    from pathlib import Path

    from config.feed import FeedProfile, ReaderProfile, ZRelation
    from nowcast.field.schema import Frames
    from nowcast.ingest.readers.base import Reader

# Format name -> module and class. Imported on demand: KNMI must not load rasterio or eccodes.
_READERS = {
    "knmi-hdf5": ("knmi", "KnmiHdf5"),
    # Before odim: HDF5 looks past 512 bytes, and so sees the first member of a tar file.
    "odim-tar": ("odim_tar", "OdimTar"),
    "odim": ("odim", "Odim"),
    "fmi-pgm": ("pgm", "FmiPgm"),
    "geotiff": ("geotiff", "GeoTiff"),
    "mch-gif": ("mch_gif", "MchGif"),
    "mrms-grib": ("mrms", "MrmsGrib"),
    "radolan": ("radolan", "Radolan"),
    "meteonet": ("meteonet", "MeteonetNpz"),
    "nimrod": ("nimrod", "Nimrod"),
    "cf": ("cf", "CfFile"),
}
# Formats whose library comes with an extra of the package.
_EXTRAS = {
    "geotiff": ("rasterio", "geo"),
    "mrms-grib": ("eccodes", "grib"),
    "radolan": ("wradlib", "radolan"),
}
# What a file of unknown name may be; a GeoTIFF does not say what its numbers mean.
_SELF_DESCRIBING = tuple(name for name in _READERS if name != "geotiff")


def reader_of(profile: FeedProfile) -> Reader:
    """The reader of a feed's files.

    Raises UsageError on an option that it does not take, or for want of its library.
    """
    _require(profile.reader.format)
    return _reader(profile.reader.format, options=profile.reader, zr=profile.zr, feed=profile.name)


def valid_time(profile: FeedProfile, match: re.Match[str]) -> np.datetime64 | None:
    """The valid time that a matched name states; None where it states none."""
    found: dt.datetime | None = profile.time(match)
    return np.datetime64(found.replace(tzinfo=None), "ns") if found else None


def open_frames(path: Path, *, profiles: Iterable[FeedProfile]) -> Frames:
    """All frames of one file of any known format.

    A profile that knows the name and whose reader knows the content reads it; otherwise whichever
    format knows the content. Raises MissingFramesError where there is no such file, FormatError
    where nothing fits, saying what was tried, and UnsafeFileError.
    """
    if not path.exists():
        raise MissingFramesError(f"{path}: no such file or folder")
    named = named_by(path, profiles)
    for profile, stamp in named:
        reader = reader_of(profile)
        if reader.matches(path):
            return reader.read(path, stamp=stamp)
    problems = []
    for name in _SELF_DESCRIBING if path.is_file() else ("cf",):
        reader = _reader(name)
        if reader.matches(path):
            _require(name)
            try:
                return reader.read(path)
            except FormatError as error:
                problems.append(str(error))
    if problems:
        raise FormatError("; or ".join(problems))
    if named:
        # It is not what its name says: its own reader knows best what is wrong with it.
        profile, stamp = named[0]
        return reader_of(profile).read(path, stamp=stamp)
    raise FormatError(
        f"{path}: {describe(path)}, expected one of {', '.join(_SELF_DESCRIBING)}; "
        f"a GeoTIFF is read where a feed knows its name"
    )


def named_by(
    path: Path, profiles: Iterable[FeedProfile]
) -> list[tuple[FeedProfile, np.datetime64 | None]]:
    """The profiles that know a file's name, and the time that it states for them."""
    matches = ((profile, profile.match(path.name)) for profile in profiles)
    return [(profile, valid_time(profile, match)) for profile, match in matches if match]


def describe(path: Path) -> str:
    """Size and first bytes of a file, for a message."""
    if path.is_dir():
        return "a folder"
    size = path.stat().st_size
    if size == 0:
        return "an empty file"
    with path.open("rb") as file:
        return f"{size} bytes that begin with {file.read(8)!r}"


def _require(name: str) -> None:
    library, extra = _EXTRAS.get(name, ("", ""))
    if library and importlib.util.find_spec(library) is None:
        raise UsageError(
            f"format {name} needs {library}, which is not installed: "
            f"pip install 'mim-nowcast[{extra}]'"
        )


def _reader(
    name: str,
    *,
    options: ReaderProfile | None = None,
    zr: ZRelation | None = None,
    feed: str = "",
) -> Reader:
    module, class_name = _READERS[name]
    kind: Any = getattr(importlib.import_module(f"nowcast.ingest.readers.{module}"), class_name)
    taken = {field.name for field in dataclasses.fields(kind)}
    given = options.options if options else {}
    if unknown := sorted(set(given) - taken):
        raise UsageError(
            f"feed {feed}: reader {name} takes no {', '.join(unknown)}; "
            f"it takes {', '.join(sorted(taken - {'zr'})) or 'no option'}"
        )
    if zr is not None and "zr" in taken:
        given["zr"] = ZR(a=zr.a, b=zr.b)
    reader: Reader = kind(**given)
    return reader
