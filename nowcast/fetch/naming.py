"""What a server's names mean here: the valid time of a file, and the name it gets."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from nowcast.field.errors import UsageError

if TYPE_CHECKING:
    import datetime as dt

    from config.feed import FeedProfile

_LONGEST_NAME = 255
_SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+=-]{0,199}")


class Named(NamedTuple):
    """The valid time (UTC) of a file, and its name in the folder."""

    valid: dt.datetime
    local: str


@dataclass(frozen=True)
class Naming:
    """How names are understood and given.

    Attributes:
        remote: the patterns and time formats of the server's names.
        feed: the feed that will read the files: it must know the names given.
        local: a template of ``time`` and the pattern's groups.

    """

    remote: FeedProfile
    feed: FeedProfile
    local: str

    def of(self, name: str) -> Named | None:
        """What a server's file name means; None for a foreign one.

        Raises UsageError where the template makes a name that the feed does not read as a frame of
        that time, or that is no plain file name.
        """
        # No file system has longer names; what cannot be printed is no name either.
        if len(name) > _LONGEST_NAME or not name.isprintable():
            return None
        match = self.remote.match(name)
        valid = self.remote.time(match) if match else None
        if match is None or valid is None:
            return None
        groups = {group: text or "" for group, text in match.groupdict().items()}
        try:
            local = self.local.format(**groups | {"time": valid})
        except (KeyError, ValueError) as error:
            raise UsageError(f"local = {self.local!r}: cannot be filled in: {error!r}") from error
        if not _SAFE.fullmatch(local):
            return None
        known = self.feed.match(local)
        if known is None or self.feed.time(known) != valid:
            raise UsageError(
                f"local = {self.local!r} makes the name {local!r}, which feed {self.feed.name} "
                f"does not read as a frame of {valid:%Y-%m-%dT%H:%M}Z"
            )
        return Named(valid, local)
