"""``nowcast fetch`` and ``nowcast sources``."""

from __future__ import annotations

import datetime as dt
import json
import re
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from nowcast.cli.common import AsJson, print_json, print_table, say

if TYPE_CHECKING:
    from nowcast.fetch.collect import Fetched, Problem

_UNITS = {"m": "minutes", "h": "hours", "d": "days"}


def add_to(app: typer.Typer) -> None:
    """Join the commands to the program."""
    app.command()(sources)
    app.command()(fetch)


def sources(as_json: AsJson = False) -> None:
    """List the network sources of radar files: where, which feed, whether seen to work.

    Your own profiles join them: set NOWCAST_SOURCES to a folder of TOML files.

    Example:

        nowcast sources

        nowcast sources --json
    """
    from nowcast import build_fetching

    profiles = build_fetching.sources()
    if as_json:
        print_json([profile.model_dump(mode="json") for profile in profiles.values()])
        return
    print_table(
        ("source", "what", "feed", "by", "seen to work"),
        [
            (one.name, one.title, one.feed, one.listing.kind, "yes" if one.verified else "no")
            for one in profiles.values()
        ],
    )


def fetch(
    source: Annotated[
        str, typer.Option("--source", help="A source (see: nowcast sources), or its TOML file.")
    ],
    into: Annotated[
        Path, typer.Option("--into", help="Folder the files go to.", show_default=False)
    ],
    once: Annotated[bool, typer.Option("--once", help="Look once, then end.")] = False,
    since: Annotated[
        str, typer.Option(help="How old a frame may be: 90m, 2h or 1d.", metavar="AGE")
    ] = "2h",
    as_json: Annotated[
        bool, typer.Option("--json", help="Print a JSON object a line, one for each file.")
    ] = False,
) -> None:
    """Bring radar files from a server into a folder, the newest first, and go on doing so.

    Files appear whole under their names, are not fetched twice (not after a restart either), and a
    file that changes on the server comes again, into a folder revision-2 of the folder. Ends with
    the code of the last problem where --once is given and not all could be fetched.

    Example:

        nowcast fetch --source dwd-rv --into radar --once --since 30m

        nowcast fetch --source mrms --into radar
    """
    from nowcast import build_fetching

    profile, back = build_fetching.source(source), _age(since)
    signal.signal(signal.SIGTERM, _interrupted)
    problem = None
    with build_fetching.collecting(profile, into) as collector:
        from nowcast.fetch.collect import Problem, rounds

        events = (
            collector.round(collector.clocks.now() - back)
            if once
            else rounds(collector, back=back, poll_seconds=profile.poll_seconds)
        )
        try:
            for event in events:
                _report(event, as_json=as_json)
                problem = event if isinstance(event, Problem) else problem
        except KeyboardInterrupt:
            say("nowcast: fetching stopped; what had come in part is resumed next time")
            return
    if problem is not None:
        raise typer.Exit(problem.exit_code)


def _report(event: Fetched | Problem, *, as_json: bool) -> None:
    from nowcast.fetch.collect import Fetched

    if as_json:
        typer.echo(json.dumps(event.to_dict()))
    elif isinstance(event, Fetched):
        version = f", revision {event.revision}" if event.revision > 1 else ""
        typer.echo(
            f"{event.valid:%Y-%m-%dT%H:%MZ}  {event.path}  {event.size / 1e6:.2f} MB{version}"
        )
    else:
        say(f"nowcast: {event.source}: {event.name or 'listing'}: {event.message}")


def _age(text: str) -> dt.timedelta:
    found = re.fullmatch(r"(\d{1,4})([mhd])", text.strip())
    if not found:
        raise typer.BadParameter(f"{text!r}, expected an age like 90m, 2h or 1d")
    return dt.timedelta(**{_UNITS[found[2]]: int(found[1])})


def _interrupted(signum: int, frame: object) -> NoReturn:  # noqa: ARG001 - a signal handler's form
    raise KeyboardInterrupt
