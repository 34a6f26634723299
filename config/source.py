"""What a network source is: where a feed's files are listed, and what may be asked of whom."""

from __future__ import annotations

import re
import string
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from config.load import Profiles
from config.secret import Secret

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
# A host as it stands in a URL, with the port where it is not the scheme's own.
_HOST = re.compile(r"[a-z0-9.-]+(:\d{1,5})?|\[[0-9a-f:.]+\](:\d{1,5})?")


class _Profile(BaseModel):
    # What was found is not repeated: a misplaced value may be a key.
    model_config = ConfigDict(
        frozen=True, extra="forbid", str_strip_whitespace=True, hide_input_in_errors=True
    )


def _one_or_several(value: object) -> object:
    return (value,) if isinstance(value, str) else value


class _Pages(_Profile):
    @staticmethod
    def _templates(value: tuple[str, ...]) -> tuple[str, ...]:
        for template in value:
            _check_template(template, allowed={"time"})
        return value


class IndexListing(_Pages):
    """Directory indexes over HTTP, as Apache, nginx and DWD write them.

    Attributes:
        url: of the folders; may hold the time, such as ``.../{time:%Y/%m/%d}/``.

    """

    kind: Literal["index"]
    url: Annotated[tuple[str, ...], Field(min_length=1)]

    _several = field_validator("url", mode="before")(_one_or_several)
    _checked = field_validator("url")(_Pages._templates)


class S3Listing(_Pages):
    """A bucket that anyone may list (ListObjectsV2).

    Attributes:
        bucket: its URL, either style: the bucket in the host or in the path.
        prefix: of the keys; may hold the time.
        etag_is_md5: whether an ETag of 32 hexadecimal digits is the MD5 of the object, as it is
            for what was uploaded in one part and is not encrypted with a customer's key.

    """

    kind: Literal["s3"]
    bucket: str
    prefix: Annotated[tuple[str, ...], Field(min_length=1)]
    etag_is_md5: bool = True

    _several = field_validator("prefix", mode="before")(_one_or_several)
    _checked = field_validator("prefix")(_Pages._templates)


class StacListing(_Pages):
    """Assets of STAC items, one item or page after page.

    Attributes:
        url: of an item or of a collection's items; may hold the time.

    """

    kind: Literal["stac"]
    url: Annotated[tuple[str, ...], Field(min_length=1)]

    _several = field_validator("url", mode="before")(_one_or_several)
    _checked = field_validator("url")(_Pages._templates)


class KnmiListing(_Profile):
    """A data set of the KNMI data platform, which gives each file a URL for a while.

    Attributes:
        url: of the data set's ``files``.
        key: the API key.

    """

    kind: Literal["knmi"]
    url: str
    key: Secret


Listing = Annotated[
    IndexListing | S3Listing | StacListing | KnmiListing, Field(discriminator="kind")
]


class SourceProfile(_Profile):
    """Where the files of a feed come from.

    Attributes:
        name: what ``--source`` takes.
        title, references: what this is, and where it is described.
        attribution: what those who see the products must be told.
        verified: whether anyone has seen the live service answer as this profile expects.
        feed: the feed profile that decodes the files.
        listing: how the files are listed.
        hosts: that may be asked, such as ``data.example.org`` or ``data.example.org:8443``;
            whatever else a listing or a redirect names is refused.
        allow_http: whether plain http will do.
        allow_private: whether a host may have a private or loopback address.
        pattern, time_format: the names to take, as in a feed profile; left out, the feed's own.
        local: the name a file gets here, made of its valid time and the pattern's groups.
        poll_seconds: the time between two looks at the listing.
        recheck_minutes: how long files are asked for again whose listing says nothing of changes.
        requests_per_minute: of one host, at most.
        max_mebibytes: of one file; what is larger is refused.
        file_seconds: for one file; what is slower is tried again later.

    """

    name: Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")]
    title: Annotated[str, Field(min_length=1)]
    attribution: str = ""
    references: str = ""
    verified: bool = False
    feed: str
    listing: Listing
    hosts: Annotated[tuple[str, ...], Field(min_length=1)]
    allow_http: bool = False
    allow_private: bool = False
    pattern: tuple[str, ...] = ()
    time_format: tuple[str, ...] = ()
    local: str
    poll_seconds: Annotated[float, Field(ge=1, le=3600)] = 30
    recheck_minutes: Annotated[float, Field(ge=0)] = 15
    requests_per_minute: Positive = 120
    max_mebibytes: Positive = 256
    file_seconds: Positive = 120

    _several = field_validator("pattern", "time_format", mode="before")(_one_or_several)

    @field_validator("hosts")
    @classmethod
    def _are_hosts(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for host in value:
            if not _HOST.fullmatch(host):
                raise ValueError(f"hosts in small letters, without scheme or path; {host!r}")
        return value

    @model_validator(mode="after")
    def _pattern_and_format_go_together(self) -> SourceProfile:
        if bool(self.pattern) != bool(self.time_format):
            raise ValueError("pattern and time_format go together: give both, or neither")
        groups = {"time"}
        for expression in self.pattern:
            try:
                groups |= set(re.compile(expression).groupindex)
            except re.error as error:
                raise ValueError(f"pattern: {expression!r}: {error}") from error
        # Without a pattern the groups are the feed's, which are known when both are put together.
        _check_template(self.local, allowed=groups if self.pattern else None)
        return self


def _check_template(template: str, *, allowed: set[str] | None) -> None:
    """Refuse a template that names anything but values: no attribute, no index, no position."""
    try:
        fields = [name for _, name, _, _ in string.Formatter().parse(template) if name is not None]
    except ValueError as error:
        raise ValueError(f"a template; {template!r}: {error}") from error
    for name in fields:
        if not name.isidentifier() or (allowed is not None and name not in allowed):
            known = ", ".join(sorted(allowed or {"time"}))
            raise ValueError(f"a template of {known}; {template!r} names {name!r}")


SOURCES = Profiles(
    kind="source",
    model=SourceProfile,
    shipped=Path(__file__).parent / "sources",
    users_folder="NOWCAST_SOURCES",
    by_path=True,
    shows_found=False,
)
