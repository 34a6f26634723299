"""Forecast files, and the radar itself, against rain gauges.

Rates become amounts by the one rule of ``field.accumulation``: a frame stands for the time until
the next one. So the first window of a forecast begins with the frame of issue, which was observed.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from nowcast.field.accumulation import amount_mm
from nowcast.field.errors import MissingFramesError, SourceError, UsageError
from nowcast.field.gauges import amounts_between, places_of
from nowcast.field.places import Around, at_cells, cells_of
from nowcast.field.schema import grid_of
from nowcast.products.reading import read_forecast
from nowcast.verify.gauges import GaugeTally, gauge_table, gauge_tally
from nowcast.verify.table import write_csv

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import pandas as pd
    import xarray as xr
    from numpy.typing import NDArray

    from nowcast.field.gauges import Gauges
    from nowcast.field.schema import Forecast
    from nowcast.ingest.archive import Archive

RADAR = "radar"


@dataclass(frozen=True)
class GaugeSettings:
    """What is compared.

    Attributes:
        minutes: over how long amounts are gathered.
        amounts_mm: from which on an amount counts as an event.
        around: what is read of the field: the cell of the gauge, or the mean or p90 around it.

    """

    minutes: float = 15.0
    amounts_mm: tuple[float, ...] = (0.1, 0.5, 1.0, 2.0)
    around: Around = "cell"


@dataclass(frozen=True)
class GaugeCard:
    """The sums of each method, and what could not be scored.

    Attributes:
        tallies: one a method, and one of the radar over the same windows.
        unscored: forecasts left out, by name, and why.

    """

    tallies: tuple[GaugeTally, ...]
    unscored: Mapping[str, str] = field(default_factory=dict)

    def table(self) -> pd.DataFrame:
        """The tidy table of all scores."""
        return gauge_table(self.tallies)

    def write(self, folder: Path) -> Path:
        """``gauges.csv``; raises ProductError."""
        return write_csv(self.table(), folder / "gauges.csv")


def score_radar(
    archive: Archive, gauges: Sequence[Gauges], *, settings: GaugeSettings | None = None
) -> GaugeCard:
    """The radar over all of its archive, from its first frame on; raises MissingFramesError."""
    settings = settings or GaugeSettings()
    times = archive.times
    window = np.timedelta64(round(settings.minutes * 60), "s")
    count = int((times[-1] + archive.cadence - times[0]) // window)
    edges = times[0] + window * np.arange(count + 1)
    frames = archive.frames_between(times[0], times[-1])
    reading = _Reading(archive, gauges, settings)
    said = reading.amounts(frames["rainfall_rate"], frames["time"].values, edges)
    tally = reading.tally(RADAR, said.reshape(1, -1), reading.truth(edges).reshape(1, -1), [np.nan])
    return GaugeCard(_some([tally], settings))


def score_forecasts(
    files: Mapping[str, Mapping[str, Path]],
    archive: Archive,
    gauges: Sequence[Gauges],
    *,
    settings: GaugeSettings | None = None,
) -> GaugeCard:
    """Every method where all of them, the radar and the gauge say something.

    ``files`` are method -> name -> file, as ``scorecard.forecast_files`` finds them. Raises
    MissingFramesError where nothing can be compared.
    """
    settings = settings or GaugeSettings()
    reading = _Reading(archive, gauges, settings)
    totals: dict[str, GaugeTally] = {}
    unscored: dict[str, str] = {}
    for name in sorted({name for paths in files.values() for name in paths}):
        lacking = [method for method, paths in files.items() if name not in paths]
        if lacking:
            unscored[name] = f"no forecast of {', '.join(lacking)} to compare with"
            continue
        try:
            tallies = reading.cycle({m: read_forecast(paths[name]) for m, paths in files.items()})
        except SourceError as error:
            unscored[name] = str(error)
            continue
        for tally in tallies:
            before = totals.get(tally.method)
            totals[tally.method] = tally if before is None else before + tally
    return GaugeCard(_some(list(totals.values()), settings), unscored)


def _some(tallies: list[GaugeTally], settings: GaugeSettings) -> tuple[GaugeTally, ...]:
    if not sum(float(tally.errors.n.sum()) for tally in tallies):
        raise MissingFramesError(
            f"no gauge has readings over any {settings.minutes:g} min that the radar saw whole: "
            "look at the times and places of both, and whether readings begin and end with "
            "these minutes (--minutes)"
        )
    return tuple(tallies)


@dataclass(frozen=True)
class _Reading:
    """Amounts over windows at all gauges, one set of them after the other."""

    archive: Archive
    gauges: Sequence[Gauges]
    settings: GaugeSettings

    def cycle(self, forecasts: Mapping[str, Forecast]) -> list[GaugeTally]:
        """The sums of one issue time, the radar's first, on the same windows and gauges."""
        first = next(iter(forecasts.values()))
        issued: np.datetime64 = first["forecast_reference_time"].values.reshape(-1)[0]
        leads = min((f["lead_time"].values for f in forecasts.values()), key=len)
        window = np.timedelta64(round(self.settings.minutes * 60), "s")
        edges = issued + window * np.arange(int(leads[-1] // window) + 1)
        if edges.size < 2:
            raise UsageError(
                f"a forecast of {leads[-1] / np.timedelta64(1, 'm'):g} min, expected at least the "
                f"{self.settings.minutes:g} min of --minutes"
            )
        times = np.concatenate([[issued], issued + leads])
        observed = self.archive.observed(times)
        said = {RADAR: self.amounts(observed, times, edges)}
        for method, forecast in forecasts.items():
            ahead = forecast["rainfall_rate"].isel(lead_time=slice(leads.size))
            rates = np.concatenate([observed.values[:1], ahead.values])
            said[method] = self.amounts(observed.copy(data=rates), times, edges)
        truth = self.truth(edges)
        known = np.all([np.isfinite(amounts) for amounts in said.values()], axis=0)
        counted = np.where(known, truth, np.nan)
        until = (edges[1:] - issued) / np.timedelta64(1, "m")
        return [
            self.tally(method, amounts, counted, until.tolist()) for method, amounts in said.items()
        ]

    def amounts(
        self,
        rate: xr.DataArray,
        times: NDArray[np.datetime64],
        edges: NDArray[np.datetime64],
    ) -> NDArray[np.float64]:
        """The rain (mm) of rates (time, y, x) over each window at each gauge, (window, station)."""
        places = tuple(place for gauges in self.gauges for place in places_of(gauges))
        grid = grid_of(rate.to_dataset(name="rainfall_rate"))
        rates = at_cells(rate.values, cells_of(grid, places), around=self.settings.around)
        minutes = (times - edges[0]) / np.timedelta64(1, "m")
        ends = (edges - edges[0]) / np.timedelta64(1, "m")
        hold = float(self.archive.cadence / np.timedelta64(1, "m"))
        return np.stack(
            [
                amount_mm(rates, minutes=minutes, hold=hold, start=start, end=end)
                for start, end in itertools.pairwise(ends)
            ]
        )

    def truth(self, edges: NDArray[np.datetime64]) -> NDArray[np.float64]:
        """What the gauges measured (mm) over each window, (window, station)."""
        return np.concatenate([amounts_between(g, edges) for g in self.gauges], axis=1)

    def tally(
        self,
        method: str,
        said: NDArray[np.float64],
        fell: NDArray[np.float64],
        until: Sequence[float],
    ) -> GaugeTally:
        return gauge_tally(
            method,
            said,
            fell,
            until_minutes=until,
            window_minutes=self.settings.minutes,
            amounts_mm=self.settings.amounts_mm,
        )
