"""What every kind of source must do, whatever its server does: one suite, all kinds."""

from __future__ import annotations

from pathlib import Path

import pytest
from misbehaving import Fault, Server
from offers import Offer, Start, files_of, frame, named, utc

from nowcast.fetch.collect import Fetched, Problem

KINDS = ["apache", "nginx", "dwd", "plain", "s3", "stac", "knmi"]
TIMES = ["2026-06-01T11:50", "2026-06-01T11:55", "2026-06-01T12:00"]


@pytest.fixture(params=KINDS)
def offer(request: pytest.FixtureRequest, server: Server, monkeypatch: pytest.MonkeyPatch) -> Offer:
    monkeypatch.setenv("TEST_KNMI_KEY", "a-key")
    offer = Offer(server, request.param)
    for text in TIMES:
        offer.put(named(text), frame(text))
    return offer


def newest(offer: Offer) -> str:
    return offer.path(named(TIMES[-1]))


def test_everything_comes_the_newest_first(offer: Offer, tmp_path: Path, start: Start) -> None:
    done = start(offer.profile()).round()
    assert [type(one) for one in done] == [Fetched] * 3
    assert [one.valid for one in done if isinstance(one, Fetched)] == [
        utc(text) for text in reversed(TIMES)
    ]
    assert files_of(tmp_path) == {named(text): frame(text) for text in TIMES}


def test_nothing_comes_twice_nor_after_a_restart(offer: Offer, start: Start) -> None:
    running = start(offer.profile())
    assert len(running.round()) == 3
    start.time.pass_(1800)  # past the time in which files without dates are asked for again
    assert running.round() == []
    assert start(offer.profile()).round() == []
    assert [offer.server.count(offer.path(named(text))) for text in TIMES] == [1, 1, 1]


def test_what_was_removed_here_does_not_come_back(
    offer: Offer, tmp_path: Path, start: Start
) -> None:
    start(offer.profile()).round()
    (tmp_path / named(TIMES[0])).unlink()
    start(offer.profile()).round()
    assert set(files_of(tmp_path)) == {named(text) for text in TIMES[1:]}


def test_without_a_history_files_are_recognised(offer: Offer, tmp_path: Path, start: Start) -> None:
    start(offer.profile()).round()
    start.stack.close()
    (tmp_path / ".fetch/test.sqlite").unlink()
    again = start(offer.profile()).round()
    assert [one.revision for one in again if isinstance(one, Fetched)] == [1, 1, 1]
    assert set(files_of(tmp_path)) == {named(text) for text in TIMES}


def test_what_is_too_old_is_left(offer: Offer, tmp_path: Path, start: Start) -> None:
    offer.put(named("2026-06-01T09:00"), frame("old"))
    start(offer.profile()).round(hours=0.1)
    assert set(files_of(tmp_path)) == {named(text) for text in TIMES[2:]}


def test_a_file_that_changes_comes_as_a_revision(
    offer: Offer, tmp_path: Path, start: Start
) -> None:
    running = start(offer.profile())
    running.round()
    for revision, body in ((2, frame("better")), (3, frame("best"))):
        offer.put(named(TIMES[1]), body)
        (done,) = running.round()
        assert isinstance(done, Fetched)
        assert done.revision == revision
        assert files_of(tmp_path)[f"revision-{revision}/{named(TIMES[1])}"] == body
    assert files_of(tmp_path)[named(TIMES[1])] == frame(TIMES[1])
    assert running.round() == []


def test_other_files_are_passed_over(offer: Offer, tmp_path: Path, start: Start) -> None:
    for name in ("RAD_NL25_RAC_RT_LATEST.h5", "index.html", "RAD_NL25_RAC_RT_202613011200.h5"):
        offer.put(name, b"other")
    offer.put(f"x{named(TIMES[0])}", b"other")
    assert len(start(offer.profile()).round()) == 3
    assert set(files_of(tmp_path)) == {named(text) for text in TIMES}


