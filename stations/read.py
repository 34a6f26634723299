"""Reads a list of stations: CSV or GeoJSON, plain or gzipped."""

from __future__ import annotations

import gzip
import zlib
from typing import TYPE_CHECKING

from stations import geojson, table
from stations.errors import StationsError
from stations.registry import Registry
from stations.station import Station

if TYPE_CHECKING:
    from pathlib import Path

# The world's list of 15,787 stations takes 0.5 MB; a zipped bomb takes all memory.
_LIMIT = 256 << 20
_TOLD = 5


def read(path: Path) -> Registry:
    """The stations of a file in its order.

    Raises StationsError where it cannot be read or holds none, and names the lines of a table (the
    features of GeoJSON) that are wrong or have the id of an earlier one.
    """
    text = _text(path)
    is_json = text.lstrip().startswith(("{", "["))
    unit = "feature" if is_json else "line"
    found: dict[str, tuple[int, Station]] = {}
    wrong: list[str] = []
    try:
        for number, one in (geojson if is_json else table).stations_of(text):
            if isinstance(one, str):
                wrong.append(f"{unit} {number}: {one}")
            elif one.id in found:
                wrong.append(f"{unit} {number}: id {one.id} again, as in {unit} {found[one.id][0]}")
            else:
                found[one.id] = number, one
    except StationsError as error:
        raise StationsError(f"{path}: {error}") from error
    if wrong:
        more = f"; and {len(wrong) - _TOLD} more" if len(wrong) > _TOLD else ""
        raise StationsError(f"{path}: {'; '.join(wrong[:_TOLD])}{more}")
    if not found:
        raise StationsError(f"{path}: holds no station, expected one a {unit}")
    return Registry(station for _, station in found.values())


def _text(path: Path) -> str:
    """The file as text: UTF-8, else the Latin-1 of older lists."""
    try:
        with path.open("rb") as file:
            zipped = file.read(2) == b"\x1f\x8b"
        with gzip.open(path) if zipped else path.open("rb") as file:
            content = file.read(_LIMIT + 1)
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise StationsError(
            f"{path}: cannot be read ({reason}), expected CSV or GeoJSON"
        ) from error
    if len(content) > _LIMIT:
        raise StationsError(f"{path}: more than {_LIMIT >> 20} MiB, expected a list of stations")
    if b"\0" in content:
        raise StationsError(f"{path}: no text, expected CSV or GeoJSON")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("latin-1")
