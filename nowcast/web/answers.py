"""Answers as browsers want them: packed where that helps, and not sent twice."""

from __future__ import annotations

import gzip
import hashlib
import json
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from starlette.responses import Response

if TYPE_CHECKING:
    from starlette.requests import Request

_WORTH_PACKING = 1400  # bytes: what fits into one packet anyway
_PACKED_KINDS = ("text/", "application/json", "application/prs.", "image/svg")


def answer(request: Request, body: bytes, kind: str, *, seconds: int = 0) -> Response:
    """The body, or 304 where the client has it already; it may be kept for ``seconds``."""
    tag = f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'
    headers = {
        "etag": tag,
        "cache-control": f"private, max-age={seconds}" if seconds else "no-cache",
        "vary": "accept-encoding",
    }
    known = [part.strip().removeprefix("W/") for part in _header(request, "if-none-match")]
    if tag in known:
        return Response(status_code=304, headers=headers)
    packs = any(part.strip().startswith("gzip") for part in _header(request, "accept-encoding"))
    if packs and len(body) > _WORTH_PACKING and kind.startswith(_PACKED_KINDS):
        body = _packed(body)
        headers["content-encoding"] = "gzip"
    return Response(body, media_type=kind, headers=headers)


def json_answer(request: Request, value: Any) -> Response:
    """A value as JSON, always asked for anew."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return answer(request, text.encode(), "application/json")


@lru_cache(maxsize=64)
def _packed(body: bytes) -> bytes:
    """Kept, because the page's files and geography are asked for by every visitor."""
    return gzip.compress(body, compresslevel=6, mtime=0)


def _header(request: Request, name: str) -> list[str]:
    return request.headers.get(name, "").split(",")
