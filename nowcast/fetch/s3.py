"""Buckets that anyone may list, by ListObjectsV2.

Listing and reading a public bucket are plain GETs. The libraries for S3 would make them by
connections of their own, whose addresses nobody has looked at, so they are made by Web like all
others.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

import lxml.etree

from nowcast.fetch.base import Link, Remote
from nowcast.fetch.guard import shown
from nowcast.fetch.pages import pages
from nowcast.field.errors import AnswerError

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterator

    from nowcast.fetch.web import Web

_MOST_PAGES = 100
_SIZE = re.compile(r"[0-9]{1,18}")
_MD5 = re.compile(r'"?([0-9a-f]{32})"?')


@dataclass(frozen=True)
class S3Listing:
    """The objects of a bucket under some prefixes.

    Attributes:
        web: asks the server.
        bucket: the bucket's URL.
        prefixes: templates of key prefixes.
        etag_is_md5: whether an ETag of 32 hexadecimal digits is the object's MD5.

    """

    web: Web
    bucket: str
    prefixes: tuple[str, ...]
    etag_is_md5: bool = True

    def list(self, since: dt.datetime) -> Iterator[Remote]:
        """The objects under the prefixes of that time, page by page; raises FetchError."""
        for prefix in pages(self.prefixes, since=since, until=self.web.clocks.now()):
            token = ""
            for _ in range(_MOST_PAGES):
                root = self._page(prefix, token)
                for item in root.iterfind("{*}Contents"):
                    yield self._remote(item)
                token = root.findtext("{*}NextContinuationToken") or ""
                if not token:
                    break
            else:
                raise AnswerError(
                    f"{shown(self.bucket)}: more than {_MOST_PAGES} pages under {prefix!r}: "
                    "a longer prefix is needed"
                )

    def link(self, remote: Remote) -> Link:
        """The object's own URL."""
        return Link(remote.url)

    def _page(self, prefix: str, token: str) -> lxml.etree._Element:
        query = {"list-type": "2", "prefix": prefix}
        if token:
            query["continuation-token"] = token
        url = f"{self.bucket.rstrip('/')}/?{urlencode(query, quote_via=quote)}"
        body = self.web.page(Link(url))
        # No entity is looked up and no other file read, whatever the answer asks for.
        parser = lxml.etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
        try:
            root = lxml.etree.fromstring(body or b"", parser)
        except (lxml.etree.LxmlError, ValueError) as error:
            raise AnswerError(
                f"{shown(url)}: not a listing of S3: {(body or b'')[:40]!r}"
            ) from error
        if lxml.etree.QName(root).localname != "ListBucketResult":
            raise AnswerError(f"{shown(url)}: not a listing of S3, but {str(root.tag)[:60]!r}")
        return root

    def _remote(self, item: lxml.etree._Element) -> Remote:
        key, tag, size = (item.findtext(f"{{*}}{name}") or "" for name in ("Key", "ETag", "Size"))
        md5 = _MD5.fullmatch(tag) if self.etag_is_md5 else None
        return Remote(
            name=key.rpartition("/")[2],
            url=f"{self.bucket.rstrip('/')}/{quote(key)}",
            tag=tag or (item.findtext("{*}LastModified") or ""),
            size=int(size) if _SIZE.fullmatch(size) else None,
            digest=f"md5:{md5[1]}" if md5 else "",
        )
