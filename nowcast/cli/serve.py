"""``nowcast serve``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nowcast.cli.common import say

Config = Annotated[
    Path, typer.Option("--config", help="Settings (TOML); see docs/service.md.", show_default=False)
]


def add_to(app: typer.Typer) -> None:
    """Join the command to the program."""
    app.command()(serve)


def serve(
    config: Config,
    replay: Annotated[
        tuple[str, str] | None,
        typer.Option(help="Play the feed's folder from START to END (UTC) as if it came in now."),
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
    if replay is None:
        serving.live(settings)
        return
    start, stop = map(build.time, replay)
    played = serving.Playing(settings, start=start, stop=stop, speed=speed, seed=faults)
    say(f"playing {replay[0]} to {replay[1]} into {played.settings.service.data}")
    serving.replay(played)
