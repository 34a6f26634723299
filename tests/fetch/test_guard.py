"""Whom a source may ask: tricks by the dozen, and not one connection."""

from __future__ import annotations

import contextlib
import datetime as dt
import ipaddress
import socket
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st
from misbehaving import Fault, Server
from pydantic import SecretStr

from nowcast.fetch.base import Link
from nowcast.fetch.guard import Guard, Place, shown, unfit
from nowcast.fetch.patience import Pace
from nowcast.fetch.web import Web
from nowcast.fetch.wire import Answer, HttpxWire
from nowcast.field.errors import AddressError, FetchError, UnavailableError

GOOD = "radar.example"

# URLs that a listing, a redirect or a STAC link may hold; {port} is that of a listening socket.
URLS = [
    # The local machine, spelt in many ways.
    "https://127.0.0.1:{port}/",
    "https://2130706433:{port}/",
    "https://0x7f000001:{port}/",
    "https://0x7f.0x0.0x0.0x1:{port}/",
    "https://0177.0.0.1:{port}/",
    "https://017700000001:{port}/",
    "https://127.1:{port}/",
    "https://127.0.1:{port}/",
    "https://0:{port}/",
    "https://0.0.0.0:{port}/",
    "https://[::1]:{port}/",
    "https://[::]:{port}/",
    "https://[0:0:0:0:0:0:0:1]:{port}/",
    "https://[::ffff:127.0.0.1]:{port}/",
    "https://[::ffff:7f00:1]:{port}/",
    "https://[64:ff9b::7f00:1]:{port}/",
    "https://[fe80::1%25lo]:{port}/",
    "https://localhost:{port}/",
    "https://LOCALHOST:{port}/",
    "https://localhost.:{port}/",
    "https://localhost.localdomain:{port}/",
    "https://127.0.0.1.nip.io:{port}/",
    "https://\uff11\uff12\uff17.0.0.1:{port}/",
    "https://127\u30020\u30020\u30021:{port}/",
    # Clouds.
    "https://169.254.169.254/latest/meta-data/",
    "https://2852039166/latest/meta-data/",
    "https://[fd00:ec2::254]/latest/meta-data/",
    "https://metadata.google.internal/computeMetadata/v1/",
    "https://100.100.100.200/latest/meta-data/",
    "https://168.63.129.16/machine",
    # An allowed host that is none.
    "https://radar.example@127.0.0.1:{port}/",
    "https://radar.example:443@127.0.0.1:{port}/",
    "https://user:secret@radar.example/",
    "https://127.0.0.1:{port}#@radar.example/",
    "https://127.0.0.1:{port}?@radar.example/",
    "https://127.0.0.1:{port}\\@radar.example/",
    "https://radar.example\\@127.0.0.1:{port}/",
    "https://radar.example%2f@127.0.0.1:{port}/",
    "https://radar.example%00.127.0.0.1:{port}/",
    "https://radar.example%2e127.0.0.1/",
    "https://radar.example.evil.test/",
    "https://evilradar.example/",
    "https://radar-example/",
    "https://radar.example./",
    "https://xn--radar-.example/",
    "https://[radar.example]/",
    "https://rad\u0430r.example/",
    "https://radar\u3002example/",
    # Allowed hosts, other doors.
    "https://radar.example:{port}/",
    "https://radar.example:22/",
    "https://radar.example:0/",
    "https://radar.example:99999/",
    "https://radar.example:-443/",
    "https://radar.example:443x/",
    "https://radar.example:80/",
    "http://radar.example/",
    "http://radar.example:443/",
    # Other schemes, or none.
    "file:///etc/passwd",
    "file://radar.example/etc/passwd",
    "FILE:///etc/passwd",
    "gopher://127.0.0.1:{port}/_GET%20/",
    "ftp://radar.example/",
    "dict://127.0.0.1:{port}/",
    "ldap://127.0.0.1:{port}/",
    "ws://radar.example/",
    "data:text/plain,hello",
    "javascript:alert(1)",
    "jar:https://radar.example/!/",
    "http+unix://%2fvar%2frun%2fdocker.sock/",
    "//127.0.0.1:{port}/",
    "///127.0.0.1:{port}/",
    "https:radar.example",
    "https:/radar.example/",
    "https:///radar.example/",
    "https://",
    "https://:443/",
    "",
    " https://127.0.0.1:{port}/",
    # Lines and blanks that some parsers drop.
    "https://radar.example\t@127.0.0.1:{port}/",
    "https://radar.example\r\nHost: 127.0.0.1/",
    "https://radar.example/\r\nX-Injected: yes",
    "ht\ntps://127.0.0.1:{port}/",
    "https://radar.exam ple/",
    "https://radar.example/" + "a" * 9000,
]

