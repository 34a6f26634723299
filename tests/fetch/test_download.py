"""The parts of a download by themselves: pieces, digests, first bytes, pauses, rounds."""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import datetime as dt
import hashlib
import itertools
import os
import resource
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from misbehaving import Server, etag
from offers import Offer, Start, Time, files_of, frame, named, utc

from config.feed import FEEDS, FeedProfile
from nowcast.fetch import content, digests
from nowcast.fetch.base import Link, Remote
from nowcast.fetch.clocks import Clocks
from nowcast.fetch.collect import Fetched, rounds
from nowcast.fetch.download import Downloader
from nowcast.fetch.guard import Guard, Place
from nowcast.fetch.part import Part
from nowcast.fetch.patience import Pace, Patience, retry_after
from nowcast.fetch.web import Web
from nowcast.fetch.wire import Answer
from nowcast.field.errors import AnswerError, ProductError, UnavailableError
from nowcast.ingest.catalogue import Catalogue

NOON = utc("2026-06-01T12:00")
TIMES = ["2026-06-01T11:50", "2026-06-01T11:55", "2026-06-01T12:00"]


@dataclass
class Breaking:
    """A server of one file that breaks off and changes as a script says; no connection is made."""

    script: list[tuple[int, int]]  # for each request: which version, and after how many bytes
    versions: tuple[bytes, ...] = (frame("a", 900), frame("b", 900), frame("c", 700))
    asked: list[Mapping[str, str]] = field(default_factory=list)

    @contextlib.contextmanager
    def ask(self, _: Place, headers: Mapping[str, str]) -> Iterator[Answer]:
        self.asked.append(headers)
        version, cut = self.script.pop(0) if self.script else (0, 10**6)
        body = self.versions[version]
        said, status, at = {"etag": etag(body)}, 200, 0
        if headers.get("if-range") == etag(body):
            at = int(headers["range"][6:-1])
            if at >= len(body):
                yield Answer(416, said, iter(()))
                return
            status, said["content-range"] = 206, f"bytes {at}-{len(body) - 1}/{len(body)}"
        yield Answer(status, said | {"content-length": str(len(body) - at)}, pieces(body[at:], cut))

    def close(self) -> None:
        pass

    def list(self, _: dt.datetime) -> Iterator[Remote]:
        yield Remote("file.h5", "https://radar.example/file.h5")

    def link(self, remote: Remote) -> Link:
        return Link(remote.url)


def pieces(body: bytes, cut: int) -> Iterator[bytes]:
    for at in range(0, min(cut, len(body)), 64):
        yield body[at : min(at + 64, cut)]
    if cut < len(body):
        raise UnavailableError("broke off")


def downloader(wire: Breaking, folder: Path) -> Downloader:
    time = Time()
    clocks = Clocks(lambda: time.now, time.look, time.sleep)
    guard = Guard(("radar.example",), resolve=lambda _host, _port: ["93.184.216.34"])
    web = Web(guard, wire, Pace(1e6, clocks=clocks), Patience(clocks=clocks), clocks=clocks)
    return Downloader(web, folder, "odim")


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 1000)), max_size=12))
def test_what_comes_is_one_version_whole_and_never_two_in_one(
    script: list[tuple[int, int]],
) -> None:
    wire = Breaking(list(script))
    (remote,) = wire.list(NOON)
    with tempfile.TemporaryDirectory() as folder:
        bringing, received = downloader(wire, Path(folder)), None
        for _ in range(10):
            with contextlib.suppress(UnavailableError):
                received = bringing.receive(remote, wire, name="file.h5", known="")
                break
        assert received is not None
        body = received.path.read_bytes()
    assert body in wire.versions
    assert received.sha256 == hashlib.sha256(body).hexdigest()
    assert received.validator == etag(body)


def test_pieces_are_joined_and_not_fetched_again(tmp_path: Path) -> None:
    wire = Breaking([(0, 300), (0, 300), (0, 10**6)])
    (remote,) = wire.list(NOON)
    received = downloader(wire, tmp_path).receive(remote, wire, name="file.h5", known="")
    assert received is not None
    assert [headers.get("range") for headers in wire.asked] == [None, "bytes=300-", "bytes=600-"]


