"""One request to one address over HTTP; the only module that knows httpx.

httpx.Client is passed over and its transports used: it would follow redirects by itself, take
proxies from the environment, and write whole URLs, signatures and all, to the log.
"""

from __future__ import annotations

import contextlib
import logging
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

import httpx

from nowcast.field.errors import UnavailableError

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator, Mapping
    from contextlib import AbstractContextManager

    from nowcast.fetch.guard import Place


@dataclass(frozen=True)
class Answer:
    """What a server said: header names in small letters; the body as sent, in pieces."""

    status: int
    headers: Mapping[str, str]
    chunks: Iterator[bytes]


class Wire(Protocol):
    """How requests are made."""

    def ask(self, place: Place, headers: Mapping[str, str]) -> AbstractContextManager[Answer]:
        """GET; raises UnavailableError where the server cannot be reached or breaks off."""
        ...

    def close(self) -> None:
        """Close all connections."""
        ...


@dataclass(frozen=True)
class HttpxWire:
    """Requests by httpx to addresses that are given, under the names that certificates must bear.

    Attributes:
        connect_seconds: to connect.
        silence_seconds: between two pieces of an answer.

    """

    connect_seconds: float = 10.0
    silence_seconds: float = 20.0
    _pools: dict[str, httpx.HTTPTransport] = field(default_factory=dict, repr=False, compare=False)

    def __post_init__(self) -> None:
        # httpcore writes the headers of answers to its log, signed URLs of redirects among them.
        logging.getLogger("httpcore").setLevel(logging.INFO)

    @cached_property
    def _certificates(self) -> ssl.SSLContext:
        return httpx.create_ssl_context()

    @contextlib.contextmanager
    def ask(self, place: Place, headers: Mapping[str, str]) -> Iterator[Answer]:
        """GET from the first of the addresses that takes a connection."""
        where = f"{place.origin}{place.path.partition('?')[0]}"
        with _explained(where):
            response = self._answered(place, headers)
        try:
            yield Answer(
                response.status_code,
                {name.lower(): value for name, value in response.headers.items()},
                _pieces(response, where),
            )
        finally:
            response.close()

    def _answered(self, place: Place, headers: Mapping[str, str]) -> httpx.Response:
        for address in place.addresses[:-1]:
            with contextlib.suppress(httpx.ConnectError, httpx.ConnectTimeout):
                return self._ask_address(place, address, headers)
        return self._ask_address(place, place.addresses[-1], headers)

    def _ask_address(
        self, place: Place, address: str, headers: Mapping[str, str]
    ) -> httpx.Response:
        timeout = httpx.Timeout(self.silence_seconds, connect=self.connect_seconds)
        request = httpx.Request(
            "GET",
            httpx.URL(
                scheme=place.scheme,
                host=address,
                port=place.port,
                raw_path=place.path.encode("ascii"),
            ),
            headers={"host": place.origin.partition("://")[2], **headers},
            extensions={"timeout": timeout.as_dict(), "sni_hostname": place.host},
        )
        return self._pool(place.origin).handle_request(request)

    def _pool(self, origin: str) -> httpx.HTTPTransport:
        """The connections of one origin: none may serve another, though the address be the same."""
        if origin not in self._pools:
            verify = self._certificates if origin.startswith("https:") else False
            self._pools[origin] = httpx.HTTPTransport(verify=verify, trust_env=False)
        return self._pools[origin]

    def close(self) -> None:
        """Close all connections."""
        for pool in self._pools.values():
            pool.close()
        self._pools.clear()


@contextlib.contextmanager
def _explained(where: str) -> Iterator[None]:
    try:
        yield
    except httpx.ConnectError as error:
        raise UnavailableError(f"{where}: no connection: {error}") from error
    except httpx.TimeoutException as error:
        raise UnavailableError(f"{where}: no answer in time ({type(error).__name__})") from error
    except (httpx.TransportError, httpx.StreamError) as error:
        # Their words may quote what was sent, and that may hold a key.
        raise UnavailableError(f"{where}: the answer broke off ({type(error).__name__})") from None


def _pieces(response: httpx.Response, where: str) -> Iterator[bytes]:
    with _explained(where):
        # As sent: nothing is unpacked that a server may have packed to burst here.
        yield from response.iter_raw()
