"""The viewer as a process that serves until it is interrupted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import uvicorn

from nowcast.field.errors import UsageError
from nowcast.web.app import Door, application
from nowcast.web.guard import is_loopback
from nowcast.web.page import assets

if TYPE_CHECKING:
    from nowcast.web.gallery import Gallery

_BACKLOG = 256
_IDLE_SECONDS = 20


def server(gallery: Gallery, *, host: str, port: int, door: Door | None = None) -> uvicorn.Server:
    """A server of the viewer, not started yet; raises UsageError for an open door without token.

    Beyond the loopback everybody in the network could look, so a token is asked for there.
    """
    door = door or Door()
    if not is_loopback(host) and not door.token:
        raise UsageError(
            f"--host {host} is reached from other machines: give --token-file FILE with a secret "
            "word, or stay on 127.0.0.1"
        )
    assets()
    own = (host.lower(), *door.hosts)
    app = application(gallery, door=Door(hosts=own, token=door.token))
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        log_level="warning",
        access_log=False,
        server_header=False,
        backlog=_BACKLOG,
        timeout_keep_alive=_IDLE_SECONDS,
        lifespan="off",
    )
    return uvicorn.Server(config)