def test_a_part_without_a_note_is_not_trusted(tmp_path: Path) -> None:
    part = Part(tmp_path / "x.part")
    part.write([b"12345"], at=0, validator='"v"')
    assert part.kept() == (5, '"v"')
    for broken in ("", "{", "[]", '{"bytes": 9, "validator": "v"}', '{"bytes": "x"}'):
        part.note.write_text(broken)
        assert part.kept() == (0, "")
    part.note.unlink()
    assert part.kept() == (0, "")


def test_there_is_no_note_while_something_is_written(tmp_path: Path) -> None:
    part = Part(tmp_path / "x.part")
    part.write([b"12345"], at=0, validator='"v"')

    def more() -> Iterator[bytes]:
        assert not part.note.exists()
        yield b"678"

    assert part.write(more(), at=5, validator='"v"') == 8
    assert part.kept() == (8, '"v"')


class Answering(Breaking):
    """A server that gives one answer after a part has come."""

    def __init__(self, answer: Answer) -> None:
        super().__init__([(0, 300)])
        self.answer = answer

    @contextlib.contextmanager
    def ask(self, place: Place, headers: Mapping[str, str]) -> Iterator[Answer]:
        if self.script:
            with super().ask(place, headers) as answer:
                yield answer
        else:
            self.asked.append(headers)
            yield self.answer


@pytest.mark.parametrize("said", ["bytes 200-899/900", "bytes 0-899/900", "bytes x", ""])
def test_the_rest_from_another_byte_is_not_joined(tmp_path: Path, said: str) -> None:
    wire = Answering(Answer(206, {"content-range": said}, iter([b"y" * 600])))
    (remote,) = wire.list(NOON)
    with pytest.raises(UnavailableError, match="status 206 for the rest from byte"):
        downloader(wire, tmp_path).receive(remote, wire, name="file.h5", known="")
    assert not list(tmp_path.glob("*.part"))


def test_a_body_without_an_end_is_cut_off(tmp_path: Path) -> None:
    wire = Answering(Answer(200, {}, itertools.repeat(b"y" * 1000)))
    (remote,) = wire.list(NOON)
    small = dataclasses.replace(downloader(wire, tmp_path), max_bytes=50_000)
    with pytest.raises(AnswerError, match="more than 50000 bytes"):
        small.receive(remote, wire, name="file.h5", known="")
    assert list(tmp_path.iterdir()) == []


def test_a_part_is_no_way_out_of_its_folder(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("mine")
    (tmp_path / "x.part").symlink_to(outside)
    with pytest.raises(ProductError):
        Part(tmp_path / "x.part").write([b"theirs"], at=0, validator="")
    assert outside.read_text() == "mine"


def test_a_full_disk_is_told_and_leaves_nothing(server: Server, start: Start) -> None:
    offer = Offer(server, "nginx")
    offer.put(named(TIMES[0]), frame("large", 400_000))
    running = start(offer.profile())
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard))
    try:
        with pytest.raises(ProductError, match="could not be written"):
            running.round()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert files_of(start.folder) == {}
    assert [type(one) for one in running.round()] == [Fetched]
    assert files_of(start.folder) == {named(TIMES[0]): frame("large", 400_000)}


@pytest.mark.parametrize("stands", ["folder", "pipe", "dangling link", "other file"])
def test_what_stands_in_the_way_is_left_there(server: Server, start: Start, stands: str) -> None:
    offer = Offer(server, "nginx")
    offer.put(named(TIMES[0]), frame("one"))
    target = start.folder / named(TIMES[0])
    {
        "folder": target.mkdir,
        "pipe": lambda: os.mkfifo(target),
        "dangling link": lambda: target.symlink_to(start.folder / "nowhere"),
        "other file": lambda: target.write_text("mine"),
    }[stands]()
    (done,) = start(offer.profile()).round()
    assert isinstance(done, Fetched)
    assert done.path == start.folder / "revision-2" / target.name
    assert done.path.read_bytes() == frame("one")
    assert not (start.folder / "nowhere").exists()
    assert target.is_symlink() or target.exists()


def test_a_broken_history_is_told(server: Server, start: Start) -> None:
    profile = Offer(server, "nginx").profile()
    (start.folder / ".fetch").mkdir()
    (start.folder / ".fetch/test.sqlite").write_bytes(b"no database at all" * 100)
    with pytest.raises(ProductError, match="list of fetched files cannot be used"):
        start(profile).round()


