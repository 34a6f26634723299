"""Forecasts of one valid time against the frame that came: all methods on the same pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from nowcast.field.errors import NowcastError
from nowcast.products.reading import read_forecast
from nowcast.service.skill_store import Scored
from nowcast.verify.packing import Layout
from nowcast.verify.scoring import SCALES_CELLS, THRESHOLDS_MM_H, common_pixels, verify_forecast

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import xarray as xr
    from numpy.typing import NDArray

    from nowcast.service.forecasts import PublishedForecast


class Observations(Protocol):
    """Where the truth comes from: an ``Archive`` of accepted frames."""

    def observed(self, times: Sequence[np.datetime64] | NDArray[np.datetime64]) -> xr.DataArray:
        """Rain rate (mm h-1), (time, y, x), all NaN where no frame has come."""
        ...


@dataclass(frozen=True)
class Measure:
    """At which thresholds, and in windows of how many cells, forecasts are scored."""

    thresholds_mm_h: tuple[float, ...] = THRESHOLDS_MM_H
    scales_cells: tuple[int, ...] = SCALES_CELLS


@dataclass(frozen=True)
class DueLead:
    """A lead whose frame has come, and the files of what was forecast for it by method."""

    published: PublishedForecast
    lead: np.timedelta64
    files: Mapping[str, Path]


@dataclass(frozen=True)
class Judged:
    """What was scored, and what could not be: the cycle and why."""

    scored: tuple[Scored, ...]
    problems: Mapping[str, str]


def judge(
    due: Sequence[DueLead], valid: np.datetime64, observations: Observations, measure: Measure
) -> Judged:
    """Score every forecast for the time ``valid``.

    A forecast that cannot be read or compared is named, and the others go on. Raises
    MissingFramesError where the frame is not there after all, and what its reader raises.
    """
    observed = observations.observed([valid])
    scored, problems = [], {}
    for one in due:
        try:
            scored.append(_judged(one, observed, measure))
        except NowcastError as error:
            problems[one.published.cycle] = str(error)
    return Judged(tuple(scored), problems)


def _judged(due: DueLead, observed: xr.DataArray, measure: Measure) -> Scored:
    forecasts = {method: read_forecast(path, lead=due.lead) for method, path in due.files.items()}
    counted = common_pixels(forecasts, observed)
    tallies = {
        method: verify_forecast(
            forecast,
            observed,
            thresholds_mm_h=measure.thresholds_mm_h,
            scales_cells=measure.scales_cells,
            counted=counted,
        )
        for method, forecast in forecasts.items()
    }
    layout = Layout.of(tallies[due.published.method])
    return Scored(
        cycle=due.published.cycle,
        issued=due.published.issued,
        version=due.published.version,
        lead=due.lead,
        published=due.published.method,
        layout=layout,
        sums={method: layout.pack(tally, 0) for method, tally in tallies.items()},
    )
