"""What each kind of listing makes of pages that are odd, hostile, or another service's."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import socket
import subprocess
import sys
import time as wall
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from misbehaving import Fault, Server
from offers import Offer, Start, Time, files_of, frame, named, profile_of, utc
from pydantic import SecretStr

from nowcast.fetch.base import Link, Listing
from nowcast.fetch.clocks import Clocks
from nowcast.fetch.collect import Fetched, Problem
from nowcast.fetch.guard import Guard, Place
from nowcast.fetch.index import IndexListing
from nowcast.fetch.knmi import KnmiListing
from nowcast.fetch.pages import pages
from nowcast.fetch.patience import Pace
from nowcast.fetch.s3 import S3Listing
from nowcast.fetch.stac import StacListing
from nowcast.fetch.web import Web
from nowcast.fetch.wire import Answer
from nowcast.field.errors import AnswerError, FetchError, UnavailableError

NAME = named("2026-06-01T12:00")


@pytest.mark.parametrize(
    "page",
    [
        b'<a href="https://[radar.example]/x_202606011200.h5">x</a>',
        b'<a href="http://127.0.0.1:1/files/%s">x</a>' % NAME.encode(),
        b'<a href="//evil.test/files/%s">x</a>' % NAME.encode(),
        b'<a href="/%s">x</a>' % NAME.encode(),
        b'<a href="../%s">x</a>' % NAME.encode(),
        b'<a href="deeper/%s">x</a>' % NAME.encode(),
        b'<a href="%s?C=M;O=A">x</a>' % NAME.encode(),
        b'<a href="javascript:alert(1)">x</a><a name="x">y</a><a href="">z</a>',
        b"<div>" * 20_000,
        b"<a href=\xff\xfe\xfd>x</a>",
    ],
)
def test_links_of_an_index_that_lead_elsewhere(server: Server, start: Start, page: bytes) -> None:
    offer = Offer(server, "plain")
    profile = offer.profile()
    server.files["/files/"] = page
    server.files[f"/{NAME}"] = server.files[f"/files/deeper/{NAME}"] = frame("elsewhere")
    done = start(profile).round()
    assert not [one for one in done if isinstance(one, Fetched)]
    assert files_of(start.folder) == {}


def test_a_name_that_the_page_abbreviates(server: Server, start: Start) -> None:
    offer = Offer(server, "apache")
    offer.put(NAME, frame("long"))
    profile = offer.profile()
    listing = server.files["/files/"]
    assert callable(listing)
    page = listing(None)  # type: ignore[arg-type]
    assert b">" + NAME.encode() + b"<" not in page
    start(profile).round()
    assert files_of(start.folder) == {NAME: frame("long")}


@pytest.mark.parametrize(
    "answer",
    [
        b'<?xml version="1.0"?><!DOCTYPE l [<!ENTITY x SYSTEM "file:///etc/hostname">]>'
        b"<ListBucketResult><Contents><Key>files/&x;</Key></Contents></ListBucketResult>",
        b'<?xml version="1.0"?><!DOCTYPE l [<!ENTITY a "aaaaaaaaaa">'
        + b"".join(b'<!ENTITY %c "%s">' % (98 + i, b"&%c;" % (97 + i) * 10) for i in range(9))
        + b"]><ListBucketResult><Contents><Key>&j;</Key></Contents></ListBucketResult>",
        b"<ListBucketResult><Contents><Key/><Size>-1</Size></Contents><Contents/>"
        b"</ListBucketResult>",
        b"<Error><Code>AccessDenied</Code></Error>",
        b"<ListBucketResult>" + b"<a>" * 5000,
    ],
)
def test_xml_that_means_harm(server: Server, start: Start, answer: bytes) -> None:
    profile = Offer(server, "s3").profile()
    server.files["/"] = answer
    began = wall.process_time()
    done = start(profile).round()
    assert wall.process_time() - began < 2
    assert all(isinstance(one, Problem) for one in done)
    assert socket.gethostname() not in " ".join(one.message for one in done)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "answer",
    [
        [],
        {"assets": []},
        {"assets": {"x": 3}},
        {"assets": {"x": {}}},
        {"assets": {"x": {"href": ["a"]}}},
        {"features": [3, {"assets": {"x": {"href": "https://[bad]/x.h5"}}}]},
        {"features": {}, "links": [{"rel": "next"}]},
        {"features": [{}], "links": [{"rel": "next", "href": "/items", "method": "POST"}]},
        {"features": [{}], "links": [{"rel": "next", "href": "https://evil.test/"}]},
    ],
)
def test_json_of_another_shape(server: Server, start: Start, answer: Any) -> None:
    profile = Offer(server, "stac").profile()
    server.files["/items"] = json.dumps(answer).encode()
    assert not [one for one in start(profile).round() if isinstance(one, Fetched)]


def test_a_row_of_very_many_cells(server: Server, start: Start) -> None:
    profile = Offer(server, "plain").profile()
    server.files["/files/"] = b"<table><tr>" + b"<td><a href=x>x</a>" * 50_000
    began = wall.process_time()
    start(profile).round()
    assert wall.process_time() - began < 5


@pytest.mark.parametrize("evil", ["\ud800", "\x00", "\x1b[31m", "a" * 300])
def test_texts_that_cannot_be_written_down(server: Server, start: Start, evil: str) -> None:
    offer = Offer(server, "stac")
    offer.put(NAME, frame("one"))
    profile = offer.profile()
    asset = {"href": f"/files/{NAME}", "updated": evil}
    other = {"href": f"/files/{evil}{NAME}"}
    server.files["/items"] = json.dumps({"assets": {"x": asset, "y": other}}).encode()
    (done,) = start(profile).round()
    assert isinstance(done, Fetched)
    assert start(profile).round() == []


def test_an_etag_that_cannot_be_sent_back(server: Server, start: Start) -> None:
    offer = Offer(server, "plain")
    offer.put(NAME, frame("one"))
    server.faults[offer.path(NAME)] = [Fault(cut=1000, headers={"ETag": '"\u00e9"'})] * 2
    running = start(offer.profile())
    assert [type(one) for one in running.round()] == [Fetched]
    assert running.round() == []


def test_a_size_of_very_many_digits(server: Server, start: Start) -> None:
    offer = Offer(server, "s3")
    profile = offer.profile()
    server.files[f"/{NAME}"] = frame("one")
    server.files["/"] = (
        f"<ListBucketResult><Contents><Key>{NAME}</Key><Size>{'9' * 9000}</Size></Contents>"
        "</ListBucketResult>"
    ).encode()
    assert [type(one) for one in start(profile).round()] == [Fetched]


def test_json_too_deep(server: Server, start: Start) -> None:
    profile = Offer(server, "stac").profile()
    server.files["/items"] = b'{"a":' * 100_000
    (problem,) = start(profile).round()
    assert isinstance(problem, Problem)
    assert "not JSON" in problem.message


def test_a_stac_page_that_is_its_own_next(server: Server, start: Start) -> None:
    offer = Offer(server, "stac")
    offer.put(NAME, frame("one"))
    profile = offer.profile()
    assets = {"x": {"href": f"/files/{NAME}"}}
    answer = {"features": [{"assets": assets}], "links": [{"rel": "next", "href": "/items"}]}
    server.files["/items"] = json.dumps(answer).encode()
    assert [type(one) for one in start(profile).round()] == [Fetched]
    assert server.count("/items") == 1


@pytest.mark.parametrize("right", [True, False])
def test_the_checksum_of_an_asset(server: Server, start: Start, *, right: bool) -> None:
    import hashlib

    offer = Offer(server, "stac")
    offer.put(NAME, frame("one"))
    profile = offer.profile()
    digest = hashlib.sha256(frame("one" if right else "other")).hexdigest()
    asset = {"href": f"/files/{NAME}", "file:checksum": f"1220{digest}", "file:size": 3000}
    server.files["/items"] = json.dumps({"type": "Feature", "assets": {"x": asset}}).encode()
    (done,) = start(profile).round()
    assert isinstance(done, Fetched) is right
    assert bool(files_of(start.folder)) is right


def test_a_signed_url_that_expired_is_asked_for_anew(
    server: Server, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_KNMI_KEY", "a-key")
    offer = Offer(server, "knmi")
    offer.put(NAME, frame("one"))
    server.faults[offer.path(NAME)] = [Fault(status=403), Fault(cut=1000)]
    assert [type(one) for one in start(offer.profile()).round()] == [Fetched]
    assert server.count(f"/datasets/files/{NAME}/url") == 3
    keys = {asked.path: asked.headers.get("authorization") for asked in server.asked}
    assert keys["/datasets/files"] == keys[f"/datasets/files/{NAME}/url"] == "a-key"
    assert keys[offer.path(NAME)] is None


def test_a_key_that_is_wrong_is_told(
    server: Server, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_KNMI_KEY", "a-key")
    profile = Offer(server, "knmi").profile()
    server.faults["/datasets/files"] = [Fault(status=401)]
    (problem,) = start(profile).round()
    assert isinstance(problem, Problem)
    assert "the key is missing, wrong or expired" in problem.message
    assert server.count("/datasets/files") == 1


def test_knmi_pages_end_where_files_are_old(
    server: Server, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_KNMI_KEY", "a-key")
    offer = Offer(server, "knmi", page_size=5)
    for minute in range(60):
        offer.put(named(f"2026-06-01T11:{minute:02}"), frame(f"{minute}"))
    start.time.now = utc("2026-06-01T12:00")
    profile = offer.profile()
    start(profile).round(hours=0.1)
    assert server.count("/datasets/files") < 4


@pytest.mark.parametrize(
    ("since", "until", "expected"),
    [
        ("2026-06-01T22:30", "2026-06-02T00:00", ["d/20260602/", "d/20260601/"]),
        ("2025-12-31T23:59", "2026-01-01T00:01", ["d/20260101/", "d/20251231/"]),
        ("2028-02-28T23:00", "2028-03-01T01:00", ["d/20280301/", "d/20280229/", "d/20280228/"]),
        ("2026-06-01T11:00", "2026-06-01T11:00", ["d/20260601/"]),
    ],
)
def test_the_folders_that_a_stretch_of_time_needs(
    since: str, until: str, expected: list[str]
) -> None:
    assert pages(["d/{time:%Y%m%d}/"], since=utc(since), until=utc(until)) == expected


def test_hours_of_which_none_is_left_out() -> None:
    found = pages(["{time:%d %H}"], since=utc("2026-06-01T22:59"), until=utc("2026-06-02T01:01"))
    assert found == ["02 01", "02 00", "01 23", "01 22"]


@dataclass
class Saying:
    """A wire on which every answer is the same."""

    body: bytes

    @contextlib.contextmanager
    def ask(self, _place: Place, _headers: Mapping[str, str]) -> Iterator[Answer]:
        yield Answer(200, {}, iter([self.body]))

    def close(self) -> None:
        pass


SAMPLES: dict[str, tuple[Callable[[Web], Listing], bytes]] = {
    "index": (
        lambda web: IndexListing(web, ("https://radar.example/files/",)),
        b'<table><tr><td><a href="x_202606011200.h5">x</a></td><td>2026-06-01 12:05</td></tr>'
        b'</table><pre><a href="../">../</a>\n<a href="y.h5">y</a>01-Jun-2026 12:05  3000</pre>',
    ),
    "s3": (
        lambda web: S3Listing(web, "https://radar.example", ("files/",)),
        b'<?xml version="1.0"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
        b"<Contents><Key>files/x.h5</Key><ETag>&quot;0&quot;</ETag><Size>3000</Size></Contents>"
        b"</ListBucketResult>",
    ),
    "stac": (
        lambda web: StacListing(web, ("https://radar.example/items",)),
        b'{"features":[{"assets":{"x":{"href":"x.h5","file:checksum":"1220ab","file:size":3}}}],'
        b'"links":[{"rel":"next","href":"?page=2"}]}',
    ),
    "knmi": (
        lambda web: KnmiListing(web, "https://radar.example/files", SecretStr("key")),
        b'{"files":[{"filename":"x.h5","size":3,"lastModified":"2026-06-01T12:00:00+00:00"}],'
        b'"isTruncated":false,"nextPageToken":"2"}',
    ),
}
# What replaces a piece of a page: of any kind of page, or nothing that anybody would write.
ODD = (
    b'< > " { [ null -1 1e999 &x; <!-- ]]> \\u0 https://[ // \xed\xa0\x80 \x00 true {} [] ""'
).split(b" ")
SPLICE = st.one_of(st.binary(max_size=12), st.sampled_from(ODD))


@pytest.mark.parametrize("kind", SAMPLES)
@given(st.lists(st.tuples(st.integers(0, 400), st.integers(0, 40), SPLICE), max_size=6))
def test_a_page_of_any_bytes_gives_files_or_one_kind_of_error(
    kind: str, splices: list[tuple[int, int, bytes]]
) -> None:
    made, page = SAMPLES[kind]
    for at, length, piece in splices:
        page = page[:at] + piece + page[at + length :]
    guard = Guard(("radar.example",), resolve=lambda _host, _port: ["93.184.216.34"])
    web = Web(guard, Saying(page), Pace(1e9))
    listing = made(web)
    with contextlib.suppress(FetchError):
        for remote in itertools.islice(listing.list(utc("2026-06-01T11:00")), 300):
            assert isinstance(remote.name, str)
            assert remote.size is None or remote.size >= 0
            with contextlib.suppress(FetchError):
                guard.place(remote.url)


def test_a_listing_that_is_too_large_or_too_slow() -> None:
    guard = Guard(("radar.example",), resolve=lambda _host, _port: ["93.184.216.34"])
    wire = Saying(SAMPLES["index"][1])
    time = Time()
    clocks = Clocks(lambda: time.now, time.look, time.sleep)
    link = Link("https://radar.example/files/")
    web = Web(guard, wire, Pace(1e9, clocks=clocks), clocks=clocks, max_page_bytes=100)
    with pytest.raises(AnswerError, match="a listing of more than"):
        web.look(link)
    time.tick(40)
    web = Web(guard, wire, Pace(1e9, clocks=clocks), clocks=clocks, page_seconds=30)
    with pytest.raises(UnavailableError, match="not there after 30 s"):
        web.look(link)


@contextlib.contextmanager
def _s3() -> Iterator[str]:
    """An S3 of moto's, in a process of its own."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    running = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"MOTO_S3_DEFAULT_MAX_KEYS": "7"},
    )
    try:
        for _ in range(300):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            wall.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        running.terminate()
        running.wait()


