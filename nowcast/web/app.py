"""The viewer as an ASGI application: routes to what is on show, behind a guard."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import metadata
from typing import TYPE_CHECKING

from fastapi import FastAPI
from fastapi.responses import JSONResponse

from nowcast.field.errors import FormatError, MissingFramesError, NowcastError
from nowcast.web import edr, look, programs
from nowcast.web.files import Files
from nowcast.web.guard import Guard
from nowcast.web.warm import Warmer

if TYPE_CHECKING:
    from fastapi import Request
    from starlette.types import ASGIApp

    from nowcast.web.gallery import Gallery

_DESCRIPTION = "Radar nowcasts as pictures, tiles, coverages and files. All times are UTC."


@dataclass(frozen=True)
class Door:
    """How the viewer is reached: names it goes by beside the loopback's, and the token it wants."""

    hosts: tuple[str, ...] = ()
    token: str = ""


def application(gallery: Gallery, *, door: Door | None = None) -> ASGIApp:
    """The whole viewer."""
    door = door or Door()
    # No pages of FastAPI's: they load scripts from elsewhere.
    app = FastAPI(
        title="MIM Nowcast",
        description=_DESCRIPTION,
        version=metadata.version("mim-nowcast"),
        docs_url=None,
        redoc_url=None,
    )
    app.add_exception_handler(NowcastError, _problem)
    app.add_exception_handler(Exception, _fault)
    warmer = Warmer(gallery)
    for routes in (
        look.router(gallery, warmer),
        programs.router(gallery, Files()),
        edr.router(gallery),
        look.assets_router(),  # last: it takes every address that is left
    ):
        app.include_router(routes)
    app.openapi()  # builds every route now: later it would be while other threads are at work
    warmer.look()
    return Guard(app, hosts=door.hosts, token=door.token)


async def _problem(_: Request, error: Exception) -> JSONResponse:
    """What was asked for is not there; messages name paths of ours, so none is passed on."""
    if isinstance(error, MissingFramesError):
        return JSONResponse({"detail": "no such forecast, layer or time"}, status_code=404)
    if isinstance(error, FormatError):
        return JSONResponse({"detail": "this forecast cannot be read"}, status_code=404)
    return await _fault(_, error)


async def _fault(_: Request, __: Exception) -> JSONResponse:
    return JSONResponse({"detail": "a fault of ours"}, status_code=500)
