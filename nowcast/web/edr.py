"""OGC API - Environmental Data Retrieval: position, area and cube of every forecast.

https://docs.ogc.org/is/19-086r6/19-086r6.html: a collection is a forecast, ``latest`` the newest.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import numpy as np
from covjson_pydantic.coverage import Coverage
from fastapi import APIRouter, Depends, HTTPException, Path, Query, Request
from fastapi.responses import Response

from nowcast.field.errors import UsageError
from nowcast.web import coverages
from nowcast.web.answers import answer, json_answer
from nowcast.web.look import MISSING
from nowcast.web.mercator import picture_raster

if TYPE_CHECKING:
    from nowcast.web.gallery import Gallery
    from nowcast.web.opened import Opened

COLLECTION_ID = r"^(?:latest|(?:[A-Za-z0-9_]{1,40}-)?\d{8}T\d{4}Z(?:\.v[1-9]\d{0,3})?)$"
_LONGEST_WKT = 4000
_TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d)?Z"
DATETIME = rf"^(?:{_TIME}|(?:{_TIME}|\.\.)/(?:{_TIME}|\.\.))$"
_QUERIES = ("position", "area", "cube")
_CRS = "OGC:CRS84"
_CONFORMANCE = (
    "http://www.opengis.net/spec/ogcapi-common-1/1.0/conf/core",
    "http://www.opengis.net/spec/ogcapi-edr-1/1.1/conf/core",
    "http://www.opengis.net/spec/ogcapi-edr-1/1.1/conf/covjson",
)
CollectionId = Annotated[
    str, Path(pattern=COLLECTION_ID, description="Id of a forecast, or latest.")
]
Coords = Annotated[
    str, Query(max_length=_LONGEST_WKT, description="WKT, as POINT(5.18 52.1), in degrees.")
]
Bbox = Annotated[str, Query(max_length=200, description="west,south,east,north in degrees.")]
When = Annotated[
    str | None, Query(pattern=DATETIME, description="A valid time, or from/to; .. is open.")
]
Names = Annotated[
    str | None,
    Query(alias="parameter-name", max_length=500, description="Names between commas; all if none."),
]
COVERAGE: dict[int | str, dict[str, Any]] = {
    200: {"model": Coverage, "description": "CoverageJSON."},
    400: {"description": "What was asked for makes no sense; the answer says why."},
    **MISSING,
}
_MEDIA_TYPE = "application/prs.coverage+json"


class _Asked(NamedTuple):
    """What every query names: a forecast, which of its leads, and which parameters."""

    opened: Opened
    leads: list[int]
    names: list[str]


def router(gallery: Gallery) -> APIRouter:
    """The routes of EDR."""
    routes = APIRouter(prefix="/edr", tags=["EDR"])

    def asked_for(collection: CollectionId, datetime: When = None, names: Names = None) -> _Asked:
        opened = _open(gallery, collection)
        return _Asked(opened, _leads(opened, datetime), _names(opened, names))

    wanted = Depends(asked_for)

    @routes.get("/")
    def landing(request: Request) -> Response:
        """Where things are."""
        links = [("self", ""), ("conformance", "conformance"), ("data", "collections")]
        found = [{"rel": rel, "href": _here(request, path)} for rel, path in links]
        found.append({"rel": "service-desc", "href": f"{request.base_url}openapi.json"})
        return json_answer(request, {"title": "MIM Nowcast", "links": found})

    @routes.get("/conformance")
    def conformance(request: Request) -> Response:
        """Which parts of the standard are followed."""
        return json_answer(request, {"conformsTo": list(_CONFORMANCE)})

    @routes.get("/collections")
    def collections(request: Request) -> Response:
        """The newest forecast, described; others are asked for by their id (data/index.json)."""
        newest = [_about(request, "latest", gallery.open(one.id)) for one in gallery.listed()[:1]]
        return json_answer(
            request, {"links": [{"rel": "self", "href": str(request.url)}], "collections": newest}
        )

    @routes.get("/collections/{collection}", responses=MISSING)
    def collection(request: Request, collection: CollectionId) -> Response:
        """What a forecast covers, and what can be asked of it."""
        return json_answer(request, _about(request, collection, _open(gallery, collection)))

    @routes.get("/collections/{collection}/position", responses=COVERAGE)
    def position(request: Request, coords: Coords, asked: _Asked = wanted) -> Response:
        """The series of a place."""
        place = _geometry(coords, "Point")
        made = coverages.position(
            asked.opened, lon=place.x, lat=place.y, leads=asked.leads, names=asked.names
        )
        return _covjson(request, made)

    @routes.get("/collections/{collection}/area", responses=COVERAGE)
    def area(request: Request, coords: Coords, asked: _Asked = wanted) -> Response:
        """The forecast within a polygon, on a lon/lat grid."""
        polygon = _geometry(coords, "Polygon")
        return _covjson(request, _grid(asked, polygon.bounds, within=polygon))

    @routes.get("/collections/{collection}/cube", responses=COVERAGE)
    def cube(request: Request, bbox: Bbox, asked: _Asked = wanted) -> Response:
        """The forecast within a box, on a lon/lat grid."""
        return _covjson(request, _grid(asked, _box(bbox), within=None))

    return routes


def _open(gallery: Gallery, collection: str) -> Opened:
    listed = gallery.listed()[:1]
    if collection == "latest":
        if not listed:
            raise HTTPException(404, "no forecast yet")
        collection = listed[0].id
    return gallery.open(collection)


def _grid(asked: _Asked, box: coverages.Box, *, within: Any) -> Coverage:
    try:
        return coverages.grid(
            asked.opened, box=box, leads=asked.leads, names=asked.names, within=within
        )
    except UsageError as error:
        raise HTTPException(400, str(error)) from error


def _geometry(text: str, kind: str) -> Any:
    import shapely  # noqa: PLC0415 - heavy

    try:
        found = shapely.from_wkt(text)
    except (shapely.errors.GEOSException, ValueError):
        raise HTTPException(400, f"coords: no WKT, expected a {kind.upper()}") from None
    if found is None or found.geom_type != kind or found.is_empty or not found.is_valid:
        raise HTTPException(400, f"coords: expected one {kind.upper()} that is valid")
    _check_degrees(found.bounds)
    return found


def _box(text: str) -> coverages.Box:
    try:
        west, south, east, north = (float(part) for part in text.split(","))
    except ValueError:
        raise HTTPException(400, "bbox: expected west,south,east,north") from None
    if not (west < east and south < north):
        raise HTTPException(400, "bbox: expected west < east and south < north")
    _check_degrees((west, south, east, north))
    return west, south, east, north


def _check_degrees(box: tuple[float, ...]) -> None:
    west, south, east, north = box
    if not (-180 <= west <= east <= 180 and -90 <= south <= north <= 90):
        raise HTTPException(400, "expected degrees: lon -180 to 180, lat -90 to 90")


def _leads(opened: Opened, text: str | None) -> list[int]:
    times = opened.issued + opened.leads
    first, last = _span(text)
    chosen = np.flatnonzero((times >= first) & (times <= last)).tolist()
    if not chosen:
        raise HTTPException(404, "no lead at that time")
    return chosen


def _span(text: str | None) -> tuple[np.datetime64, np.datetime64]:
    """The first and last time of a datetime parameter."""
    early, late = np.datetime64("1900-01-01", "s"), np.datetime64("2200-01-01", "s")
    if text is None:
        return early, late
    parts = text.split("/") if "/" in text else [text, text]
    found = []
    for part, end in zip(parts, (early, late), strict=True):
        try:
            found.append(end if part == ".." else np.datetime64(part.removesuffix("Z"), "s"))
        except ValueError:
            raise HTTPException(400, f"datetime: {part} is no time") from None
    return found[0], found[1]


def _names(opened: Opened, text: str | None) -> list[str]:
    known = list(coverages.parameters_of(opened))
    wanted = [name for name in re.split(r"\s*,\s*", text or "") if name]
    for name in wanted:
        if name not in known:
            raise HTTPException(400, f"parameter-name: expected some of {', '.join(known)}")
    return wanted or known


def _about(request: Request, name: str, opened: Opened) -> dict[str, Any]:
    times = [f"{np.datetime_as_string(opened.issued + lead, unit='s')}Z" for lead in opened.leads]
    here = _here(request, f"collections/{name}")
    queries = {
        query: {
            "link": {
                "rel": "data",
                "href": f"{here}/{query}",
                "variables": {
                    "query_type": query,
                    "output_formats": ["CoverageJSON"],
                    "default_output_format": "CoverageJSON",
                },
            }
        }
        for query in _QUERIES
    }
    return {
        "id": name,
        "title": str(opened.attrs.get("title", opened.listed.id)),
        "description": str(opened.attrs.get("summary", "")),
        "links": [{"rel": "self", "href": here}],
        "extent": {
            "spatial": {"bbox": [list(picture_raster(opened.grid).bounds)], "crs": _CRS},
            "temporal": {
                "interval": [[times[0], times[-1]]],
                "values": times,
                "trs": "Gregorian",
            },
        },
        "data_queries": queries,
        "crs": [_CRS],
        "output_formats": ["CoverageJSON"],
        "parameter_names": {
            key: value.model_dump(exclude_none=True)
            for key, value in coverages.parameters_of(opened).items()
        },
    }


def _here(request: Request, path: str) -> str:
    return f"{request.base_url}edr/{path}"


def _covjson(request: Request, made: Coverage) -> Response:
    return answer(request, made.model_dump_json(exclude_none=True).encode(), _MEDIA_TYPE)
