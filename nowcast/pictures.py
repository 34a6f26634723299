"""All the pictures of forecasts: maps and films of one, sheets and charts of several methods."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nowcast.field.atomic import make_folder
from nowcast.field.schema import Forecast
from nowcast.products.animation import animate, pictures_in
from nowcast.products.charts import some_leads
from nowcast.products.comparison import draw_comparison
from nowcast.products.curves import draw_scores
from nowcast.products.description import issue_name
from nowcast.products.diagrams import draw_reliability, draw_roc
from nowcast.products.probabilities import draw_probabilities
from nowcast.products.ranks import draw_ranks
from nowcast.products.render import RenderMaps, write_observed
from nowcast.products.spectra import draw_spectra
from nowcast.verify.spectrum import mean_spectra, spectra_table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    import pandas as pd
    import xarray as xr

    from nowcast.field.schema import Frames, Radar

FILMS = (".gif", ".mp4")
# What the skill plots show, in this order.
SKILL = ("csi", "fss", "brier", "mae", "multiplicative_bias")


def draw_maps(forecast: Forecast, *, into: Path, past: Radar | None = None) -> list[Path]:
    """A map of every lead, and before it those of ``past`` where it is given: the folders.

    Raises ProductError.
    """
    make_folder(into)
    folders = [] if past is None else [write_observed(past, into=into)]
    return [*folders, RenderMaps().write(forecast, into=into)]


def draw_films(forecast: Forecast, folders: Sequence[Path], *, into: Path) -> Iterator[Path]:
    """A GIF and an MP4 of the maps that ``draw_maps`` drew in ``folders``; raises ProductError."""
    shown = pictures_in(*folders)
    for suffix in FILMS:
        yield animate(shown, path=into / f"{issue_name(forecast)}{suffix}")


def draw_pictures(
    forecast: Forecast,
    *,
    into: Path,
    past: Radar | None = None,
    heard: Callable[[str], None] = lambda _: None,
) -> Iterator[Path]:
    """A map of every lead, those of ``past`` where it is given, and a GIF and an MP4 of both.

    Yields what has been written. Raises ProductError.
    """
    folders = draw_maps(forecast, into=into, past=past)
    heard("maps")
    yield from folders
    for film in draw_films(forecast, folders, into=into):
        yield film
        heard(film.suffix)


def draw_beside_observation(forecasts: Sequence[Forecast], observed: Frames, *, path: Path) -> Path:
    """The observation above, a row a forecast below it, at four leads; raises ProductError."""
    return draw_comparison(
        forecasts, observed, leads_minutes=some_leads(minutes_of(forecasts[0])), path=path
    )


@dataclass(frozen=True)
class Gallery:
    """Sheets and charts in a folder, each in every format asked for; all raise ProductError.

    Attributes:
        folder: where they go.
        suffixes: ``.png``, ``.svg`` or both.
        thresholds_mm_h: which are drawn; None for all that matter.

    """

    folder: Path
    suffixes: Sequence[str] = (".png",)
    thresholds_mm_h: Sequence[float] | None = None

    def comparison(self, forecasts: Mapping[str, Forecast], observed: Frames) -> Iterator[Path]:
        """Forecasts of one issue time below what was observed."""
        shown = list(forecasts.values())
        for path in self._paths(f"{issue_name(shown[0])}_comparison"):
            yield draw_beside_observation(shown, observed, path=path)

    def probabilities(self, forecast: Forecast, observed: Frames | None) -> Iterator[Path]:
        """How likely rain is, by one forecast."""
        for path in self._paths(f"{issue_name(forecast)}_probability"):
            yield draw_probabilities(
                forecast,
                leads_minutes=some_leads(minutes_of(forecast)),
                thresholds_mm_h=self.thresholds_mm_h,
                observed=observed,
                path=path,
            )

    def spectra(
        self, cycles: Iterable[tuple[Mapping[str, Forecast], xr.DataArray]]
    ) -> Iterator[Path]:
        """Power by wavelength over issue times: the forecasts of each, and what was observed."""
        tables = []
        for forecasts, observed in cycles:
            leads = some_leads(minutes_of(next(iter(forecasts.values()))))
            tables.append(spectra_table(forecasts, observed, leads_minutes=leads))
        mean = mean_spectra(tables)
        for path in self._paths("spectra"):
            yield draw_spectra(mean, path=path)

    def skill(self, scores: pd.DataFrame) -> Iterator[Path]:
        """Scores by lead time."""
        if self.thresholds_mm_h is not None:
            column = scores["threshold_mm_h"]
            scores = scores[column.isna() | column.isin(self.thresholds_mm_h)]
        for path in self._paths("skill"):
            yield draw_scores(scores, path=path, scores=SKILL)

    def reliability(self, table: pd.DataFrame) -> Iterator[Path]:
        """Reliability diagrams."""
        for path in self._paths("reliability"):
            yield draw_reliability(table, path=path, thresholds_mm_h=self.thresholds_mm_h)

    def roc(self, table: pd.DataFrame) -> Iterator[Path]:
        """ROC curves."""
        for path in self._paths("roc"):
            yield draw_roc(table, path=path, thresholds_mm_h=self.thresholds_mm_h)

    def ranks(self, table: pd.DataFrame) -> Iterator[Path]:
        """Rank histograms."""
        for path in self._paths("ranks"):
            yield draw_ranks(table, path=path)

    def _paths(self, name: str) -> list[Path]:
        make_folder(self.folder)
        return [self.folder / f"{name}{suffix}" for suffix in self.suffixes]


def shortened(forecast: Forecast, *, leads: int | None) -> Forecast:
    """The first ``leads`` leads of a forecast; all of them for None."""
    return forecast if leads is None else Forecast(forecast.isel(lead_time=slice(leads)))


def minutes_of(forecast: Forecast) -> list[float]:
    """The leads of a forecast in minutes."""
    return [float(lead / np.timedelta64(1, "m")) for lead in forecast["lead_time"].values]
