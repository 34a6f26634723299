"""Asking servers: checked, paced, redirected within bounds, and what their answers mean."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from nowcast.fetch.clocks import Clocks
from nowcast.fetch.guard import shown
from nowcast.fetch.links import joined
from nowcast.fetch.patience import Pace, Patience, retry_after
from nowcast.field.errors import AddressError, AnswerError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from nowcast.fetch.base import Link
    from nowcast.fetch.guard import Guard, Place
    from nowcast.fetch.wire import Answer, Wire

MAX_REDIRECTS = 3
_REDIRECTS = {301, 302, 303, 307, 308}
_GOOD = {200, 206, 304, 416}
# Not found and forbidden too: listings run ahead of the files, and signed URLs expire.
_AGAIN = {403, 404, 408, 425, 429}
_PAGES_KEPT = 32
_IDENTITY = {"accept-encoding": "identity", "user-agent": "mim-nowcast"}


class Page(NamedTuple):
    """A listing, and what to say to be told whether it has changed."""

    validator: str
    body: bytes


@dataclass(frozen=True)
class Web:
    """Requests of one source.

    Attributes:
        guard: who may be asked.
        wire: how.
        pace, patience: when, and how often.
        max_page_bytes, page_seconds: of a listing; what is larger or slower is refused.
        clocks: tell the time.

    """

    guard: Guard
    wire: Wire
    pace: Pace = field(default_factory=Pace)
    patience: Patience = field(default_factory=Patience)
    max_page_bytes: int = 8 * 2**20
    page_seconds: float = 60.0
    clocks: Clocks = field(default_factory=Clocks)
    _pages: dict[str, Page] = field(default_factory=dict, repr=False, compare=False)

    def page(self, link: Link) -> bytes | None:
        """A listing, asked for only if it has changed; None where there is none (404).

        Raises AddressError, AnswerError, and UnavailableError after some tries.
        """
        return self.patience.call(lambda: self.look(link))

    def look(self, link: Link) -> bytes | None:
        """As ``page``, but it tries once."""
        kept = self._pages.get(link.url)
        headers = condition(kept.validator) if kept else {}
        try:
            with self.open(link, headers) as answer:
                if answer.status == 304 and kept:
                    return kept.body
                body = self._body(answer, link.url)
                validator = validator_of(answer.headers)
        except UnavailableError as error:
            # A folder of a day that has not begun there is none; that is no failure.
            if error.status == 404:
                return None
            raise
        if validator:
            self._keep(link.url, Page(validator, body))
        return body

    @contextlib.contextmanager
    def open(self, link: Link, headers: Mapping[str, str]) -> Iterator[Answer]:
        """The answer to one request, after redirects: status 200, 206, 304 or 416.

        Raises AddressError, AnswerError and UnavailableError; tries once.
        """
        url, secrets, origin = link.url, link.secrets, ""
        for _ in range(MAX_REDIRECTS + 1):
            place = self.guard.place(url)
            if origin and place.origin != origin:
                secrets = {}
            origin = place.origin
            known = {name: secret.get_secret_value() for name, secret in secrets.items()}
            self.pace.wait(place.host)
            with self.wire.ask(place, {**_IDENTITY, **headers, **known}) as answer:
                if answer.status not in _REDIRECTS:
                    self._refuse(answer, place, url)
                    yield answer
                    return
                url = joined(url, answer.headers.get("location", ""))
        raise AddressError(f"{shown(link.url)}: more than {MAX_REDIRECTS} redirects")

    def _refuse(self, answer: Answer, place: Place, url: str) -> None:
        """Raise where the status says that what follows is not what was asked for."""
        status = answer.status
        if status in _GOOD:
            return
        if status in _AGAIN or status >= 500:
            asked = retry_after(answer.headers.get("retry-after"), now=self.clocks.now())
            if asked:
                self.pace.hold(place.host, asked)
            raise UnavailableError(
                f"{shown(url)}: status {status}", status=status, retry_after_seconds=asked
            )
        hint = ": the key is missing, wrong or expired" if status == 401 else ""
        raise AnswerError(f"{shown(url)}: status {status}, expected 200{hint}")

    def _keep(self, url: str, page: Page) -> None:
        self._pages.pop(url, None)
        self._pages[url] = page
        if len(self._pages) > _PAGES_KEPT:
            del self._pages[next(iter(self._pages))]

    def _body(self, answer: Answer, url: str) -> bytes:
        encoding = answer.headers.get("content-encoding", "identity")
        if answer.status != 200 or encoding != "identity":
            raise AnswerError(
                f"{shown(url)}: status {answer.status}, encoding {encoding[:20]!r}; "
                "expected 200 and a body that is not packed"
            )
        body, deadline = bytearray(), self.clocks.seconds() + self.page_seconds
        for chunk in answer.chunks:
            body += chunk
            if len(body) > self.max_page_bytes:
                raise AnswerError(
                    f"{shown(url)}: a listing of more than {self.max_page_bytes / 2**20:g} MiB"
                )
            if self.clocks.seconds() > deadline:
                raise UnavailableError(f"{shown(url)}: not there after {self.page_seconds:g} s")
        return bytes(body)


def validator_of(headers: Mapping[str, str]) -> str:
    """What tells this version of a body from others: its ETag, or else when it was changed.

    Empty where there is neither, or none that can be sent back.
    """
    found = headers.get("etag") or headers.get("last-modified", "")
    return found if found.isascii() and found.isprintable() else ""


def condition(validator: str) -> dict[str, str]:
    """The header that asks for a body only if it is another version than this one."""
    if not validator:
        return {}
    name = "if-none-match" if validator.startswith(('"', "W/")) else "if-modified-since"
    return {name: validator}