def test_a_bucket_of_an_s3_that_others_wrote(start: Start) -> None:
    """Against moto: more keys than a page holds, odd ones among them, and a revision."""
    public = {"x-amz-acl": "public-read"}
    texts = [f"2026-06-01T{hour:02}:{m:02}" for hour in (10, 11) for m in range(0, 60, 5)]
    with _s3() as url, httpx.Client(trust_env=False) as client:
        assert client.put(f"{url}/radar", headers=public).status_code == 200
        for number in range(20):  # listed before the frames, and of other names
            client.put(f"{url}/radar/2026/06/01/A{number:04}+ &%40.txt", headers=public)
        for text in texts:
            key = f"{url}/radar/2026/06/01/{named(text)}"
            assert client.put(key, content=frame(text), headers=public).status_code == 200
        host = url.removeprefix("http://")
        listing = {"kind": "s3", "bucket": f"{url}/radar", "prefix": "{time:%Y/%m/%d}/"}
        asked = f"{url}/radar?list-type=2&prefix=2026/06/01/"
        assert "NextContinuationToken" in client.get(asked).text
        running = start(profile_of(host, listing))
        done = running.round(hours=2.5)
        assert [type(one) for one in done] == [Fetched] * len(texts)
        assert files_of(start.folder) == {named(text): frame(text) for text in texts}
        assert running.round(hours=2.5) == []
        # A revision: the ETag changes.
        key = f"{url}/radar/2026/06/01/{named(texts[0])}"
        client.put(key, content=frame("revised"), headers=public)
        (revised,) = running.round(hours=2.5)
        assert isinstance(revised, Fetched)
        assert (revised.revision, revised.size) == (2, 3000)
