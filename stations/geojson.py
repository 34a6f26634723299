"""Stations as GeoJSON: the points of a FeatureCollection (RFC 7946)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from stations.errors import StationsError
from stations.station import Station
from stations.table import COLUMNS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


def stations_of(text: str) -> Iterator[tuple[int, Station | str]]:
    """The number of each feature, from 1, and its station, or what is wrong with it, as words.

    The id is the feature's own, or the property that a table's column would be called. Raises
    StationsError where the text is no GeoJSON.
    """
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise StationsError(f"no JSON: {error}") from error
    features = document.get("features") if isinstance(document, dict) else None
    if isinstance(document, dict) and document.get("type") == "Feature":
        features = [document]
    if not isinstance(features, list):
        raise StationsError("no GeoJSON: expected a FeatureCollection of points")
    for number, feature in enumerate(features, start=1):
        try:
            yield number, _station(feature, number=number)
        except StationsError as error:
            yield number, str(error)


def _station(feature: Any, *, number: int) -> Station:
    geometry = feature.get("geometry") if isinstance(feature, dict) else None
    if not isinstance(geometry, dict) or geometry.get("type") != "Point":
        kind = geometry.get("type") if isinstance(geometry, dict) else geometry
        raise StationsError(f"geometry {kind!r}, expected a Point")
    coordinates = geometry.get("coordinates")
    if (
        not isinstance(coordinates, list)
        or len(coordinates) not in (2, 3)
        or not all(_is_number(value) for value in coordinates)
    ):
        raise StationsError(f"coordinates {coordinates!r}, expected [longitude, latitude]")
    properties = feature.get("properties") or {}
    elevation = coordinates[2] if len(coordinates) == 3 else _property(properties, "elevation")
    name = str(_property(properties, "name") or "")
    own = feature.get("id", _property(properties, "id"))
    if elevation is not None and not _is_number(elevation):
        raise StationsError(f"elevation {elevation!r}, expected a number")
    return Station(
        id=str(own) if own not in (None, "") else name or str(number),
        name=name,
        lon=float(coordinates[0]),
        lat=float(coordinates[1]),
        elevation_m=None if elevation is None else float(elevation),
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _property(properties: Mapping[str, Any], meaning: str) -> Any:
    lowered = {str(name).lower(): value for name, value in properties.items()}
    return next((lowered[name] for name in COLUMNS[meaning] if name in lowered), None)
