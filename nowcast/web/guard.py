"""Who may ask what: the server's front door, passed by every request before any of our code."""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlencode

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse, RedirectResponse, Response

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

COOKIE = "nowcast_token"
_LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")
_HEADERS = {
    # Scripts, styles and data from here alone, no inline code; blob: and data: for painted images.
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
        "connect-src 'self'; font-src 'self'; manifest-src 'self'; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'"
    ),
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "geolocation=(self), camera=(), microphone=()",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}


def is_loopback(host: str) -> bool:
    """Whether an address to listen at is reached from this machine alone."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@dataclass(frozen=True)
class Guard:
    """An ASGI application that lets through what is allowed.

    GET and HEAD alone. The Host header must be a name of ours, or a page elsewhere could have its
    own name lead here and read everything (DNS rebinding). Where a token is set it must be sent, as
    ``Authorization: Bearer TOKEN``, or once as ``?token=TOKEN``, for which a cookie is given.

    Attributes:
        app: what is guarded.
        hosts: names and addresses that it goes by, beside those of the loopback.
        token: empty where none is needed.

    """

    app: ASGIApp
    hosts: tuple[str, ...] = ()
    token: str = ""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or have it answered."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self.app(scope, receive, send)
            return
        answer = _Answer(send, without_body=scope["method"] == "HEAD")
        refused = self._refused(scope)
        if refused is not None:
            await refused(scope, receive, answer)
            return
        await self.app({**scope, "method": "GET"}, receive, answer)

    def _refused(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        if scope["method"] not in {"GET", "HEAD"}:
            return JSONResponse(
                {"detail": "only GET and HEAD"}, status_code=405, headers={"allow": "GET, HEAD"}
            )
        if _name(headers.get("host", "")) not in {*_LOOPBACK_NAMES, *self.hosts}:
            return JSONResponse({"detail": "this server does not go by that name"}, status_code=421)
        return self._not_authorised(scope, headers) if self.token else None

    def _not_authorised(self, scope: Scope, headers: Headers) -> Response | None:
        kind, _, said = headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer" and self._is_token(said.strip()):
            return None
        if self._is_token(_cookie(headers)):
            return None
        query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        if self._is_token(dict(query).get("token", "")):
            rest = urlencode([(key, value) for key, value in query if key != "token"])
            # Relative and within this folder, so that no foreign address can be made of it.
            here = scope["path"].rpartition("/")[2] or "."
            found = RedirectResponse(f"./{here}{'?' * bool(rest)}{rest}", status_code=303)
            found.set_cookie(COOKIE, self.token, httponly=True, samesite="strict")
            return found
        return JSONResponse(
            {"detail": "a token is needed: Authorization: Bearer TOKEN, or once ?token=TOKEN"},
            status_code=401,
            headers={"www-authenticate": "Bearer"},
        )

    def _is_token(self, said: str) -> bool:
        return hmac.compare_digest(said.encode(), self.token.encode())


@dataclass(frozen=True)
class _Answer:
    """What is sent, with the headers that every answer has; without a body to HEAD."""

    send: Send
    without_body: bool

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers.setdefault(name, value)
        elif self.without_body and message["type"] == "http.response.body":
            message = {**message, "body": b""}
        await self.send(message)


def _cookie(headers: Headers) -> str:
    try:
        found = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return ""
    return found.value if found else ""


def _name(host: str) -> str:
    """The Host header without its port, in small letters; IPv6 without brackets."""
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.partition(":")[0].lower()
