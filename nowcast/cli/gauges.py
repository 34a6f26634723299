"""``nowcast verify-gauges``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nowcast.cli import common
from nowcast.cli.common import choice, numbers, print_json, records, say
from nowcast.cli.points import AROUND_HELP

if TYPE_CHECKING:
    import pandas as pd

STAMP_HELP = "Whether the gauges' times are those of the end or the start of their intervals."


def add_to(app: typer.Typer) -> None:
    """Join the command to the program."""
    app.command("verify-gauges")(verify_gauges)


def verify_gauges(
    feed: common.Feed,
    archive: common.ArchiveFolder,
    gauges: Annotated[list[Path], typer.Option(help="Gauges (NetCDF or CSV); may be given again.")],
    forecasts: Annotated[
        Path | None, typer.Option(help="Folder of forecasts; left out, the radar alone is scored.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for gauges.csv; left out, that of --forecasts.")
    ] = None,
    minutes: Annotated[float, typer.Option(min=1, help="Over how long amounts count.")] = 15,
    amounts: Annotated[str, typer.Option(help="Events: from so many mm on.")] = "0.1,0.5,1,2",
    interval: Annotated[
        float | None,
        typer.Option(help="Minutes that a reading was gathered in, where the file leaves it open."),
    ] = None,
    stamp: Annotated[str, typer.Option(help=STAMP_HELP)] = "end",
    around: Annotated[str, typer.Option(help=AROUND_HELP)] = "cell",
    series: common.Series = None,
    as_json: common.AsJson = False,
) -> None:
    """Score radar and forecasts against rain gauges: bias, errors, correlation, hits of amounts.

    With --forecasts, METHOD/*.nc of a hindcast, all methods and the radar count on the same gauges
    and windows. Writes gauges.csv.

    Example:

        nowcast verify-gauges --feed openmrg --archive DATA/radar/openmrg/20150827 --gauges GAUGES
    """
    from nowcast import build, gaugecard, scorecard
    from nowcast.field.atomic import make_folder
    from nowcast.field.places import AROUND
    from nowcast.ingest.gauges import STAMPS, read_gauges

    settings = gaugecard.GaugeSettings(
        minutes=minutes,
        amounts_mm=tuple(sorted(numbers(amounts, option="--amounts"))),
        around=choice(around, known=AROUND, option="--around"),
    )
    stamped = choice(stamp, known=STAMPS, option="--stamp")
    found = [read_gauges(path, interval_minutes=interval, stamp=stamped) for path in gauges]
    source = build.archive(feed, archive, series=series)
    if forecasts is None:
        card = gaugecard.score_radar(source, found, settings=settings)
    else:
        files = scorecard.forecast_files(forecasts)
        card = gaugecard.score_forecasts(files, source, found, settings=settings)
    for name, why in card.unscored.items():
        say(f"not scored: {name}: {why}")
    folder = out or forecasts
    written = None if folder is None else card.write(make_folder(folder))
    summary = _summary(card.table())
    if as_json:
        print_json({"scores": records(summary.reset_index()), "written": written})
        return
    typer.echo(summary.round(3).to_string())
    if written is not None:
        say(str(written))


def _summary(scores: pd.DataFrame) -> pd.DataFrame:
    """A row a window and method, a column a score; CSI for every amount."""
    kept = scores[scores["score"].isin(["multiplicative_bias", "mae", "correlation", "csi"])]
    kept = kept.assign(
        column=kept["score"].where(
            kept["amount_mm"].isna(), "csi " + kept["amount_mm"].map("{:g} mm".format)
        )
    )
    places = ["until_minutes", "method"]
    wide = kept.pivot_table(
        index=[*places, "n"], columns="column", values="value", sort=False, dropna=False
    )
    return wide.dropna(how="all").reset_index("n")
