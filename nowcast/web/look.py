"""Routes of the page: its files, what it must know, and pictures."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, HTTPException, Path, Query, Request
from fastapi.responses import Response

from nowcast.web import facts, page
from nowcast.web.answers import answer, json_answer
from nowcast.web.drift import motion_facts
from nowcast.web.geography import geography_of
from nowcast.web.layers import LAYER_ID, TIME_ID
from nowcast.web.library import FORECAST_ID
from nowcast.web.timeline import timeline

if TYPE_CHECKING:
    from nowcast.field.grid import Grid
    from nowcast.web.gallery import Gallery
    from nowcast.web.warm import Warmer

ForecastId = Annotated[str, Path(pattern=FORECAST_ID, description="Id of a forecast.")]
LayerId = Annotated[str, Path(pattern=LAYER_ID, description="Id of a layer.")]
TimeId = Annotated[str, Path(pattern=TIME_ID, description="Valid time, as 20260601T1225Z.")]
Lon = Annotated[float, Query(ge=-180, le=180, allow_inf_nan=False, description="Degrees east.")]
Lat = Annotated[float, Query(ge=-90, le=90, allow_inf_nan=False, description="Degrees north.")]
MISSING: dict[int | str, dict[str, Any]] = {404: {"description": "There is no such thing."}}
PNG: dict[int | str, dict[str, Any]] = {
    200: {"content": {"image/png": {}}, "description": "A picture."},
    **MISSING,
}
_PICTURE_SECONDS = 300


def router(gallery: Gallery, warmer: Warmer) -> APIRouter:
    """The routes of the page; who asks for the index has the newest forecast readied."""
    routes = APIRouter()

    @routes.get("/", include_in_schema=False)
    async def front(request: Request) -> Response:
        found = page.assets()["index.html"]
        return answer(request, found.body, found.kind)

    @routes.get("/data/index.json", tags=["page"])
    def index(request: Request) -> Response:
        """The forecasts there are, the newest first."""
        warmer.look()
        return json_answer(request, facts.index_facts(gallery))

    @routes.get("/data/{forecast}/forecast.json", responses=MISSING, tags=["page"])
    def forecast(request: Request, forecast: ForecastId) -> Response:
        """A forecast: who made it and how, its frames, its layers and their legends."""
        return json_answer(request, facts.forecast_facts(gallery, gallery.open(forecast)))

    @routes.get("/data/{forecast}/geography.json", responses=MISSING, tags=["page"])
    def geography(request: Request, forecast: ForecastId) -> Response:
        """Coastlines, borders, lakes, rivers and places around a forecast."""
        return answer(request, _geography(gallery.open(forecast).grid), "application/json")

    @routes.get("/data/{forecast}/point.json", responses=MISSING, tags=["page"])
    def point(request: Request, forecast: ForecastId, lon: Lon, lat: Lat) -> Response:
        """The rain of a place: seen, foreseen with how sure that is, and what gauges measured."""
        opened = gallery.open(forecast)
        found = timeline(opened, gallery.seen, lon=lon, lat=lat)
        found["stations"] = gallery.near(lon=lon, lat=lat)
        if gallery.gauges.known:
            found |= gallery.gauges.near(opened, lon=lon, lat=lat)
        return json_answer(request, found)

    @routes.get("/data/{forecast}/gauges.json", responses=MISSING, tags=["page"])
    def gauges(request: Request, forecast: ForecastId) -> Response:
        """What the gauges on the forecast's grid measured (mm/h), from two hours before issue."""
        return json_answer(request, gallery.gauges.around(gallery.open(forecast)))

    @routes.get("/data/skill.json", tags=["page"])
    def skill(request: Request) -> Response:
        """Scores of what was forecast, by method, lead and threshold, and reliability."""
        return json_answer(request, gallery.skill.facts())

    @routes.get("/data/{forecast}/cells.json", responses=MISSING, tags=["page"])
    def cells(request: Request, forecast: ForecastId) -> Response:
        """Storm cells at issue time: outline, where they came from, where they go."""
        return json_answer(request, gallery.cells(forecast))

    @routes.get("/data/{forecast}/motion.json", responses=MISSING, tags=["page"])
    def motion(request: Request, forecast: ForecastId) -> Response:
        """Where what is at a place will be in so many minutes: [lon, lat, lon, lat] of arrows."""
        return json_answer(request, motion_facts(gallery.open(forecast)))

    @routes.get(
        "/data/{forecast}/{layer}/{time}.png",
        response_class=Response,
        responses=PNG,
        tags=["pictures"],
    )
    def picture(request: Request, forecast: ForecastId, layer: LayerId, time: TimeId) -> Response:
        """A layer at a time, in Web Mercator, over the bounds that ``forecast.json`` names."""
        body = gallery.picture(forecast, layer, time)
        return answer(request, body, "image/png", seconds=_PICTURE_SECONDS)

    return routes


def assets_router() -> APIRouter:
    """The page's files."""
    routes = APIRouter()

    @routes.get("/{name:path}", include_in_schema=False)
    async def asset(request: Request, name: str) -> Response:  # nothing that waits: no thread
        found = page.assets().get(name)
        if found is None:
            raise HTTPException(404, "there is no such page")
        return answer(request, found.body, found.kind)

    return routes


@lru_cache(maxsize=8)
def _geography(grid: Grid) -> bytes:
    text = json.dumps(geography_of(grid), ensure_ascii=False, separators=(",", ":"))
    return text.encode()
