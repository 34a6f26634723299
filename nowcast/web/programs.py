"""Routes for programs: XYZ tiles, a list of them as RainViewer has it, and files."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from fastapi import APIRouter, HTTPException, Path, Request
from fastapi.responses import FileResponse, Response

from nowcast.products.description import stamp
from nowcast.web import facts
from nowcast.web.answers import answer, json_answer
from nowcast.web.gallery import Tile
from nowcast.web.look import MISSING, PNG, ForecastId, LayerId, TimeId

if TYPE_CHECKING:
    from nowcast.web.files import Files
    from nowcast.web.gallery import Gallery

HIGHEST_ZOOM = 12
Zoom = Annotated[int, Path(ge=0, le=HIGHEST_ZOOM, description="Zoom level.")]
Place = Annotated[int, Path(ge=0, lt=2**HIGHEST_ZOOM, description="Number of the tile.")]
Size = Annotated[str, Path(pattern=r"^(?:256|512)$", description="Pixels a side.")]
FILE_NAME = r"^[A-Za-z0-9_.-]{1,100}$"
_SECONDS = 300


def router(gallery: Gallery, files: Files) -> APIRouter:
    """The routes for programs."""
    routes = APIRouter()
    painted = partial(_painted, gallery)

    @routes.get(
        "/tiles/{forecast}/{layer}/{time}/{z}/{x}/{y}.png",
        response_class=Response,
        responses=PNG,
        tags=["tiles"],
    )
    def tile(  # noqa: PLR0913, PLR0917 - the parts of the address
        request: Request,
        forecast: ForecastId,
        layer: LayerId,
        time: TimeId,
        z: Zoom,
        x: Place,
        y: Place,
    ) -> Response:
        """An XYZ tile of a layer at a time, 256 pixels a side."""
        return painted(request, forecast, layer, time, Tile(z, x, y))

    @routes.get("/public/weather-maps.json", tags=["tiles"])
    def weather_maps(request: Request) -> Response:
        """The newest forecast's frames as RainViewer lists its own."""
        return json_answer(request, _weather_maps(gallery, str(request.base_url).rstrip("/")))

    @routes.get(
        "/v2/radar/{unix}/{size}/{z}/{x}/{y}/{colours}/{options}.png",
        response_class=Response,
        responses=PNG,
        tags=["tiles"],
    )
    def rainviewer_tile(  # noqa: PLR0913, PLR0917 - the parts of RainViewer's address
        request: Request,
        unix: Annotated[int, Path(ge=0, le=2**33, description="Valid time, seconds of 1970.")],
        size: Size,
        z: Zoom,
        x: Place,
        y: Place,
        colours: Annotated[
            int, Path(ge=0, le=255, description="Our only scale, whatever is said.")
        ],
        options: Annotated[str, Path(pattern=r"^[01]_[01]$", description="Taken, not used.")],
    ) -> Response:
        """A tile of the newest forecast, or of the radar before it, at a time of weather-maps."""
        del colours, options
        name, layer, time = _frame_at(gallery, unix)
        return painted(request, name, layer, time, Tile(z, x, y, int(size)))

    @routes.get(
        "/data/{forecast}/files/{name}",
        response_class=FileResponse,
        responses={200: {"content": {"application/octet-stream": {}}}, **MISSING},
        tags=["files"],
    )
    def file(
        forecast: ForecastId,
        name: Annotated[str, Path(pattern=FILE_NAME, description="As files.json names it.")],
    ) -> Response:
        """A file of a forecast: NetCDF as published, COG and zipped Zarr made of it when asked."""
        found = files.find(gallery.find(forecast), name)
        if found is None:
            raise HTTPException(404, "no such file")
        return FileResponse(found, filename=name, media_type="application/octet-stream")

    @routes.get("/data/{forecast}/files.json", responses=MISSING, tags=["files"])
    def file_list(request: Request, forecast: ForecastId) -> Response:
        """What can be downloaded of a forecast."""
        return json_answer(request, {"files": files.names(gallery.find(forecast))})

    return routes


def _painted(
    gallery: Gallery, request: Request, name: str, layer: str, time: str, tile: Tile
) -> Response:
    if max(tile.column, tile.row) >= 2**tile.zoom:
        raise HTTPException(404, f"no such tile at zoom {tile.zoom}")
    body = gallery.tile(name, layer, time, address=tile)
    return answer(request, body, "image/png", seconds=_SECONDS)


def _weather_maps(gallery: Gallery, host: str) -> dict[str, Any]:
    """https://www.rainviewer.com/api/weather-maps-api.html, version 2.0."""
    past: list[dict[str, Any]] = []
    ahead: list[dict[str, Any]] = []
    for listed in gallery.listed()[:1]:
        opened = gallery.open(listed.id)
        radar = gallery.layers(opened).get("radar")
        for frame in facts.frames(opened, radar.times if radar else ()):
            unix = _unix(frame["time"])
            kind = past if frame["kind"] == "radar" else ahead
            kind.append({"time": unix, "path": f"/v2/radar/{unix}"})
    return {
        "version": "2.0",
        "generated": int(gallery.clock().timestamp()),
        "host": host,
        "radar": {"past": past, "nowcast": ahead},
        "satellite": {"infrared": []},
    }


def _frame_at(gallery: Gallery, unix: int) -> tuple[str, str, str]:
    """Forecast, layer and time of a frame of weather-maps."""
    time = stamp(np.datetime64(unix, "s"))
    for listed in gallery.listed()[:1]:
        opened = gallery.open(listed.id)
        return listed.id, "rate" if time in opened.times else "radar", time
    raise HTTPException(404, "no forecast yet")


def _unix(time: str) -> int:
    return int(facts.moment(time).astype("datetime64[s]").astype(int))