# Addresses that the allowed name may be made to have.
ADDRESSES = [
    *("127.0.0.1", "127.255.255.254", "0.0.0.0", "0.1.2.3", "10.0.0.1", "172.16.0.1"),
    *("192.168.1.1", "100.64.0.1", "169.254.1.1", "169.254.169.254", "192.0.0.192"),
    *("198.18.0.1", "192.0.2.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "240.0.0.1"),
    *("255.255.255.255", "100.100.100.200", "168.63.129.16", "::", "::1", "fe80::1"),
    *("fe80::1%lo", "fc00::1", "fd00:ec2::254", "fec0::1", "ff02::1", "2001:db8::1"),
    *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1"),
    *("64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::7f00:1", "2002:7f00:1::"),
    *("2002:a9fe:a9fe::1", "2001:0:7f00:1::", "2001:0:4136:e378:8000:63bf:80ff:fffe"),
    *("2a00::5efe:7f00:1", "not an address"),
]

# What URLs are made of, for those that no person would think of.
PIECES = [
    *(
        "https",
        "http",
        "file",
        ":",
        "/",
        "//",
        "@",
        "#",
        "?",
        "\\",
        "%",
        "[",
        "]",
        ".",
        "443",
        "80",
    ),
    *(GOOD, "127.0.0.1", "::1", "evil", "\n", "\t", " ", "%2e", "\u3002"),
]


class Listening:
    """A socket on loopback that counts who comes."""

    def __init__(self) -> None:
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.socket.settimeout(0.02)
        self.port = self.socket.getsockname()[1]
        self.came = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._count, daemon=True)

    def _count(self) -> None:
        while not self._ended.is_set():
            with contextlib.suppress(TimeoutError):
                connection, _ = self.socket.accept()
                self.came += 1
                connection.close()

    def __enter__(self) -> Listening:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        self.socket.close()


@pytest.fixture(scope="module")
def listening() -> Iterator[Listening]:
    with Listening() as running:
        yield running


@pytest.fixture
def wire() -> Iterator[HttpxWire]:
    wire = HttpxWire(connect_seconds=2, silence_seconds=2)
    yield wire
    wire.close()


def always(*addresses: str) -> Callable[[str, int], Sequence[str]]:
    return lambda _host, _port: addresses


def ask(web: Web, url: str) -> int:
    with web.open(Link(url), {}) as answer:
        return answer.status


def test_there_are_tricks_enough() -> None:
    assert len(set(URLS)) + len(set(ADDRESSES)) >= 100


@pytest.mark.parametrize("url", URLS)
def test_a_url_that_may_not_be_asked(url: str, listening: Listening, wire: HttpxWire) -> None:
    resolved: list[str] = []

    def resolve(host: str, _port: int) -> list[str]:
        resolved.append(host)
        return ["127.0.0.1"]

    web = Web(Guard((GOOD,), resolve=resolve), wire)
    with pytest.raises(AddressError):
        ask(web, url.replace("{port}", str(listening.port)))
    assert resolved == []
    assert listening.came == 0


@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.parametrize("beside", [(), ("93.184.216.34",)])
def test_an_address_that_may_not_be_asked(
    address: str, beside: tuple[str, ...], listening: Listening, wire: HttpxWire
) -> None:
    hosts = (f"{GOOD}:{listening.port}",)
    web = Web(Guard(hosts, resolve=always(*beside, address)), wire)
    with pytest.raises(AddressError, match="has the address"):
        ask(web, f"https://{GOOD}:{listening.port}/")
    assert listening.came == 0


