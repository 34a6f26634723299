"""``nowcast feeds`` and ``nowcast inspect``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nowcast.cli.common import AsJson, Series, print_json, print_table

if TYPE_CHECKING:
    from config.feed import FeedProfile


def add_to(app: typer.Typer) -> None:
    """Join the commands to the program."""
    app.command()(feeds)
    app.command("inspect")(inspect)


def feeds(as_json: AsJson = False) -> None:
    """List the radar feeds known, with cadence, grid, unit and licence.

    Your own profiles join them: set NOWCAST_FEEDS to a folder of TOML files.

    Example:

        nowcast feeds

        nowcast feeds --json
    """
    from nowcast import build

    profiles = build.feeds()
    if as_json:
        print_json([profile.model_dump(mode="json") for profile in profiles.values()])
        return
    print_table(
        ("feed", "what", "every", "grid", "unit", "licence"),
        [
            (feed.name, feed.title, _every(feed), feed.grid, feed.unit, feed.licence)
            for feed in profiles.values()
        ],
    )


def _every(feed: FeedProfile) -> str:
    return f"{feed.cadence_minutes:g} min" if feed.cadence_minutes else "as found"


def inspect(
    path: Annotated[Path, typer.Argument(help="A radar file, or a folder of them.")],
    feed: Annotated[
        str | None, typer.Option("--feed", help="The radar feed; left out, a file is recognised.")
    ] = None,
    series: Series = None,
    as_json: AsJson = False,
) -> None:
    """Say what is in a file or folder: times, gaps, grid, CRS, units, wet and unseen fraction.

    Example:

        nowcast inspect DATA/radar/knmi/2010 --feed knmi
    """
    from nowcast import build
    from nowcast.ingest.inspection import inspect_path

    profile = build.feed(feed) if feed else None
    found = inspect_path(path, profile=profile, profiles=build.feeds().values(), series=series)
    if as_json:
        print_json(found.to_dict())
    else:
        typer.echo("\n".join(found.lines()))