def test_a_new_scheme_of_names_is_told(offer: Offer, start: Start) -> None:
    for text in TIMES:
        del offer.names[named(text)]
        offer.put(f"nl_rtcor_{utc(text):%Y%m%dT%H%MZ}.h5", frame(text))
    (problem,) = start(offer.profile()).round()
    assert isinstance(problem, Problem)
    assert "are files called otherwise now?" in problem.message
    assert "nl_rtcor_2026" in problem.message or "content.log" in problem.message


def test_names_that_would_lead_elsewhere(offer: Offer, tmp_path: Path, start: Start) -> None:
    inside = tmp_path / "in/radar"
    pattern = r"(?P<where>.*)_(?P<time>\d{12})\.h5"  # as careless as a pattern can be
    for evil in ("../../evil", "..%2f..%2fevil", "/etc/evil", "a\x00b", ".hidden", "a b", "-rf"):
        offer.put(f"{evil}_202606011200.h5", frame("evil"))
    for text in TIMES:
        del offer.names[named(text)]
    profile = offer.profile(
        feed="mine", pattern=pattern, time_format="%Y%m%d%H%M", local="{where}_{time:%Y%m%d%H%M}.h5"
    )
    profiles = tmp_path / "feeds"
    profiles.mkdir()
    (profiles / "mine.toml").write_text(
        'title = "mine"\nunit = "mm/h"\ngrid = "any"\nreader = { format = "odim" }\n'
        f"pattern = '{pattern}'\ntime_format = '%Y%m%d%H%M'\n"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NOWCAST_FEEDS", str(profiles))
        start(profile, inside).round()
    outside = {path for path in tmp_path.rglob("*evil*") if not path.is_relative_to(inside)}
    assert outside == set()
    assert all("/" not in name for name in files_of(inside))
    assert not [path for path in inside.iterdir() if path.name.startswith("-")]


@pytest.mark.parametrize("status", [404, 403, 503, 500, 408])
def test_an_answer_that_comes_a_little_later(offer: Offer, start: Start, status: int) -> None:
    offer.server.faults[newest(offer)] = [Fault(status=status), Fault(status=status)]
    done = start(offer.profile()).round()
    assert [type(one) for one in done] == [Fetched] * 3
    first, second = [seconds for seconds in start.time.slept if seconds > 0.5]
    assert 1 <= first <= 2 <= second <= 3


def test_a_file_that_stays_away_does_not_keep_the_others(
    offer: Offer, tmp_path: Path, start: Start
) -> None:
    offer.server.faults[newest(offer)] = [Fault(status=404)] * 4
    running = start(offer.profile())
    done = running.round()
    assert [type(one) for one in done] == [Problem, Fetched, Fetched]
    assert running.round() == []  # left alone for a while
    start.time.pass_(20)
    (late,) = running.round()
    assert isinstance(late, Fetched)
    assert set(files_of(tmp_path)) == {named(text) for text in TIMES}


def test_a_server_that_asks_to_wait_is_left_alone(offer: Offer, start: Start) -> None:
    offer.server.faults[newest(offer)] = [Fault(status=429, headers={"Retry-After": "17"})]
    done = start(offer.profile()).round()
    assert [type(one) for one in done] == [Fetched] * 3
    assert max(start.time.slept) >= 17


def test_a_server_that_asks_to_wait_long_gets_no_request_meanwhile(
    offer: Offer, start: Start
) -> None:
    until = "Mon, 01 Jun 2026 12:32:00 GMT"
    offer.server.faults[newest(offer)] = [Fault(status=429, headers={"Retry-After": until})]
    running = start(offer.profile())
    done = running.round()
    assert {type(one) for one in done} == {Problem}
    asked = len(offer.server.asked)
    start.time.pass_(600)
    assert {type(one) for one in running.round()} == {Problem}
    assert len(offer.server.asked) == asked
    start.time.pass_(1800)
    assert [type(one) for one in running.round()] == [Fetched] * 3


def test_a_short_body_is_resumed(offer: Offer, tmp_path: Path, start: Start) -> None:
    offer.server.faults[newest(offer)] = [Fault(cut=1000)]
    done = start(offer.profile()).round()
    assert [type(one) for one in done] == [Fetched] * 3
    assert files_of(tmp_path)[named(TIMES[-1])] == frame(TIMES[-1])
    first, second = [asked for asked in offer.server.asked if asked.path == newest(offer)]
    assert "range" not in first.headers
    assert second.headers["range"] == "bytes=1000-"


def test_a_file_that_broke_off_is_resumed_after_a_restart(
    offer: Offer, tmp_path: Path, start: Start
) -> None:
    offer.server.faults[newest(offer)] = [Fault(cut=at) for at in (500, 400, 300, 200)]
    start(offer.profile()).round()
    assert named(TIMES[-1]) not in files_of(tmp_path)
    start.time.pass_(20)
    assert len(start(offer.profile()).round()) == 1
    assert files_of(tmp_path)[named(TIMES[-1])] == frame(TIMES[-1])
    last = [asked for asked in offer.server.asked if asked.path == newest(offer)][-1]
    assert last.headers["range"] == "bytes=1400-"


def test_a_file_that_changed_meanwhile_is_begun_anew(
    offer: Offer, tmp_path: Path, start: Start
) -> None:
    offer.server.faults[newest(offer)] = [Fault(cut=1000)] + [Fault(status=503)] * 3
    running = start(offer.profile())
    running.round()
    offer.put(named(TIMES[-1]), frame("another"))
    start.time.pass_(20)
    running.round()
    assert files_of(tmp_path)[named(TIMES[-1])] == frame("another")


def test_a_weak_etag_joins_nothing(offer: Offer, tmp_path: Path, start: Start) -> None:
    offer.server.weak = True
    offer.server.faults[newest(offer)] = [Fault(cut=1000)]
    start(offer.profile()).round()
    assert files_of(tmp_path)[named(TIMES[-1])] == frame(TIMES[-1])
    assert not any("range" in asked.headers for asked in offer.server.asked)


@pytest.mark.parametrize(
    "page",
    [
        b"<!DOCTYPE html><html><body>We are doing maintenance</body></html>",
        b'\n <?xml version="1.0"?><Error><Code>SlowDown</Code></Error>',
        b'{"message": "quota exceeded"}',
        b"no such product",
        b"",
    ],
)
def test_an_error_page_with_status_200_is_no_file(
    offer: Offer, tmp_path: Path, start: Start, page: bytes
) -> None:
    said = {"Content-Length": str(len(page)), "Content-Type": "application/x-hdf5"}
    offer.server.faults[newest(offer)] = [Fault(body=page, headers=said)] * 4
    running = start(offer.profile())
    done = running.round()
    assert [type(one) for one in done] == [Problem, Fetched, Fetched]
    assert named(TIMES[-1]) not in files_of(tmp_path)
    offer.server.faults.clear()
    start.time.pass_(20)
    assert [type(one) for one in running.round()] == [Fetched]


def test_a_redirect_within_the_hosts_is_followed(
    offer: Offer, tmp_path: Path, start: Start
) -> None:
    offer.server.files["/moved/there"] = frame(TIMES[-1])
    offer.server.faults[newest(offer)] = [Fault(status=302, headers={"Location": "/moved/there"})]
    assert len(start(offer.profile()).round()) == 3
    assert files_of(tmp_path)[named(TIMES[-1])] == frame(TIMES[-1])


def test_a_redirect_to_a_foreign_host_is_not(offer: Offer, elsewhere: Server, start: Start) -> None:
    elsewhere.files["/x"] = frame(TIMES[-1])
    target = {"Location": f"{elsewhere.url}/x"}
    offer.server.faults[newest(offer)] = [Fault(status=302, headers=target)]
    done = start(offer.profile()).round()
    assert [type(one) for one in done] == [Problem, Fetched, Fetched]
    assert elsewhere.asked == []
    assert offer.server.count(newest(offer)) == 1  # no reason to try again


@pytest.mark.parametrize("host", ["169.254.169.254", "[fe80::1]", "metadata.google.internal"])
def test_a_redirect_to_metadata_is_not(offer: Offer, start: Start, host: str) -> None:
    target = {"Location": f"http://{host}/latest/meta-data/"}
    offer.server.faults[newest(offer)] = [Fault(status=307, headers=target)]
    done = start(offer.profile()).round()
    assert [type(one) for one in done] == [Problem, Fetched, Fetched]


def test_redirects_without_end(offer: Offer, start: Start) -> None:
    offer.server.faults[newest(offer)] = [
        Fault(status=302, headers={"Location": newest(offer)}) for _ in range(9)
    ]
    done = start(offer.profile()).round()
    assert [type(one) for one in done] == [Problem, Fetched, Fetched]
    assert isinstance(done[0], Problem)
    assert "more than 3 redirects" in done[0].message


def test_what_is_too_large_is_refused_before_it_comes(offer: Offer, start: Start) -> None:
    offer.put(named(TIMES[-1]), frame("large", 20_000))
    done = start(offer.profile(max_mebibytes=0.01)).round()
    assert [type(one) for one in done] == [Problem, Fetched, Fetched]
    assert isinstance(done[0], Problem)
    assert "20000 bytes, expected at most 10486" in done[0].message


def test_what_is_packed_to_burst_is_not_unpacked(
    offer: Offer, tmp_path: Path, start: Start
) -> None:
    import gzip

    bomb = gzip.compress(bytes(30_000_000))
    offer.server.faults[newest(offer)] = [
        Fault(body=bomb, headers={"Content-Encoding": "gzip", "Content-Length": str(len(bomb))})
    ] * 4
    done = start(offer.profile(max_mebibytes=0.1)).round()
    assert [type(one) for one in done] == [Problem, Fetched, Fetched]
    assert isinstance(done[0], Problem)
    assert ("md5" if offer.kind == "s3" else "no knmi-hdf5 file") in done[0].message
    assert sum(len(body) for body in files_of(tmp_path).values()) < 10_000


def test_a_body_that_drips_is_cut_and_resumed(offer: Offer, tmp_path: Path, start: Start) -> None:
    offer.server.faults[newest(offer)] = [Fault(drip_seconds=0.002)]
    profile = offer.profile(file_seconds=30)
    running = start(profile)
    start.time.tick(1)
    done = running.round()
    start.time.tick(0)
    assert [type(one) for one in done] == [Problem, Fetched, Fetched]
    assert isinstance(done[0], Problem)
    assert "after 30 s" in done[0].message
    assert len(start(profile).round()) == 1
    assert files_of(tmp_path)[named(TIMES[-1])] == frame(TIMES[-1])
    last = [asked for asked in offer.server.asked if asked.path == newest(offer)][-1]
    assert last.headers["range"].startswith("bytes=")


def test_a_wrong_digest_is_not_believed(offer: Offer, start: Start) -> None:
    wrong = {"Repr-Digest": "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:"}
    offer.server.faults[newest(offer)] = [Fault(headers=wrong)]
    done = start(offer.profile()).round()
    assert [type(one) for one in done] == [Fetched] * 3
    assert offer.server.count(newest(offer)) == 2


@pytest.mark.parametrize("text", ["2025-12-31T23:55", "2026-01-01T00:00", "2028-02-29T00:00"])
def test_midnight_the_year_and_leap_days(
    offer: Offer, tmp_path: Path, start: Start, text: str
) -> None:
    start.time.now = utc(text)
    offer.names.clear()
    offer.put(named(text), frame(text))
    start(offer.profile()).round()
    assert files_of(tmp_path) == {named(text): frame(text)}


def test_an_empty_listing_is_no_failure(offer: Offer, tmp_path: Path, start: Start) -> None:
    offer.names.clear()
    done = start(offer.profile()).round()
    # The DWD style lists two files of its own there, which are no frames.
    assert len(done) == (offer.kind == "dwd")
    assert files_of(tmp_path) == {}


@pytest.mark.parametrize(
    "fault",
    [
        Fault(status=500),
        Fault(body=b"\x00\xff" * 20, headers={"Content-Length": "40"}),
        Fault(body=b"", headers={"Content-Length": "0"}),
        Fault(cut=10),
        Fault(status=401),
        Fault(headers={"Content-Encoding": "gzip"}),
        Fault(body=b"x" * 9_000_000, headers={"Content-Length": "9000000"}),
    ],
)
def test_a_listing_that_fails_is_told_and_asked_for_again(
    offer: Offer, start: Start, fault: Fault
) -> None:
    profile = offer.profile()
    offer.server.faults[offer.listed_at] = [fault] * 4
    running = start(profile)
    problems = running.round()
    assert all(isinstance(one, Problem) and one.name == "" for one in problems)
    # A page of another kind without links looks like a folder without files to an index.
    assert problems or fault.body is not None
    offer.server.faults.clear()
    assert [type(one) for one in running.round()] == [Fetched] * 3


def test_a_listing_that_did_not_change_is_not_sent_again(offer: Offer, start: Start) -> None:
    running = start(offer.profile(recheck_minutes=0))
    running.round()
    before = len(offer.server.asked)
    assert running.round() == []
    asked = [one for one in offer.server.asked[before:] if one.path == offer.listed_at]
    assert asked
    assert all("if-none-match" in one.headers for one in asked)


def test_doubles_in_a_listing_come_once(offer: Offer, start: Start) -> None:
    if offer.kind in ("stac", "knmi", "s3"):
        offer.page_size = 2  # and a page that is listed twice
    profile = offer.profile()
    listing = offer.server.files[offer.listed_at]
    assert callable(listing)
    if offer.kind in ("apache", "nginx", "dwd", "plain"):
        offer.server.files[offer.listed_at] = lambda asked: listing(asked) + listing(asked)
    done = start(profile).round()
    assert [type(one) for one in done] == [Fetched] * 3
    assert [offer.server.count(offer.path(named(text))) for text in TIMES] == [1, 1, 1]


@pytest.mark.parametrize("kind", ["s3", "stac", "knmi"])
def test_page_after_page(
    server: Server, start: Start, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setenv("TEST_KNMI_KEY", "a-key")
    offer = Offer(server, kind, page_size=7)
    texts = [f"2026-06-01T{hour:02}:{minute:02}" for hour in (10, 11) for minute in range(0, 60, 5)]
    for text in texts:
        offer.put(named(text), frame(text))
    done = start(offer.profile()).round(hours=3)
    assert len(done) == len(texts) == 24
    assert [type(one) for one in done] == [Fetched] * 24
    assert server.count(offer.listed_at) >= 4


@pytest.mark.parametrize("kind", KINDS)
def test_a_server_that_says_nothing_of_versions(
    server: Server, tmp_path: Path, start: Start, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setenv("TEST_KNMI_KEY", "a-key")
    server.no_validators = True
    offer = Offer(server, kind)
    offer.put(named(TIMES[0]), frame(TIMES[0]))
    server.faults[offer.path(named(TIMES[0]))] = [Fault(cut=900)]
    running = start(offer.profile())
    assert len(running.round()) == 1
    assert running.round() == []
    assert files_of(tmp_path) == {named(TIMES[0]): frame(TIMES[0])}


def test_a_day_of_the_year_in_names_and_folders(
    server: Server, tmp_path: Path, start: Start
) -> None:
    start.time.now = utc("2028-12-31T23:59")  # day 366
    offer = Offer(server, "nginx")
    name = "RZC283662355VL.801.h5"
    offer.put(name, frame("leap"))
    profile = offer.profile(feed="meteoswiss", local="RZC{time:%y%j%H%M}VL.801.h5")
    (done,) = start(profile).round()
    assert isinstance(done, Fetched)
    assert done.valid == utc("2028-12-31T23:55")
    assert files_of(tmp_path) == {name: frame("leap")}
