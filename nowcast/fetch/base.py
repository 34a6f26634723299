"""What every listing offers: which files a server has, and where each is to be had."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable, Mapping

    from pydantic import SecretStr


@dataclass(frozen=True)
class Link:
    """Where to ask, and the headers that nobody else may see: they stay with the first host."""

    url: str
    secrets: Mapping[str, SecretStr] = field(default_factory=dict)


@dataclass(frozen=True)
class Remote:
    """A file that a server offers.

    Attributes:
        name: as the server calls it, without a folder. Never used as a path here.
        url: where it is, or where to ask where it is.
        tag: changes when the file does (ETag, or date and size); empty where nothing tells.
        size: in bytes, None where the listing does not say it exactly.
        digest: ``sha256:`` or ``md5:`` and hexadecimal digits; empty where the listing has none.

    """

    name: str
    url: str
    tag: str = ""
    size: int | None = None
    digest: str = ""


class Listing(Protocol):
    """One kind of server. Implementations are frozen dataclasses."""

    def list(self, since: dt.datetime) -> Iterable[Remote]:
        """The files that may hold frames of ``since`` (UTC) or later, and others beside them.

        In any order, page by page. Raises FetchError.
        """
        ...

    def link(self, remote: Remote) -> Link:
        """Where the file is to be had from now on; asked before each try. Raises FetchError."""
        ...
