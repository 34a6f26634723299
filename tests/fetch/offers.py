"""The same files offered in every way that a source can list: what the contract is tried on."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote

from misbehaving import Asked, Server, etag

from config.source import SourceProfile
from nowcast import build_fetching
from nowcast.fetch.clocks import Clocks
from nowcast.fetch.collect import Collector, Fetched, Problem
from nowcast.fetch.web import Web

HDF5 = b"\x89HDF\r\n\x1a\n"
NAME = "RAD_NL25_RAC_RT_{time:%Y%m%d%H%M}.h5"


def utc(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


def named(text: str) -> str:
    """The name of the frame of a time."""
    return NAME.format(time=utc(text))


def frame(text: str, size: int = 3000) -> bytes:
    """A body that begins as HDF5 does and is like no other."""
    return (HDF5 + text.encode() * (size // len(text) + 1))[:size]


def profile_of(host: str, listing: dict[str, Any], **changes: Any) -> SourceProfile:
    """A source on loopback."""
    said: dict[str, Any] = {
        "name": "test",
        "title": "A test",
        "feed": "knmi",
        "listing": listing,
        "hosts": [host],
        "allow_http": True,
        "allow_private": True,
        "local": NAME,
        "requests_per_minute": 1e6,
    }
    return SourceProfile.model_validate(said | changes)


@dataclass
class Offer:
    """Files on a server, and the kind of listing that shows them.

    Attributes:
        server: where.
        kind: of listing: apache, nginx, dwd, plain, s3, stac or knmi.
        names: what is offered, and when each was changed.
        page_size: entries a page, where the kind has pages.
        signature: of URLs that are made for a while.

    """

    server: Server
    kind: str
    names: dict[str, dt.datetime] = field(default_factory=dict)
    page_size: int = 1000
    signature: str = "signed"
    changes: int = 0

    def put(self, name: str, body: bytes) -> None:
        """Offer a file, or another version of it."""
        self.changes += 1
        self.names[name] = utc("2026-06-01T11:00") + dt.timedelta(minutes=self.changes)
        self.server.files[f"/files/{quote(name)}"] = body

    def path(self, name: str) -> str:
        """The path of a file on the server."""
        return f"/files/{quote(name)}"

    def body(self, name: str) -> bytes:
        found = self.server.files[self.path(name)]
        assert isinstance(found, bytes)
        return found

    @property
    def listed_at(self) -> str:
        """The path of the listing."""
        paths = {"s3": "/", "stac": "/items", "knmi": "/datasets/files"}
        return paths.get(self.kind, "/files/")

    def profile(self, **changes: Any) -> SourceProfile:
        """A source that lists the files so."""
        listings: dict[str, dict[str, Any]] = {
            "s3": {"kind": "s3", "bucket": self.server.url, "prefix": "files/"},
            "stac": {"kind": "stac", "url": f"{self.server.url}/items"},
            "knmi": {
                "kind": "knmi",
                "url": f"{self.server.url}/datasets/files",
                "key": {"env": "TEST_KNMI_KEY"},
            },
        }
        listing = listings.get(self.kind, {"kind": "index", "url": f"{self.server.url}/files/"})
        self._serve()
        return profile_of(self.server.host, listing, **changes)

    def _serve(self) -> None:
        pages: dict[str, Callable[[Asked], bytes]] = {
            "apache": self._apache,
            "nginx": self._nginx,
            "dwd": self._dwd,
            "plain": self._plain,
            "s3": self._s3,
            "stac": self._stac,
            "knmi": self._knmi,
        }
        self.server.files[self.listed_at] = pages[self.kind]
        if self.kind == "knmi":
            for name in self.names:
                self.server.files[f"{self.listed_at}/{quote(name)}/url"] = self._temporary(name)

    def _apache(self, _: Asked) -> bytes:
        rows = "".join(
            f'<tr><td><img src="/icons/x.gif" alt="[   ]"></td><td><a href="{quote(n)}">'
            f'{n[:20]}..&gt;</a></td><td align="right">{t:%Y-%m-%d %H:%M}  </td>'
            f'<td align="right">2.9K</td><td>&nbsp;</td></tr>\n'
            for n, t in self.names.items()
        )
        return (
            "<!DOCTYPE HTML><html><head><title>Index of /files</title></head><body><table>"
            '<tr><th><a href="?C=N;O=D">Name</a></th><th><a href="?C=M;O=A">Last modified</a></th>'
            '</tr><tr><td><a href="/">Parent Directory</a></td><td>&nbsp;</td></tr>'
            f"{rows}</table></body></html>"
        ).encode()

    def _nginx(self, _: Asked) -> bytes:
        rows = "".join(
            f'<a href="{quote(n)}">{n}</a>{t:%d-%b-%Y %H:%M}  {len(self.body(n)):>19}\n'
            for n, t in self.names.items()
        )
        return (
            "<html>\r\n<head><title>Index of /files/</title></head>\r\n<body>\r\n<h1>Index of "
            f'/files/</h1><hr><pre><a href="../">../</a>\r\n{rows}</pre><hr></body>\r\n</html>\r\n'
        ).encode()

    def _dwd(self, _: Asked) -> bytes:
        rows = "".join(
            f'<a href="{quote(n)}">{n}</a>   {t:%d-%b-%Y %H:%M:%S} {len(self.body(n)):>12}\n'
            for n, t in self.names.items()
        )
        return (
            f'<html><body><h1>Index of /files/</h1><hr><pre><a href="../">../</a>\n{rows}'
            '<a href="RAD_LATEST.h5">RAD_LATEST.h5</a>   01-Jun-2026 11:58:21  3000\n'
            '<a href="content.log.bz2">content.log.bz2</a>   01-Jun-2026 11:58:21  300\n'
            "</pre></body></html>"
        ).encode()

    def _plain(self, _: Asked) -> bytes:
        rows = "".join(f'<li><a href="{quote(n)}">{n}</a></li>\n' for n in self.names)
        return f"<html><body><ul>{rows}</ul></body></html>".encode()

    def _s3(self, asked: Asked) -> bytes:
        query = {name: values[0] for name, values in parse_qs(asked.query).items()}
        keys = sorted(f"files/{n}" for n in self.names if f"files/{n}".startswith(query["prefix"]))
        at = int(query.get("continuation-token", "0"))
        rows = "".join(
            f"<Contents><Key>{key}</Key><LastModified>2026-06-01T11:00:00.000Z</LastModified>"
            f"<ETag>{quote_xml(etag(self.body(key[6:])))}</ETag>"
            f"<Size>{len(self.body(key[6:]))}</Size></Contents>"
            for key in keys[at : at + self.page_size]
        )
        more = at + self.page_size < len(keys)
        token = (
            f"<NextContinuationToken>{at + self.page_size}</NextContinuationToken>" if more else ""
        )
        return (
            '<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult '
            'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>bucket</Name>'
            f"<IsTruncated>{str(more).lower()}</IsTruncated>{rows}{token}</ListBucketResult>"
        ).encode()

    def _stac(self, asked: Asked) -> bytes:
        at = int(parse_qs(asked.query).get("at", ["0"])[0])
        names = list(self.names)
        assets = {
            name: {
                "href": f"{self.server.url}/files/{quote(name)}",
                "type": "application/x-hdf5",
                "updated": f"{self.names[name]:%Y-%m-%dT%H:%M:%SZ}",
            }
            for name in names[at : at + self.page_size]
        }
        links = [{"rel": "self", "href": f"{self.server.url}/items"}]
        if at + self.page_size < len(names):
            links.append({"rel": "next", "href": f"/items?at={at + self.page_size}"})
        item = {"type": "Feature", "id": "today", "assets": assets}
        return json.dumps(
            {"type": "FeatureCollection", "features": [item], "links": links}
        ).encode()

    def _knmi(self, asked: Asked) -> bytes:
        query = parse_qs(asked.query)
        at = int(query.get("nextPageToken", ["0"])[0])
        newest = sorted(self.names, key=lambda name: self.names[name], reverse=True)
        files = [
            {
                "filename": name,
                "size": len(self.body(name)),
                "lastModified": f"{self.names[name]:%Y-%m-%dT%H:%M:%S+00:00}",
            }
            for name in newest[at : at + self.page_size]
        ]
        more = at + self.page_size < len(newest)
        token = {"nextPageToken": str(at + self.page_size)} if more else {}
        return json.dumps({"files": files, "isTruncated": more, **token}).encode()

    def _temporary(self, name: str) -> Callable[[Asked], bytes]:
        def answer(_: Asked) -> bytes:
            url = f"{self.server.url}/files/{quote(name)}?X-Amz-Signature={self.signature}"
            return json.dumps({"temporaryDownloadUrl": url}).encode()

        return answer


def quote_xml(text: str) -> str:
    return text.replace('"', "&quot;")


class Time:
    """Clocks that a test sets; a sleep passes at once, and is remembered."""

    def __init__(self) -> None:
        self.now = utc("2026-06-01T12:02")
        self.seconds = 1000.0
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.pass_(seconds)

    def pass_(self, seconds: float) -> None:
        self.seconds += seconds
        self.now += dt.timedelta(seconds=seconds)

    def tick(self, seconds: float) -> None:
        """Let the clock move by itself, each time it is looked at."""
        self.tick_seconds = seconds

    tick_seconds = 0.0

    def look(self) -> float:
        self.seconds += self.tick_seconds
        return self.seconds


@dataclass
class Session:
    """A collector at work."""

    collector: Collector
    time: Time

    def round(self, hours: float = 2) -> list[Fetched | Problem]:
        since = self.time.now - dt.timedelta(hours=hours)
        return list(self.collector.round(since))


@dataclass
class Start:
    """Starts what ``nowcast fetch`` does, with other clocks; a second start ends the first."""

    folder: Path
    time: Time
    stack: ExitStack = field(default_factory=ExitStack)

    def web(self, profile: SourceProfile) -> Web:
        """The network, at the time that the test says."""
        clocks = Clocks(lambda: self.time.now, self.time.look, self.time.sleep)
        return build_fetching.web(profile, clocks=clocks)

    def __call__(
        self, profile: SourceProfile, folder: Path | None = None, *, asked: Web | None = None
    ) -> Session:
        self.stack.close()
        asked = asked or self.web(profile)
        collecting = build_fetching.collecting(profile, folder or self.folder, asked=asked)
        return Session(self.stack.enter_context(collecting), self.time)


def files_of(folder: Path) -> dict[str, bytes]:
    """What a reader of the folder sees."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    }
