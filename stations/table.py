"""Stations in a table: CSV of many makers, told apart by the names of its columns.

The meteostat list (id, latitude, longitude, elevation) is one of them.
"""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

from stations.errors import StationsError
from stations.station import Station

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

# What a column may be called, the better name first; case, blanks and units do not count.
COLUMNS = {
    "lon": ("lon", "longitude", "long", "lng", "laenge", "länge", "geolänge", "geolaenge"),
    "lat": ("lat", "latitude", "breite", "geobreite"),
    "id": ("id", "station_id", "stationid", "stations_id", "wmo", "wmo_id", "code", "station"),
    "name": ("name", "station_name", "stationname", "stationsname", "location", "place", "city"),
    "elevation": ("elevation", "altitude", "alt", "elev", "height", "stationshoehe", "höhe"),
}
_UNITS = ("(m)", "[m]", "_m", "(deg)", "[deg]", "_deg", "(°)", "[°]")
_DELIMITERS = ",;\t|"
_NO_VALUE = {"", "nan", "null", "none", "na", "n/a", "-"}


def stations_of(text: str) -> Iterator[tuple[int, Station | str]]:
    """The number of each line and its station, or what is wrong with it, as words.

    Raises StationsError where the header has no longitude or latitude. A station without id takes
    its name for one, and without either the number of its line.
    """
    lines = text.splitlines()
    first = next((number for number, line in enumerate(lines) if line.strip()), None)
    if first is None:
        raise StationsError("empty, expected a header and a station a line")
    delimiter = max(_DELIMITERS, key=lines[first].count)
    rows = csv.reader(lines[first:], delimiter=delimiter)
    places = columns(next(rows))
    for row in rows:
        number = first + rows.line_num
        if any(cell.strip() for cell in row):
            try:
                yield number, _station(row, places, number=number, comma=delimiter != ",")
            except StationsError as error:
                yield number, str(error)


def columns(header: Sequence[str]) -> dict[str, int]:
    """Where each of COLUMNS stands in the header; raises StationsError without lon and lat."""
    names = [_plain(name) for name in header]
    found = {
        meaning: next(names.index(name) for name in known if name in names)
        for meaning, known in COLUMNS.items()
        if set(known) & set(names)
    }
    lacking = [meaning for meaning in ("lon", "lat") if meaning not in found]
    if lacking:
        raise StationsError(
            f"columns {', '.join(header)}: none for {' and '.join(lacking)}, "
            f"expected a header with {', '.join(known[0] for known in COLUMNS.values())}"
        )
    return found


def _plain(name: str) -> str:
    plain = name.strip().lower()
    for unit in _UNITS:
        plain = plain.removesuffix(unit).strip()
    return plain.replace(" ", "_")


def _station(row: Sequence[str], places: Mapping[str, int], *, number: int, comma: bool) -> Station:
    cells = {
        meaning: row[place].strip() if place < len(row) else "" for meaning, place in places.items()
    }
    elevation = cells.get("elevation", "")
    name = cells.get("name", "")
    return Station(
        id=cells.get("id") or name or str(number),
        name=name,
        lon=_number("longitude", cells["lon"], comma=comma),
        lat=_number("latitude", cells["lat"], comma=comma),
        elevation_m=None
        if elevation.lower() in _NO_VALUE
        else _number("elevation", elevation, comma=comma),
    )


def _number(what: str, text: str, *, comma: bool) -> float:
    """The number; where commas do not divide the columns one may stand for the decimal point."""
    try:
        return float(text.replace(",", ".") if comma else text)
    except ValueError as error:
        raise StationsError(f"{what} {text!r}, expected a number") from error
