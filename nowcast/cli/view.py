"""``nowcast view``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nowcast.cli import common
from nowcast.cli.common import choice, say
from nowcast.cli.gauges import STAMP_HELP

if TYPE_CHECKING:
    from nowcast.build_viewer import GaugeOptions

Forecasts = Annotated[
    Path | None,
    typer.Argument(
        help="Folder of forecasts (*Z.nc or METHOD/*Z.nc), or the data folder of a service.",
        show_default=False,
    ),
]
Config = Annotated[Path | None, typer.Option(help="Settings of a service, instead of a folder.")]
FeedOfPast = Annotated[
    str | None, typer.Option("--feed", help="Feed of the radar frames to show beside forecasts.")
]
ArchiveOfPast = Annotated[
    Path | None, typer.Option("--archive", help="Folder of these frames, at any depth.")
]
Gauges = Annotated[
    list[Path] | None,
    typer.Option(
        help="Rain gauges (NetCDF, CSV, a folder of them) to show at a place; may be given again."
    ),
]
Interval = Annotated[
    float | None,
    typer.Option(help="Minutes that a gauge's reading was gathered in, where its file is silent."),
]
Within = Annotated[
    float, typer.Option("--gauges-within", min=0.1, help="km around a place for its gauges.")
]
StampOption = Annotated[str, typer.Option(help=STAMP_HELP)]


def add_to(app: typer.Typer) -> None:
    """Join the command to the program."""
    app.command()(view)
    app.command(name="export-site")(export_site)


def view(
    folder: Forecasts = None,
    config: Config = None,
    feed: FeedOfPast = None,
    archive: ArchiveOfPast = None,
    series: common.Series = None,
    stations: Annotated[
        Path | None, typer.Option(help="List of places (CSV, GeoJSON) to name beside a click.")
    ] = None,
    gauges: Gauges = None,
    gauges_within: Within = 10.0,
    interval: Interval = None,
    stamp: StampOption = "end",
    host: Annotated[str, typer.Option(help="Address to listen at.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen at.")] = 8000,
    token_file: Annotated[
        Path | None,
        typer.Option(help="File with a secret word, which visitors need beyond 127.0.0.1."),
    ] = None,
    known_as: Annotated[
        list[str] | None,
        typer.Option(help="Another name of this server, behind a proxy; may be given repeatedly."),
    ] = None,
) -> None:
    """Look at forecasts in the browser: a map, and products that other programs read.

    Example:

        nowcast view runs/knmi --feed knmi --archive DATA/radar/knmi

        nowcast view runs/g --feed openmrg --archive DATA/radar/openmrg/20150827 --gauges GAUGES

        nowcast view --config service.toml --port 8080
    """
    from nowcast import build_viewer

    measured = _gauges(gauges, within_km=gauges_within, interval=interval, stamp=stamp)
    beside = build_viewer.Beside(feed, archive, series, stations, measured)
    shown = build_viewer.gallery(folder, config=config, beside=beside)
    server = build_viewer.server(
        shown, host=host, port=port, token_file=token_file, known_as=tuple(known_as or ())
    )
    say(f"http://{f'[{host}]' if ':' in host else host}:{port}/  (Ctrl+C ends it)")
    server.run()


def export_site(
    out: Annotated[Path, typer.Argument(help="Folder to write the site to.", show_default=False)],
    forecasts: Annotated[
        Path | None, typer.Option(help="Folder of forecasts, or the data folder of a service.")
    ] = None,
    config: Config = None,
    feed: FeedOfPast = None,
    archive: ArchiveOfPast = None,
    series: common.Series = None,
    gauges: Gauges = None,
    gauges_within: Within = 10.0,
    interval: Interval = None,
    stamp: StampOption = "end",
    newest: Annotated[int, typer.Option(min=1, help="So many of the newest forecasts.")] = 1,
) -> None:
    """Write the viewer's page as a folder of files, for a plain web server or an object store.

    Example:

        nowcast export-site runs/site --forecasts runs/knmi --feed knmi --archive DATA/radar/knmi
    """
    from nowcast import build_viewer

    measured = _gauges(gauges, within_km=gauges_within, interval=interval, stamp=stamp)
    beside = build_viewer.Beside(feed, archive, series, gauges=measured)
    shown = build_viewer.gallery(forecasts, config=config, beside=beside)
    from nowcast.web.export import export_site as export

    count = export(shown, out, newest=newest)
    say(f"{count} files in {out}")
    typer.echo(str(out / "index.html"))


def _gauges(
    paths: list[Path] | None, *, within_km: float, interval: float | None, stamp: str
) -> GaugeOptions:
    from nowcast.build_viewer import GaugeOptions
    from nowcast.ingest.gauges import STAMPS

    stamped = choice(stamp, known=STAMPS, option="--stamp")
    return GaugeOptions(tuple(paths or ()), interval, stamped, within_km)
