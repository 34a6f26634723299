"""One file from a server, whole: resumed where it broke off, and not believed unseen."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from nowcast.fetch import content, digests
from nowcast.fetch.guard import shown
from nowcast.fetch.part import Part
from nowcast.fetch.web import condition, validator_of
from nowcast.field.errors import AnswerError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from nowcast.fetch.base import Listing, Remote
    from nowcast.fetch.web import Web
    from nowcast.fetch.wire import Answer

_RANGE = re.compile(r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18})")


class Received(NamedTuple):
    """A file that came whole, still under the name of a part."""

    path: Path
    size: int
    sha256: str
    validator: str


@dataclass(frozen=True)
class Downloader:
    """How files are brought.

    Attributes:
        web: asks the servers.
        folder: where parts lie; on the disk of the folder that the files are for.
        kind: the reader format of the feed.
        max_bytes, seconds: of one file.

    """

    web: Web
    folder: Path
    kind: str
    max_bytes: int = 256 * 2**20
    seconds: float = 120.0

    def receive(
        self, remote: Remote, listing: Listing, *, name: str, known: str
    ) -> Received | None:
        """The file, as a part of the name ``name``; None where it is still the version ``known``.

        Raises AddressError, AnswerError, ProductError, and UnavailableError after some tries.
        """
        part = Part(self.folder / f"{name}.part")
        deadline = self.web.clocks.seconds() + self.seconds

        def attempt() -> Received | None:
            return self._attempt(remote, listing, part=part, known=known, deadline=deadline)

        try:
            received = self.web.patience.call(attempt)
            if received is not None:
                self._check(received, remote, name)
        except AnswerError:
            part.drop()
            raise
        return received

    def _attempt(
        self, remote: Remote, listing: Listing, *, part: Part, known: str, deadline: float
    ) -> Received | None:
        kept, version = part.kept()
        if kept and _may_resume(version):
            headers = {"range": f"bytes={kept}-", "if-range": version}
        else:
            kept, headers = 0, condition(known)
        with self.web.open(listing.link(remote), headers) as answer:
            if answer.status == 304:
                return None
            at = self._start(answer, part, kept, remote)
            whole = self._whole(answer, at, remote)
            validator = validator_of(answer.headers)
            size = part.write(
                self._bounded(answer, at, remote, deadline), at=at, validator=validator
            )
            stated = list(digests.promised(answer.headers))
        if whole is not None and size != whole:
            raise UnavailableError(f"{shown(remote.url)}: {size} bytes came, expected {whole}")
        self._compare(part, stated, remote)
        return Received(part.path, size, digests.digest(part.path, "sha256"), validator)

    def _start(self, answer: Answer, part: Part, kept: int, remote: Remote) -> int:
        """The byte at which the answer begins."""
        if answer.status == 200:
            return 0
        found = _RANGE.fullmatch(answer.headers.get("content-range", ""))
        if answer.status == 206 and found and kept and int(found[1]) == kept:
            return kept
        part.drop()
        raise UnavailableError(
            f"{shown(remote.url)}: status {answer.status} for the rest from byte {kept} on"
        )

    def _whole(self, answer: Answer, at: int, remote: Remote) -> int | None:
        """The size of the whole file, where anything says it; raises AnswerError if too large."""
        length = answer.headers.get("content-length", "")
        whole = at + int(length) if length.isdecimal() else remote.size
        if whole is not None and whole > self.max_bytes:
            raise AnswerError(
                f"{shown(remote.url)}: {whole} bytes, expected at most {self.max_bytes}; "
                "max_mebibytes lets larger files pass"
            )
        return whole

    def _bounded(self, answer: Answer, at: int, remote: Remote, deadline: float) -> Iterator[bytes]:
        """The pieces of the answer, as long as they are neither too many nor too slow."""
        size = at
        for chunk in answer.chunks:
            size += len(chunk)
            if size > self.max_bytes:
                raise AnswerError(
                    f"{shown(remote.url)}: more than {self.max_bytes} bytes; "
                    "max_mebibytes lets larger files pass"
                )
            if self.web.clocks.seconds() > deadline:
                raise UnavailableError(
                    f"{shown(remote.url)}: {size} bytes after {self.seconds:g} s; "
                    "the rest is fetched later",
                    retry_after_seconds=self.seconds,
                )
            yield chunk

    def _compare(self, part: Part, stated: list[str], remote: Remote) -> None:
        """Raise where the file is another one than was promised; it is begun anew."""
        for promise in filter(None, [remote.digest, *stated]):
            algorithm, _, expected = promise.partition(":")
            found = digests.digest(part.path, algorithm)
            if found != expected:
                part.drop()
                raise UnavailableError(
                    f"{shown(remote.url)}: {algorithm} {found}, expected {expected}"
                )

    def _check(self, received: Received, remote: Remote, name: str) -> None:
        with received.path.open("rb") as file:
            head = file.read(content.HEAD_BYTES)
        if wrong := content.problem(head, name=name, kind=self.kind):
            raise AnswerError(f"{shown(remote.url)}: {wrong}")


def _may_resume(validator: str) -> bool:
    """Whether it tells versions apart byte by byte, as a weak ETag does not."""
    return bool(validator) and not validator.startswith("W/")
