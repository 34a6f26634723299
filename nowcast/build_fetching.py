"""Network sources by name become what brings their files."""

from __future__ import annotations

from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from nowcast import build
from nowcast.field.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from config.source import SourceProfile
    from nowcast.fetch.clocks import Clocks
    from nowcast.fetch.collect import Collector
    from nowcast.fetch.web import Web


def source(name: str) -> SourceProfile:
    """The profile of a network source; raises UsageError with the nearest names."""
    from config.source import SOURCES

    with build.as_usage():
        return SOURCES.named(name)


def sources() -> Mapping[str, SourceProfile]:
    """All source profiles by name; raises UsageError on a wrong one of the user's."""
    from config.source import SOURCES

    with build.as_usage():
        return SOURCES.all()


def web(profile: SourceProfile, *, clocks: Clocks | None = None) -> Web:
    """How the servers of a source are asked; raises UsageError for want of a library."""
    try:
        from nowcast.fetch import guard, patience, wire
        from nowcast.fetch.clocks import Clocks
        from nowcast.fetch.web import Web
    except ModuleNotFoundError as error:
        raise UsageError(
            f"fetching needs {error.name}: pip install 'mim-nowcast[fetch]'"
        ) from error
    clocks = clocks or Clocks()
    return Web(
        guard=guard.Guard(profile.hosts, profile.allow_http, profile.allow_private),
        wire=wire.HttpxWire(),
        pace=patience.Pace(profile.requests_per_minute, clocks=clocks),
        patience=patience.Patience(clocks=clocks),
        clocks=clocks,
    )


@contextmanager
def collecting(
    profile: SourceProfile, into: Path, *, asked: Web | None = None
) -> Iterator[Collector]:
    """What brings a source's files into a folder, which no other process may do meanwhile.

    ``asked`` stands for the network. Raises UsageError where the feed, a key or a library is not
    there, and BusyError.
    """
    asked = asked or web(profile)
    from datetime import timedelta

    from nowcast.fetch import collect, download, history, listings, naming
    from nowcast.fetch.room import Room

    room, reader = Room(into, profile.name), build.feed(profile.feed)
    listing = listings.listing_of(profile.listing, asked)
    said = {"pattern": profile.pattern, "time_format": profile.time_format}
    names = reader.model_copy(update=said) if profile.pattern else reader
    downloader = download.Downloader(
        web=asked,
        folder=room.parts,
        kind=reader.reader.format,
        max_bytes=round(profile.max_mebibytes * 2**20),
        seconds=profile.file_seconds,
    )
    fetched = history.History(room.history)
    with closing(asked.wire), room.held(), closing(fetched):
        yield collect.Collector(
            source=profile.name,
            naming=naming.Naming(remote=names, feed=reader, local=profile.local),
            listing=listing,
            downloader=downloader,
            history=fetched,
            folder=into,
            recheck=timedelta(minutes=profile.recheck_minutes),
            clocks=asked.clocks,
        )
