"""An HTTP server on loopback: files with ETags and ranges, and faults when they are asked for."""

from __future__ import annotations

import hashlib
import ssl
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar


@dataclass(frozen=True)
class Fault:
    """What happens instead of an answer, or to it.

    Attributes:
        status: sent instead of the file's; None sends the file.
        body: sent instead of the file; None sends the file.
        headers: added.
        cut: bytes of the body after which the connection is closed.
        drip_seconds: between two pieces of 64 bytes.

    """

    status: int | None = None
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: int | None = None
    drip_seconds: float = 0.0


@dataclass(frozen=True)
class Asked:
    """A request as it came."""

    path: str
    query: str
    headers: Mapping[str, str]


Dynamic = Callable[[Asked], bytes]


class Server:
    """Paths and what stands there; what was asked; the faults still to come, path by path."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.files: dict[str, bytes | Dynamic] = {}
        self.types: dict[str, str] = {}
        self.faults: dict[str, list[Fault]] = defaultdict(list)
        self.asked: list[Asked] = []
        self.weak = False
        self.no_validators = False
        handler = type("Handler", (_Handler,), {"site": self})
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._http.daemon_threads = True
        if tls is not None:
            self._http.socket = tls.wrap_socket(
                self._http.socket, server_side=True, do_handshake_on_connect=False
            )
        self._thread = threading.Thread(
            target=self._http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
        )

    def __enter__(self) -> Server:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self._http.server_address[1]}"

    @property
    def url(self) -> str:
        return f"http://{self.host}"

    def count(self, path: str) -> int:
        """How often a path was asked for."""
        return sum(asked.path == path for asked in self.asked)


def etag(body: bytes) -> str:
    return f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"'


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    site: ClassVar[Any]
    timeout = 5
    disable_nagle_algorithm = True  # or each answer of two writes takes 40 ms

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        headers = {name.lower(): value for name, value in self.headers.items()}
        asked = Asked(path, query, headers)
        self.site.asked.append(asked)
        faults = self.site.faults[path]
        fault = faults.pop(0) if faults else Fault()
        status, extra, body = self._answer(asked)
        if fault.status is not None:
            status, extra, body = fault.status, {}, b""
        if fault.body is not None:
            body, extra = fault.body, {}
        self._send(status, {**extra, **fault.headers}, body, fault)

    def _answer(self, asked: Asked) -> tuple[int, dict[str, str], bytes]:
        found = self.site.files.get(asked.path)
        if found is None:
            return 404, {}, b"not here"
        body = found(asked) if callable(found) else found
        tag = ("W/" if self.site.weak else "") + etag(body)
        extra = {} if self.site.no_validators else {"ETag": tag}
        if asked.headers.get("if-none-match") == tag:
            return 304, extra, b""
        start = asked.headers.get("range", "").removeprefix("bytes=").removesuffix("-")
        if start and asked.headers.get("if-range") == tag:
            at = int(start)
            if at >= len(body):
                return 416, {"Content-Range": f"bytes */{len(body)}"}, b""
            said = f"bytes {at}-{len(body) - 1}/{len(body)}"
            return 206, {**extra, "Content-Range": said}, body[at:]
        return 200, extra, body

    def _send(self, status: int, headers: dict[str, str], body: bytes, fault: Fault) -> None:
        self.send_response(status)
        lengths = {} if status == 304 else {"Content-Length": str(len(body))}
        kind = {"Content-Type": self.site.types.get(self.path.partition("?")[0], "text/html")}
        for name, value in ({**kind, **lengths} | headers).items():
            self.send_header(name, value)
        self.end_headers()
        sent = body if fault.cut is None else body[: fault.cut]
        try:
            if fault.drip_seconds:
                for at in range(0, len(sent), 64):
                    self.wfile.write(sent[at : at + 64])
                    time.sleep(fault.drip_seconds)
            elif status != 304:
                self.wfile.write(sent)
        except OSError:
            self.close_connection = True
        if fault.cut is not None:
            self.close_connection = True
