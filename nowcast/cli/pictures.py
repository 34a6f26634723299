"""``nowcast render``."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nowcast.cli import common
from nowcast.cli.common import choices, numbers, say

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import numpy as np
    import pandas as pd
    import xarray as xr

    from nowcast.field.schema import Forecast, Frames
    from nowcast.ingest.archive import Archive
    from nowcast.pictures import Gallery
    from nowcast.scorecard import Scorecard

# Of one issue time, and over all that there are.
OF_ONE = ("maps", "film", "comparison", "probability")
OF_ALL = ("spectra", "skill", "reliability", "roc")
NEED_TRUTH = ("comparison", "spectra")
FORMATS = ("png", "svg")
KIND_HELP = (
    "maps, film, comparison, probability (of one issue time), spectra, skill, reliability, roc "
    "(over all), separated by commas. Left out: maps and film of a file, scores of a folder."
)


def add_to(app: typer.Typer) -> None:
    """Join the command to the program."""
    app.command()(render)


def render(
    forecasts: Annotated[
        Path, typer.Argument(help="A forecast (.nc), or a folder of them: METHOD/*.nc, or *.nc.")
    ],
    out: common.Out,
    kind: Annotated[str | None, typer.Option(help=KIND_HELP, show_default=False)] = None,
    formats: Annotated[
        str, typer.Option("--format", help="png, svg or png,svg. Maps are PNG, films GIF and MP4.")
    ] = "png",
    leads: Annotated[int | None, typer.Option(min=1, help="Only the first so many leads.")] = None,
    at: Annotated[
        str, typer.Option(help="Of a folder: the issue time drawn, as 2015-05-15T17:20Z.")
    ] = "latest",
    thresholds: Annotated[
        str | None, typer.Option(help="Only these, in mm/h, separated by commas.")
    ] = None,
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
) -> None:
    """Draw forecasts: maps and films, comparisons, probabilities, spectra, skill, reliability, ROC.

    A file gives a PNG map of each lead, an animated GIF and an MP4; with the radar's archive these
    begin with the past, and the forecast (and those of --beside) stands below what was observed.
    A folder gives the scores of its methods by lead, drawn from scores.csv and reliability.csv, or
    with the archive scored anew, with intervals.

    Example:

        nowcast render runs/mch/20150515T1720Z.nc --out runs/pictures --leads 2

        nowcast render runs/mch/20150515T1720Z.nc --kind probability --thresholds 1,5 --out runs/mch

        nowcast render runs/past --kind skill --thresholds 1 --format png,svg --out runs/skill

        nowcast render runs/past --kind spectra --feed mch --archive DATA/radar/mch --out runs/skill
    """
    from nowcast import build
    from nowcast.pictures import Gallery

    source = build.source_of_past(feed, archive, series=series)
    kinds = choices(kind, known=OF_ONE + OF_ALL, option="--kind") or _usual(forecasts, source)
    _require_truth(kinds, source)
    gallery = Gallery(
        out,
        suffixes=[f".{name}" for name in choices(formats, known=FORMATS, option="--format")],
        thresholds_mm_h=numbers(thresholds, option="--thresholds") or None,
    )
    album = _Album(gallery, _files(forecasts, beside or ()), forecasts, source, leads)
    if of_one := [name for name in kinds if name in OF_ONE]:
        issued = None if at == build.LATEST else build.time(at)
        for path in album.of_one(of_one, issued=issued, past=past):
            typer.echo(str(path))
    for name in (name for name in kinds if name in OF_ALL):
        for path in album.of_all(name):
            typer.echo(str(path))


def _usual(forecasts: Path, source: Archive | None) -> tuple[str, ...]:
    """The kinds of pictures of a file or folder where none is asked for."""
    if forecasts.is_dir():
        return ("skill", "reliability", "roc", *(("comparison", "spectra") if source else ()))
    return ("maps", "film", *(("comparison",) if source else ()))


def _require_truth(kinds: Sequence[str], source: Archive | None) -> None:
    from nowcast.field.errors import UsageError

    lacking = [name for name in kinds if name in NEED_TRUTH] if source is None else []
    if lacking:
        raise UsageError(
            f"--kind {','.join(lacking)} shows what was observed: give --feed and --archive"
        )


def _files(forecasts: Path, beside: Sequence[Path]) -> dict[str, dict[str, Path]]:
    """Method -> name of the file -> file, MIM first."""
    from nowcast import scorecard
    from nowcast.products.captions import method_of
    from nowcast.products.charts import in_order
    from nowcast.products.reading import read_forecast

    if forecasts.is_dir():
        found = scorecard.forecast_files(forecasts)
        return {method: found[method] for method in in_order(list(found))}
    named: dict[str, dict[str, Path]] = {}
    for path in (forecasts, *beside):
        method = method_of(read_forecast(path))
        name = method if method not in named else f"{method} ({path.parent.name}/{path.stem})"
        named[name] = {forecasts.name: path}
    return named


@dataclass(frozen=True)
class _Album:
    """The pictures of forecast files.

    Attributes:
        gallery: what draws them.
        files: method -> name of the file -> file, the first method the one that maps show.
        asked: the file or folder that was named; scores are looked for there.
        source: the archive with the truth; None where there is none.
        leads: how many are shown; None for all.

    """

    gallery: Gallery
    files: Mapping[str, Mapping[str, Path]]
    asked: Path
    source: Archive | None
    leads: int | None

    def of_one(
        self, kinds: Sequence[str], *, issued: np.datetime64 | None, past: int
    ) -> Iterator[Path]:
        """Pictures of one issue time, the newest for None."""
        from nowcast.pictures import draw_films, draw_maps
        from nowcast.products.captions import issued_at

        forecasts = self._forecasts(self._name(issued))
        first = next(iter(forecasts.values()))
        if {"maps", "film"} & set(kinds):
            before = None
            if self.source is not None:
                before = self.source.read(end=issued_at(first), frames=past)
            folders = draw_maps(first, into=self.gallery.folder, past=before)
            yield from folders
            if "film" in kinds:
                yield from draw_films(first, folders, into=self.gallery.folder)
        observed = self._observed(first) if {"comparison", "probability"} & set(kinds) else None
        if "comparison" in kinds and observed is not None:
            yield from self.gallery.comparison(forecasts, observed)
        if "probability" in kinds:
            likely = (one for one in forecasts.values() if "probability_of_exceedance" in one)
            yield from self.gallery.probabilities(next(likely, first), observed)

    def of_all(self, kind: str) -> Iterator[Path]:
        """Pictures of one kind over all issue times."""
        if kind == "spectra":
            return self.gallery.spectra(self._cycles())
        if kind == "skill":
            return self.gallery.skill(self._scores)
        draw = self.gallery.roc if kind == "roc" else self.gallery.reliability
        return draw(self._reliability)

    def _name(self, issued: np.datetime64 | None) -> str:
        """The name of the files of an issue time, the newest that all methods have for None."""
        from nowcast.field.errors import UsageError
        from nowcast.products.description import stamp

        if self.asked.is_file():
            return self.asked.name
        of_each = [set(paths) for paths in self.files.values()]
        names = sorted(set.intersection(*of_each)) or sorted(set.union(*of_each))
        name = names[-1] if issued is None else f"{stamp(issued)}.nc"
        if not any(name in paths for paths in self.files.values()):
            raise UsageError(f"{self.asked}: no {name}, there are {names[0]} to {names[-1]}")
        return name

    def _forecasts(self, name: str) -> dict[str, Forecast]:
        from nowcast.pictures import shortened
        from nowcast.products.reading import read_forecast

        return {
            method: shortened(read_forecast(paths[name]), leads=self.leads)
            for method, paths in self.files.items()
            if name in paths
        }

    def _observed(self, forecast: Forecast) -> Frames | None:
        """The frames of the leads; None, and a word about it, where none has come."""
        from nowcast.field.errors import MissingFramesError
        from nowcast.products.captions import issued_at

        if self.source is None:
            return None
        issued = issued_at(forecast)
        try:
            first, last = forecast["lead_time"].values[[0, -1]]
            return self.source.frames_between(issued + first, issued + last)
        except MissingFramesError as error:
            say(f"nothing observed to compare with: {error}")
            return None

    def _cycles(self) -> Iterator[tuple[dict[str, Forecast], xr.DataArray]]:
        """The forecasts of each issue time that all methods have, and what was observed."""
        assert self.source is not None  # _require_truth
        for name in sorted(set.intersection(*(set(paths) for paths in self.files.values()))):
            forecasts = self._forecasts(name)
            valid = next(iter(forecasts.values()))["time"].values
            yield forecasts, self.source.observed(valid)

    @cached_property
    def _card(self) -> Scorecard | None:
        """The forecasts scored anew; None without the archive."""
        from nowcast import scorecard

        return None if self.source is None else scorecard.score(self.files, self.source)

    @property
    def _scores(self) -> pd.DataFrame:
        from nowcast.pictures import SKILL
        from nowcast.verify.interval_table import interval_table

        if self._card is None:
            return self._first_leads(self._stored("scores.csv"))
        return self._first_leads(interval_table(self._card.cycles, scores=SKILL))

    @property
    def _reliability(self) -> pd.DataFrame:
        from nowcast.verify.table import reliability_table

        if self._card is None:
            return self._first_leads(self._stored("reliability.csv"))
        return self._first_leads(reliability_table(self._card.tallies))

    def _stored(self, name: str) -> pd.DataFrame:
        """A table that ``nowcast verify`` wrote, MIM first."""
        from nowcast.products.charts import in_order
        from nowcast.verify.table import read_csv

        folder = self.asked if self.asked.is_dir() else self.asked.parent
        table = read_csv(folder / name)
        order = in_order(list(table["method"].drop_duplicates()))
        return table.sort_values("method", key=lambda names: names.map(order.index), kind="stable")

    def _first_leads(self, table: pd.DataFrame) -> pd.DataFrame:
        leads = sorted(table["lead_minutes"].drop_duplicates())[: self.leads]
        return table[table["lead_minutes"].isin(leads)]
