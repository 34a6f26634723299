"""Forecasts of one valid time against the frame that came: all methods on the same pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from nowcast.field.errors import NowcastError
from nowcast.service.accepted import archive_of
from nowcast.service.skill.store import Scored
from nowcast.verify.packing import Layout

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import numpy as np
    import xarray as xr

    from nowcast.service.skill.forecasts import Accepted, PublishedForecast


@dataclass(frozen=True)
class Measure:
    """At which thresholds, and in windows of how many cells, forecasts are scored."""

    thresholds_mm_h: tuple[float, ...] = (0.1, 0.5, 1.0, 5.0, 10.0)
    scales_cells: tuple[int, ...] = (9, 17)


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
    due: Sequence[DueLead], valid: np.datetime64, accepted: Accepted, measure: Measure
) -> Judged:
    """Score every forecast for the time ``valid``.

    A forecast that cannot be read or compared is named, and the others go on. Raises
    MissingFramesError where the frame is not there after all, and what its reader raises.
    """
    archive = archive_of(
        accepted.inputs, accepted.feed, folder=due[0].published.path.parent, now=valid
    )
    observed = archive.observed([valid])
    scored, problems = [], {}
    for one in due:
        try:
            scored.append(_judged(one, observed, measure))
        except NowcastError as error:
            problems[one.published.cycle] = str(error)
    return Judged(tuple(scored), problems)


def _judged(due: DueLead, observed: xr.DataArray, measure: Measure) -> Scored:
    from nowcast.products.reading import read_forecast  # noqa: PLC0415 - these load xarray
    from nowcast.verify.scoring import verify_together  # noqa: PLC0415

    forecasts = {method: read_forecast(path, lead=due.lead) for method, path in due.files.items()}
    tallies = verify_together(
        forecasts,
        observed,
        thresholds_mm_h=measure.thresholds_mm_h,
        scales_cells=measure.scales_cells,
    )
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
