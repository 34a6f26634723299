"""``nowcast verify``, and the scores that a hindcast ends with."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nowcast.cli import common
from nowcast.cli.common import print_json, progress, say

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from nowcast.ingest.archive import Archive
    from nowcast.scorecard import Scorecard

# What the summary on the screen shows: score, threshold in mm/h, window in cells.
SUMMARY = (
    ("mae", None, None),
    ("rmse_db", None, None),
    ("csi", 0.1, None),
    ("csi", 1.0, None),
    ("csi", 5.0, None),
    ("fss", 1.0, 9),
    ("crps", None, None),
)


def add_to(app: typer.Typer) -> None:
    """Join the command to the program."""
    app.command()(verify)


def verify(
    feed: common.Feed,
    archive: common.ArchiveFolder,
    forecasts: Annotated[
        Path, typer.Option(help="Folder of forecasts: METHOD/*.nc of a hindcast, or *.nc.")
    ],
    series: common.Series = None,
    sal: Annotated[bool, typer.Option(help="SAL too: seconds a lead.")] = False,
    report: Annotated[
        Path | None, typer.Option(help="Write a page with pictures into this folder too.")
    ] = None,
    as_json: common.AsJson = False,
) -> None:
    """Score forecasts against the frames that came, all methods on the same pixels.

    Writes scores.csv, reliability.csv and scores.nc beside the forecasts. With --report also
    index.html: scores with intervals, which method is better, diagrams, spectra, sample sizes.

    Example:

        nowcast verify --feed mch --archive DATA/radar/mch --forecasts runs/past

        nowcast verify --feed mch --archive DATA/radar/mch --forecasts runs/past --report runs/page
    """
    from nowcast import build

    source = build.archive(feed, archive, series=series)
    scored(forecasts, source, with_sal=sal, report=report, as_json=as_json)


def scored(
    folder: Path,
    archive: Archive,
    *,
    methods: Sequence[str] = (),
    with_sal: bool = False,
    report: Path | None = None,
    as_json: bool = False,
) -> None:
    """Score the forecasts in ``folder`` (of ``methods`` only, where given), write and show it.

    Into the folder ``report``, where given, goes a page about them.
    """
    from nowcast import scorecard

    files = scorecard.forecast_files(folder)
    if methods:
        files = {method: paths for method, paths in files.items() if method in methods}
    names = {name for paths in files.values() for name in paths}
    settings = scorecard.ScoreSettings(with_sal=with_sal)
    with progress("scoring", len(names)) as advance:
        card = scorecard.score(files, archive, settings=settings, progress=advance)
    for name, why in card.unscored.items():
        say(f"not scored: {name}: {why}")
    written = [*card.write(folder), *_drawn(card.table(), folder)]
    if report is not None:
        from nowcast.report.page import Page

        written.append(Page(card, files, archive).write(report))
    _show(card, cycles=len(names) - len(card.unscored), written=written, as_json=as_json)


def _show(card: Scorecard, *, cycles: int, written: Sequence[Path], as_json: bool) -> None:
    """Scores of each method for a person or a program, and the files that hold all of them."""
    summary = _summary(card.table())
    if as_json:
        print_json(
            {
                "cycles": cycles,
                "unscored": dict(card.unscored),
                "mean_over_leads": summary.to_dict(orient="index"),
                "written": [str(path) for path in written],
            }
        )
        return
    say(f"mean over leads, {cycles} cycles")
    say(summary.round(4).to_string())
    for path in written:
        typer.echo(str(path))


def _summary(scores: pd.DataFrame) -> pd.DataFrame:
    """A row a method, a column a score of SUMMARY: means over the leads."""
    import pandas as pd

    columns = {}
    for name, threshold, scale in SUMMARY:
        rows = scores[scores["score"] == name]
        label = name
        if threshold is not None:
            rows, label = rows[rows["threshold_mm_h"] == threshold], f"{name} {threshold:g} mm/h"
        if scale is not None:
            rows, label = rows[rows["scale_cells"] == scale], f"{label}, {scale} cells"
        columns[label] = rows.groupby("method", sort=False)["value"].mean()
    return pd.DataFrame(columns)


def _drawn(scores: pd.DataFrame, folder: Path) -> list[Path]:
    from nowcast.products.curves import draw_scores

    return [draw_scores(scores, path=folder / "scores.png")]
