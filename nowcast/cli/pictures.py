"""``nowcast render``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nowcast.cli import common
from nowcast.cli.common import say


def add_to(app: typer.Typer) -> None:
    """Join the command to the program."""
    app.command()(render)


def render(
    file: Annotated[Path, typer.Argument(help="A forecast (.nc) of this program.")],
    out: common.Out,
    leads: Annotated[int | None, typer.Option(min=1, help="Only the first so many leads.")] = None,
    feed: Annotated[
        str | None, typer.Option("--feed", help="With --archive: draw the past and the truth too.")
    ] = None,
    archive: Annotated[
        Path | None, typer.Option("--archive", help="Folder of the feed's files.")
    ] = None,
    series: common.Series = None,
    past: Annotated[int, typer.Option(min=1, help="Observed frames before the forecast.")] = 6,
    beside: Annotated[
        list[Path] | None,
        typer.Option(help="Another method's forecast of the same time; may be given again."),
    ] = None,
    films: Annotated[bool, typer.Option(help="Make an animated GIF and an MP4.")] = True,
) -> None:
    """Draw a forecast: a PNG map of each lead, an animated GIF and an MP4.

    With the radar's archive the film begins with the past, and the forecast (and those of --beside)
    is drawn below what was then observed.

    Example:

        nowcast render runs/mch/20150515T1720Z.nc --out runs/pictures --leads 2
    """
    from nowcast import build
    from nowcast.field.errors import MissingFramesError
    from nowcast.pictures import draw_beside_observation, draw_pictures, shortened
    from nowcast.products.captions import issued_at
    from nowcast.products.reading import read_forecast

    forecast = shortened(read_forecast(file), leads=leads)
    source = build.source_of_past(feed, archive, series=series)
    issued = issued_at(forecast)
    before = source.read(end=issued, frames=past) if source else None
    for path in draw_pictures(forecast, into=out, past=before, films=films):
        typer.echo(str(path))
    if source is None:
        return
    try:
        observed = source.frames_between(issued, issued + forecast["lead_time"].values[-1])
        others = [shortened(read_forecast(other), leads=leads) for other in beside or ()]
        path = out / f"{file.stem}_observed_and_forecast.png"
        typer.echo(str(draw_beside_observation([forecast, *others], observed, path=path)))
    except MissingFramesError as error:
        say(f"no comparison: {error}")
