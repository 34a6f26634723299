"""``/livez``, ``/readyz`` and ``/metrics`` over HTTP, for whoever watches over the service."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from nowcast.field.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from nowcast.service.operators.metrics import Metrics

_PATIENCE_SECONDS = 5.0  # for a client that says nothing


@dataclass(frozen=True)
class Health:
    """Whether the service lives, and whether it does what it is for.

    Attributes:
        metrics: what is known.
        stall_seconds: without a finished tick for so long it does not live.
        ready_cadences: without a forecast for so many cadences it is not ready.

    """

    metrics: Metrics
    stall_seconds: float = 60.0
    ready_cadences: float = 4.0

    def live(self) -> str:
        """Why it does not live; empty where it does."""
        age = self.metrics.tick_age()
        return f"no tick was finished for {age:.0f} s" if age > self.stall_seconds else ""

    def ready(self) -> str:
        """Why it is not ready; empty where it is."""
        limit = self.ready_cadences * self.metrics.cadence_seconds
        silence = self.metrics.silence()
        if silence == float("inf"):
            return self.live() or "nothing has been published yet"
        return self.live() or (
            f"nothing was published for {silence:.0f} s" if silence > limit else ""
        )

    def answer(self, environ: dict[str, object], start: Callable[..., object]) -> Iterable[bytes]:
        """WSGI: one of the three pages, to GET and HEAD."""
        path, method = environ.get("PATH_INFO"), environ.get("REQUEST_METHOD")
        status, kind, body = HTTPStatus.OK, "text/plain; charset=utf-8", ""
        match path:
            case "/livez" | "/readyz":
                problem = self.live() if path == "/livez" else self.ready()
                status = HTTPStatus.SERVICE_UNAVAILABLE if problem else HTTPStatus.OK
                body = f"{problem or 'ok'}\n"
            case "/metrics":
                kind, body = CONTENT_TYPE_LATEST, generate_latest(self.metrics.registry).decode()
            case _:
                status, body = HTTPStatus.NOT_FOUND, "here are /livez, /readyz and /metrics\n"
        if method not in {"GET", "HEAD"}:
            status, body = HTTPStatus.METHOD_NOT_ALLOWED, "GET and HEAD only\n"
        content = body.encode()
        headers = [
            ("Content-Type", kind),
            ("Content-Length", str(len(content))),
            ("Cache-Control", "no-store"),
            ("X-Content-Type-Options", "nosniff"),
        ]
        start(f"{status.value} {status.phrase}", headers)
        return [b""] if method == "HEAD" else [content]


class _Quiet(WSGIRequestHandler):
    """A handler that writes no line a request, and does not wait for ever."""

    timeout = _PATIENCE_SECONDS

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - of the seam
        pass


@dataclass
class HealthServer:
    """Answers on a thread of its own, one request at a time.

    Attributes:
        health: what is answered.
        port: on the loopback address; 0 takes a free one.
        host: the address; others than loopback are for containers.

    """

    health: Health
    port: int = 9464
    host: str = "127.0.0.1"
    _server: WSGIServer | None = None
    _thread: threading.Thread = field(default_factory=threading.Thread)

    def start(self) -> int:
        """Begin to answer; the port. Raises UsageError where it is taken."""
        try:
            server = make_server(self.host, self.port, self.health.answer, handler_class=_Quiet)
        except OSError as error:
            raise UsageError(
                f"monitor.port {self.port}: cannot be listened on at {self.host}: "
                f"{error.strerror or error}; give another one, or 0 for none"
            ) from error
        self._server = server
        self._thread = threading.Thread(
            target=server.serve_forever, args=(0.1,), name="health", daemon=True
        )
        self._thread.start()
        return int(server.server_port)

    def __enter__(self) -> HealthServer:
        """Begin to answer."""
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        """Answer no more."""
        self.stop()

    def stop(self) -> None:
        """Answer no more."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._thread.join()
            self._server = None
