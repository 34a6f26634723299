"""Data sets of the KNMI data platform: a list of files, and a URL for a while for each."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

from nowcast.fetch.answers import json_object, objects, size, text
from nowcast.fetch.base import Link, Remote
from nowcast.fetch.guard import shown
from nowcast.field.errors import AnswerError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic import SecretStr

    from nowcast.fetch.web import Web

_MOST_PAGES = 100
_FILES_A_PAGE = 100


@dataclass(frozen=True)
class KnmiListing:
    """The files of one version of one data set.

    Attributes:
        web: asks the server.
        url: of the data set's ``files``.
        key: the API key, sent to the API alone and not to where it says that files are.

    """

    web: Web
    url: str
    key: SecretStr

    def list(self, since: dt.datetime) -> Iterator[Remote]:
        """The files changed since then, the newest change first; raises FetchError."""
        token = ""
        for _ in range(_MOST_PAGES):
            query = {"maxKeys": str(_FILES_A_PAGE), "orderBy": "lastModified", "sorting": "desc"}
            asked = query | ({"nextPageToken": token} if token else {})
            page = self.web.patience.call(partial(self._ask, self.url, asked))
            files = objects(page.get("files"))
            for item in files:
                yield self._remote(text(item.get("filename")), item)
            token = text(page.get("nextPageToken"))
            if not page.get("isTruncated") or not token or (files and _is_before(files[-1], since)):
                return
        raise AnswerError(f"{shown(self.url)}: more than {_MOST_PAGES} pages")

    def link(self, remote: Remote) -> Link:
        """A URL made for this download, good for a while."""
        found = text(self._ask(remote.url, {}).get("temporaryDownloadUrl"))
        if not found:
            raise AnswerError(f"{shown(remote.url)}: no temporaryDownloadUrl in the answer")
        return Link(found)

    def _remote(self, name: str, item: dict[str, object]) -> Remote:
        bytes_ = size(item.get("size"))
        return Remote(
            name=name,
            url=f"{self.url}/{quote(name, safe='')}/url",
            tag=f"{text(item.get('lastModified'))} {bytes_ or ''}",
            size=bytes_,
        )

    def _ask(self, url: str, query: dict[str, str]) -> dict[str, object]:
        asked = f"{url}?{urlencode(query)}" if query else url
        body = self.web.look(Link(asked, {"authorization": self.key}))
        if body is None:
            raise UnavailableError(f"{shown(url)}: status 404", status=404)
        return json_object(body, url)


def _is_before(item: dict[str, object], since: dt.datetime) -> bool:
    try:
        changed = dt.datetime.fromisoformat(text(item.get("lastModified")))
    except ValueError:
        return False
    return (changed if changed.tzinfo else changed.replace(tzinfo=dt.UTC)) < since