def test_a_long_round_is_broken_off_for_what_is_newer(server: Server, start: Start) -> None:
    offer = Offer(server, "nginx")
    for text in TIMES[:2]:
        offer.put(named(text), frame(text))
    profile = offer.profile()
    running = start(profile)
    events = rounds(running.collector, back=dt.timedelta(hours=2), poll_seconds=30)
    came = [next(events)]
    start.time.pass_(40)  # the first file took that long
    offer.put(named(TIMES[2]), frame(TIMES[2]))
    came += [next(events), next(events)]
    valid = [one.valid for one in came if isinstance(one, Fetched)]
    assert valid == [utc(TIMES[1]), utc(TIMES[2]), utc(TIMES[0])]


def test_between_rounds_the_poll_is_waited_for(server: Server, start: Start) -> None:
    offer = Offer(server, "nginx")
    offer.put(named(TIMES[0]), frame("one"))
    running = start(offer.profile())
    events = rounds(running.collector, back=dt.timedelta(hours=2), poll_seconds=30)
    next(events)
    offer.put(named(TIMES[2]), frame("two"))
    next(events)
    assert max(start.time.slept) == pytest.approx(30, abs=0.1)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("7", 7.0),
        (" 120 ", 120.0),
        ("Mon, 01 Jun 2026 12:01:30 GMT", 90.0),
        ("Mon, 01 Jun 2026 11:00:00 GMT", 0.0),
        ("soon", None),
        ("-5", None),
        ("\u00b2", None),
        ("9" * 400, 86400.0),
        ("Mon, 01 Jun 9999 12:01:30 +9999999", None),
        ("", None),
        (None, None),
    ],
)
def test_what_a_server_asks_to_wait(text: str | None, expected: float | None) -> None:
    assert retry_after(text, now=NOON) == expected


def test_pauses_grow_and_end() -> None:
    time = Time()
    patience = Patience(attempts=5, clocks=Clocks(lambda: time.now, time.look, time.sleep))

    def never() -> None:
        raise UnavailableError("away")

    with pytest.raises(UnavailableError):
        patience.call(never)
    assert len(time.slept) == 4
    for power, seconds in enumerate(time.slept):
        assert 2**power <= seconds <= 2**power + 1


MD5 = base64.b64encode(hashlib.md5(b"x", usedforsecurity=False).digest()).decode()
SHA = base64.b64encode(hashlib.sha256(b"x").digest()).decode()
HEX_MD5 = f"md5:{hashlib.md5(b'x', usedforsecurity=False).hexdigest()}"
HEX_SHA = f"sha256:{hashlib.sha256(b'x').hexdigest()}"


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"repr-digest": f"sha-256=:{SHA}:"}, [HEX_SHA]),
        ({"digest": f"SHA-256={SHA},md5={MD5}"}, [HEX_SHA, HEX_MD5]),
        ({"repr-digest": f"sha-512=:{SHA}:"}, []),
        ({"content-md5": MD5}, [HEX_MD5]),
        ({"content-md5": MD5, "content-range": "bytes 1-2/3"}, []),
        ({"x-amz-checksum-sha256": SHA}, [HEX_SHA]),
        ({"x-amz-checksum-sha256": f"{SHA}-3"}, []),
        ({"content-md5": "no base64!"}, []),
        ({"content-md5": "YQ=="}, []),
        ({"etag": '"abc"'}, []),
    ],
)
def test_digests_that_headers_promise(headers: dict[str, str], expected: list[str]) -> None:
    assert list(digests.promised(headers)) == expected


KINDS = sorted({profile.reader.format for profile in FEEDS.all().values()})


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "head",
    [
        *(b"<!DOCTYPE html><html>", b"\n  <?xml version='1.0'?>", b"\xef\xbb\xbf<html>"),
        *(b'{"message": "quota"}', b"[]", b""),
    ],
)
def test_pages_and_messages_are_no_files(kind: str, head: bytes) -> None:
    assert content.problem(head, name="file", kind=kind)
    assert content.problem(head, name="file.gz", kind=kind)


@pytest.mark.parametrize("name", sorted(FEEDS.all()))
def test_real_files_are_files(name: str, shared_data: Path) -> None:
    profile: FeedProfile = FEEDS.all()[name]
    if profile.is_generic or name in ("ukmo", "meteoswiss"):
        return  # no file of theirs is known by its name
    catalogue = Catalogue.scan(shared_data / "radar", profile)
    assert catalogue.entries
    for entry in catalogue.entries:
        with entry.path.open("rb") as file:
            head = file.read(content.HEAD_BYTES)
        kind = profile.reader.format
        assert content.problem(head, name=entry.path.name, kind=kind) == ""
