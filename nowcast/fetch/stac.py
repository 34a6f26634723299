"""Assets of STAC items, one item or page after page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nowcast.fetch.answers import json_object, objects, size, text
from nowcast.fetch.base import Link, Remote
from nowcast.fetch.guard import shown
from nowcast.fetch.links import file_name, joined
from nowcast.fetch.pages import pages
from nowcast.field.errors import AnswerError

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterator

    from nowcast.fetch.web import Web

_MOST_PAGES = 100
# A multihash says which digest follows, and how long it is: SHA-256, 32 bytes; MD5, 16 bytes.
_MULTIHASHES = {"1220": ("sha256", 64), "d50110": ("md5", 32)}


@dataclass(frozen=True)
class StacListing:
    """The assets of items.

    Attributes:
        web: asks the server.
        urls: templates of URLs of items, or of a collection's items.

    """

    web: Web
    urls: tuple[str, ...]

    def list(self, since: dt.datetime) -> Iterator[Remote]:
        """The assets of the items of that time, page by page; raises FetchError."""
        for first in pages(self.urls, since=since, until=self.web.clocks.now()):
            url, seen = first, set[str]()
            while url and url not in seen:
                if len(seen) == _MOST_PAGES:
                    raise AnswerError(f"{shown(first)}: more than {_MOST_PAGES} pages")
                seen.add(url)
                body = self.web.page(Link(url))
                content = json_object(body, url) if body is not None else {}
                items = objects(content.get("features")) or [content]
                for item in items:
                    yield from _assets(item, url)
                url = _next(content, url)

    def link(self, remote: Remote) -> Link:
        """The asset's own URL."""
        return Link(remote.url)


def _assets(item: dict[str, Any], url: str) -> Iterator[Remote]:
    assets = item.get("assets")
    for asset in objects(list(assets.values()) if isinstance(assets, dict) else None):
        target = joined(url, text(asset.get("href")))
        digest = _digest(text(asset.get("file:checksum")) or text(asset.get("checksum:multihash")))
        bytes_ = size(asset.get("file:size"))
        tag = " ".join(filter(None, [digest, text(asset.get("updated")), str(bytes_ or "")]))
        yield Remote(
            name=file_name(target),
            url=target,
            tag=tag,
            size=bytes_,
            digest=digest,
        )


def _digest(multihash: str) -> str:
    for prefix, (algorithm, length) in _MULTIHASHES.items():
        digits = multihash.lower().removeprefix(prefix)
        if len(digits) == length and len(multihash) == length + len(prefix):
            return f"{algorithm}:{digits}"
    return ""


def _next(content: dict[str, Any], url: str) -> str:
    """The URL of the next page; empty on the last one. A page that wants a POST is not followed."""
    for link in objects(content.get("links")):
        if link.get("rel") == "next" and text(link.get("method") or "GET").upper() == "GET":
            return joined(url, text(link.get("href")))
    return ""
