"""``nowcast serve``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nowcast.cli.common import AsJson, print_json, say

Config = Annotated[
    Path, typer.Option("--config", help="Settings (TOML); see docs/service.md.", show_default=False)
]


def add_to(app: typer.Typer) -> None:
    """Join the command to the program."""
    app.command()(serve)
    app.command()(replay)


def serve(
    config: Config,
    played: Annotated[
        tuple[str, str] | None,
        typer.Option(
            "--replay", help="Play the feed's folder from START to END (UTC) as if it came in now."
        ),
    ] = None,
    speed: Annotated[
        float, typer.Option(min=0, help="How much faster a replay runs; 0: as fast as it can.")
    ] = 100.0,
    faults: Annotated[
        int | None,
        typer.Option(help="Let a replay's files come late, twice, cut, changed; the seed."),
    ] = None,
) -> None:
    """Forecast every frame of a feed as it arrives, cycle after cycle, until told to stop.

    Forecasts appear whole under DATA/published/CYCLE, and DATA/latest points to the newest.

    Example:

        nowcast serve --config service.toml

        nowcast serve --config service.toml --replay 2010-08-26T03:00Z 2010-08-26T04:00Z --speed 100
    """
    from nowcast import build, serving
    from nowcast.build_service import settings as settings_of

    settings = settings_of(config)
    if played is None:
        serving.live(settings)
        return
    start, stop = map(build.time, played)
    playing = serving.Playing(settings, start=start, stop=stop, speed=speed, seed=faults)
    say(f"playing {played[0]} to {played[1]} into {playing.settings.service.data}")
    serving.replay(playing)


def replay(
    cycle: Annotated[str, typer.Argument(help="A published cycle: 20260601T1225Z, or ...Z.v2.")],
    config: Config,
    as_json: AsJson = False,
) -> None:
    """Make a published forecast once more from the frames it rests on, and compare the numbers.

    Ends with 1 where a variable differs; other weights, versions or threads can be why.

    Example:

        nowcast replay 20260601T1225Z --config service.toml
    """
    from nowcast import build_service

    found = build_service.rebuilt(build_service.settings(config), cycle)
    if as_json:
        print_json({"cycle": cycle, **found._asdict(), "differing": found.differing})
    else:
        for name, digest in found.published.items():
            same = "differs" if name in found.differing else "the same"
            typer.echo(f"{name} {digest[:16]} {same}")
    if found.differing:
        raise typer.Exit(1)
