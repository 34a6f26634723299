"""``nowcast points``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nowcast.cli import common
from nowcast.cli.common import choice, print_json, say

AROUND_HELP = (
    "What is read of the field: the cell of the place, or the mean or p90 of it and the eight "
    "around it."
)


def add_to(app: typer.Typer) -> None:
    """Join the command to the program."""
    app.command()(points)


def points(
    forecast: Annotated[Path, typer.Argument(help="A forecast that `nowcast run` wrote (.nc).")],
    stations: Annotated[
        Path | None,
        typer.Option(help="List of places: CSV with a header, or GeoJSON; also gzipped."),
    ] = None,
    place: Annotated[
        list[str] | None, typer.Option(help="A place as LON,LAT; may be given again.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder to write into.")] = None,
    feed: Annotated[
        str | None, typer.Option("--feed", help="With --archive: begin with what falls now.")
    ] = None,
    archive: Annotated[
        Path | None, typer.Option("--archive", help="Folder of the feed's files.")
    ] = None,
    series: common.Series = None,
    around: Annotated[str, typer.Option(help=AROUND_HELP)] = "cell",
    rain_from: Annotated[
        float, typer.Option(min=0.01, help="The rate from which on it rains, mm/h.")
    ] = 0.1,
    inside: Annotated[
        bool, typer.Option("--inside", help="Leave out the places outside the radar's grid.")
    ] = False,
    as_json: common.AsJson = False,
) -> None:
    """Say when it rains at places: a sentence each, and with --out NetCDF, CSV and JSON.

    Writes OUT/YYYYmmddTHHMMZ.points.nc (CF time series), .points.csv (a row a place and time) and
    .points.json (the outlook in words and numbers). A place that the radar does not see is unknown,
    never dry.

    Example:

        nowcast points runs/knmi/20100826T0735Z.nc --place 5.18,52.10 --place 6.10,52.07

        nowcast points runs/knmi/20100826T0735Z.nc --stations PLACES --inside --out runs/places
    """
    from nowcast import build
    from nowcast.field.atomic import make_folder
    from nowcast.field.places import AROUND
    from nowcast.products.point_tables import as_json as described
    from nowcast.products.point_words import sentences
    from nowcast.products.reading import read_forecast
    from nowcast.products.timelines import PointSettings

    settings = PointSettings(
        around=choice(around, known=AROUND, option="--around"), rain_from_mm_h=rain_from
    )
    places = build.stations(stations, place or ())
    source = build.source_of_past(feed, archive, series=series)
    products = build.points(places, source=source, settings=settings, inside_only=inside)
    made = read_forecast(forecast)
    timelines = products[0].timelines(made)
    if as_json:
        print_json(described(timelines))
    else:
        for name, words in zip(timelines["station_name"].values, sentences(timelines), strict=True):
            typer.echo(f"{name}: {words}")
    if out is not None:
        folder = make_folder(out)
        for product in products:
            say(str(product.write(made, into=folder)))