def test_the_socket_counts_who_may_come(listening: Listening, wire: HttpxWire) -> None:
    """The other side of the tests above: had they let one through, it would have been seen."""
    hosts = (f"{GOOD}:{listening.port}",)
    guard = Guard(hosts, allow_http=True, allow_private=True, resolve=always("127.0.0.1"))
    with pytest.raises(UnavailableError):
        ask(Web(guard, wire), f"http://{GOOD}:{listening.port}/")
    assert listening.came == 1
    listening.came = 0


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "10.0.0.1", "192.168.1.1", "fc00::1"])
def test_private_addresses_pass_where_they_are_allowed(address: str) -> None:
    assert unfit(address, allow_private=True) == ""


@pytest.mark.parametrize(
    "address",
    [
        *("169.254.169.254", "fe80::1", "::ffff:169.254.169.254", "0.0.0.0", "224.0.0.1"),
        *("168.63.129.16", "100.100.100.200", "fd00:ec2::254", "64:ff9b::a9fe:a9fe"),
    ],
)
def test_metadata_never_passes(address: str) -> None:
    assert unfit(address, allow_private=True)


@pytest.mark.parametrize("address", ["93.184.216.34", "2606:2800:220:1::1", "64:ff9b::5db8:d822"])
def test_public_addresses_pass(address: str) -> None:
    assert unfit(address, allow_private=False) == ""


@given(st.ip_addresses(v=4))
def test_an_address_in_disguise_is_the_same_address(plain: ipaddress.IPv4Address) -> None:
    number = int(plain)
    disguises = [
        *(f"::ffff:{plain}", f"64:ff9b::{plain}"),
        str(ipaddress.IPv6Address(0x2002 << 112 | number << 80)),
    ]
    for disguise in disguises:
        assert bool(unfit(disguise, allow_private=False)) == bool(
            unfit(str(plain), allow_private=False)
        )


@given(
    st.one_of(
        st.text(max_size=60),
        st.lists(
            st.sampled_from(PIECES),
            max_size=12,
        ).map("".join),
    )
)
def test_whatever_passes_leads_to_the_host(url: str) -> None:
    guard = Guard((GOOD,), resolve=always("93.184.216.34"))
    with contextlib.suppress(FetchError):
        place = guard.place(url)
        assert (place.scheme, place.host, place.port) == ("https", GOOD, 443)
        assert place.addresses == ("93.184.216.34",)


