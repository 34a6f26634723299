"""Directory indexes over HTTP, as Apache, nginx and DWD write them."""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import lxml.etree
import lxml.html

from nowcast.fetch.base import Link, Remote
from nowcast.fetch.guard import shown
from nowcast.fetch.links import file_name, joined
from nowcast.fetch.pages import pages
from nowcast.field.errors import AnswerError

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterator

    from nowcast.fetch.web import Web

# nginx: day, time, bytes. Apache rounds sizes to 1.2M, which say nothing exact.
_EXACT_SIZE = re.compile(r"\d{1,2}-\w{3}-\d{4} \d{2}:\d{2}(?::\d{2})? +([0-9]{1,18})")
_LONGEST_TAG = 80
_CELLS = 3


@dataclass(frozen=True)
class IndexListing:
    """Folders whose pages link to the files in them.

    Attributes:
        web: asks the server.
        urls: templates of the folders' URLs.

    """

    web: Web
    urls: tuple[str, ...]

    def list(self, since: dt.datetime) -> Iterator[Remote]:
        """The files in the folders of that time, the newest folder first; raises FetchError."""
        for url in pages(self.urls, since=since, until=self.web.clocks.now()):
            body = self.web.page(Link(url))
            if body is not None:
                yield from _files(body, url)

    def link(self, remote: Remote) -> Link:
        """The file's own URL."""
        return Link(remote.url)


def _files(body: bytes, url: str) -> Iterator[Remote]:
    """The links of a page to files of its own folder, and what stands beside each."""
    try:
        page = lxml.html.document_fromstring(body)
    except (lxml.etree.LxmlError, ValueError) as error:
        raise AnswerError(f"{shown(url)}: not a directory index, but {body[:40]!r}") from error
    folder = url if url.endswith("/") else f"{url}/"
    for link in page.iter("a"):
        target = joined(folder, str(link.get("href", "")))
        name = file_name(target)
        # Only what lies in this very folder: neither its parent nor a page sorted otherwise.
        if name and target.rpartition("/")[0] == folder[:-1] and "?" not in target:
            beside = _beside(link)
            size = _EXACT_SIZE.fullmatch(beside)
            yield Remote(
                name=name,
                url=target,
                tag=beside[:_LONGEST_TAG],
                size=int(size[1]) if size else None,
            )


def _beside(link: lxml.html.HtmlElement) -> str:
    """The date and size that follow a link, as plain text or in the next cells of its row."""
    cell = link.getparent()
    cells = cell.itersiblings("td") if cell is not None and cell.tag == "td" else ()
    cells = itertools.islice(cells, _CELLS)
    text = " ".join([link.tail or "", *(other.text_content() for other in cells)])
    return " ".join(text.split())