class Recording:
    """A wire that connects to nothing, and remembers to whom it would have."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[Place, Mapping[str, str]]] = []

    @contextlib.contextmanager
    def ask(self, place: Place, headers: Mapping[str, str]) -> Iterator[Answer]:
        self.asked.append((place, headers))
        yield self.answers.pop(0)

    def close(self) -> None:
        pass


def test_a_name_that_is_bound_anew_between_two_requests() -> None:
    answers = [Answer(302, {"location": "/next"}, iter(())), Answer(200, {}, iter(()))]
    recording = Recording(*answers)
    addresses = iter([["93.184.216.34"], ["127.0.0.1"]])
    web = Web(Guard((GOOD,), resolve=lambda _host, _port: next(addresses)), recording)
    with pytest.raises(AddressError, match=r"127\.0\.0\.1: private"):
        ask(web, f"https://{GOOD}/")
    # Connected to the address that was looked at: the wire is not told to look it up again.
    assert [place.addresses for place, _ in recording.asked] == [("93.184.216.34",)]


@pytest.mark.parametrize(
    ("target", "told"),
    [
        ("/elsewhere", True),
        (f"https://{GOOD}/elsewhere", True),
        ("https://files.example/elsewhere", False),
        (f"https://{GOOD}:8443/elsewhere", False),
    ],
)
def test_a_key_stays_with_its_host(target: str, *, told: bool) -> None:
    recording = Recording(Answer(302, {"location": target}, iter(())), Answer(200, {}, iter(())))
    guard = Guard((GOOD, f"{GOOD}:8443", "files.example"), resolve=always("93.184.216.34"))
    link = Link(f"https://{GOOD}/", {"authorization": SecretStr("the-key")})
    with Web(guard, recording).open(link, {}) as answer:
        assert answer.status == 200
    first, second = recording.asked
    assert first[1]["authorization"] == "the-key"
    assert ("authorization" in second[1]) is told


@pytest.mark.parametrize("hops", [1, 3, 4])
def test_three_redirects_and_no_more(server: Server, wire: HttpxWire, hops: int) -> None:
    server.files["/end"] = b"here"
    for hop in range(hops):
        target = f"/{hop + 1}" if hop + 1 < hops else "/end"
        server.faults[f"/{hop}"] = [Fault(status=301, headers={"Location": target})]
    web = Web(Guard((server.host,), allow_http=True, allow_private=True), wire, Pace(1e6))
    if hops > 3:
        with pytest.raises(AddressError, match="more than 3 redirects"):
            ask(web, f"{server.url}/0")
    else:
        assert ask(web, f"{server.url}/0") == 200
    assert server.count("/end") == (hops <= 3)


@pytest.mark.parametrize("url", URLS)
def test_a_redirect_to_where_nobody_may_go(
    url: str, server: Server, listening: Listening, wire: HttpxWire
) -> None:
    target = url.replace("{port}", str(listening.port)).encode("ascii", "ignore").decode()
    if not target.strip() or "\n" in target:
        target = f"https://127.0.0.1:{listening.port}/"  # no header can hold it
    server.faults["/"] = [Fault(status=302, headers={"Location": target})] * 9
    web = Web(Guard((server.host,), allow_http=True, allow_private=True), wire)
    # Some are paths on the server itself, where nothing stands.
    with pytest.raises(FetchError):
        ask(web, f"{server.url}/")
    assert listening.came == 0


def test_certificates_must_bear_the_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import ssl

    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(GOOD).configure_cert(context)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    with Server(context) as server, contextlib.closing(HttpxWire()) as wire:
        server.files["/"] = b"here"
        port = server.host.partition(":")[2]
        hosts = (f"{GOOD}:{port}", f"other.example:{port}")
        guard = Guard(hosts, allow_private=True, resolve=always("127.0.0.1"))
        assert ask(Web(guard, wire), f"https://{GOOD}:{port}/") == 200
        # The same address, and a connection to it that stands open: the name counts all the same.
        with pytest.raises(UnavailableError, match="CERTIFICATE_VERIFY_FAILED"):
            ask(Web(guard, wire), f"https://other.example:{port}/")
        assert len(server.asked) == 1


def test_the_next_address_is_tried(server: Server, wire: HttpxWire) -> None:
    server.files["/"] = b"here"
    port = server.host.partition(":")[2]
    guard = Guard(
        (f"{GOOD}:{port}",),
        allow_http=True,
        allow_private=True,
        resolve=always("127.0.0.2", "127.0.0.1"),
    )
    assert ask(Web(guard, wire), f"http://{GOOD}:{port}/") == 200


def test_a_host_without_an_address() -> None:
    web = Web(Guard((GOOD,), resolve=always()), Recording())
    with pytest.raises(UnavailableError, match="no address"):
        ask(web, f"https://{GOOD}/")
    with pytest.raises(UnavailableError, match="no address found for that name"):
        Guard(("radar.invalid",)).place("https://radar.invalid/")


def test_requests_keep_their_distance() -> None:
    from offers import Time

    from nowcast.fetch.clocks import Clocks

    time = Time()
    pace = Pace(60, clocks=Clocks(lambda: time.now, time.look, time.sleep))
    began = time.now
    for _ in range(5):
        pace.wait("one")
        pace.wait("other")
    assert time.now - began == dt.timedelta(seconds=4)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://a.b/c?X-Amz-Signature=s3cr3t", "https://a.b/c"),
        ("https://a.b/c#s3cr3t", "https://a.b/c"),
        ("https://user:s3cr3t@a.b/c", "https://a.b/c"),
        ("https://a.b/c\n\x1b[31m", "https://a.b/c\\n\\x1b[31m"),
        ("https://a.b/" + "c" * 999, "https://a.b/" + "c" * 288),
    ],
)
def test_what_is_shown_of_a_url(url: str, expected: str) -> None:
    assert shown(url) == expected
