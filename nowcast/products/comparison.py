"""Forecasts beside what was observed: a row a method or a member of it, a column a lead time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nowcast.field.errors import GridMismatchError, UsageError
from nowcast.field.schema import grid_of
from nowcast.products import charts
from nowcast.products import style as look
from nowcast.products.captions import duration, issued_at, method_of, utc
from nowcast.products.panels import Panel, Words, draw_panels, fineness_of
from nowcast.products.style import MapStyle

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import xarray as xr
    from numpy.typing import NDArray

    from nowcast.field.schema import Forecast, Frames, Radar

_MINUTE = np.timedelta64(1, "m")


def draw_comparison(
    forecasts: Sequence[Forecast],
    observed: Frames | Radar,
    *,
    leads_minutes: Sequence[float],
    path: Path,
    style: MapStyle | None = None,
) -> Path:
    """Draw the observation on top and a forecast a row below it, one column a lead time.

    Below a forecast with members stands the first of them: what the rain may look like.
    The kind of picture is that of the suffix of ``path``: ``.png`` or ``.svg``. Raises UsageError
    for other suffixes, for leads that a forecast does not hold and for forecasts of several issue
    times, GridMismatchError for several grids, ProductError where ``path`` cannot be written.
    """
    charts.require_kind(path)
    _check(forecasts, observed)
    issued = issued_at(forecasts[0])
    leads = spans(leads_minutes)
    panels = [
        Panel(0, column, frame_at(observed, issued + lead), look.OBSERVED)
        for column, lead in enumerate(leads)
    ]
    rows: list[tuple[str, NDArray[np.float32]]] = []
    for forecast in forecasts:
        places = [lead_index(forecast, lead) for lead in leads]
        rows += [(name, field.values[places]) for name, field in _fields(forecast)]
    for row, (_, rates) in enumerate(rows, start=1):
        panels += [Panel(row, column, rate, look.FORECAST) for column, rate in enumerate(rates)]
    words = Words(
        title="rain rate, forecast and observed",
        subtitle=f"issued {utc(issued, weekday=True)}",
        rows=[
            ("observed", look.OBSERVED),
            *((name, look.FORECAST) for name, _ in rows),
        ],
        columns=[lead_name(issued, lead) for lead in leads],
        attrs=forecasts[0].attrs,
    )
    figure = draw_panels(
        panels,
        words,
        grid=grid_of(observed),
        style=style or MapStyle(),
        fineness=fineness_of(path),
    )
    return charts.save(figure, path)


def _fields(forecast: Forecast) -> Iterator[tuple[str, xr.DataArray]]:
    """What is shown of a forecast, each (lead_time, y, x) with the name of its row."""
    method = method_of(forecast)
    yield method, forecast["rainfall_rate"]
    if "rainfall_rate_member" in forecast:
        yield f"{method}, a member", forecast["rainfall_rate_member"].isel(realization=0)


def spans(leads_minutes: Sequence[float]) -> list[np.timedelta64]:
    """Lead times in minutes as time spans."""
    return [np.timedelta64(round(minutes * 60), "s") for minutes in leads_minutes]


def lead_name(issued: np.datetime64, lead: np.timedelta64) -> str:
    """A lead and its valid time as the head of a column: ``+30 min   17:50 UTC``."""
    valid = (issued + lead).astype("datetime64[s]").item()
    return f"{duration(lead, sign='+')}   {valid:%H:%M} UTC"


def frame_at(observed: Frames | Radar, time: np.datetime64) -> NDArray[np.float32] | None:
    """The observed rates (y, x) at a time; None where there is no frame."""
    found = np.flatnonzero(observed["time"].values == time)
    return observed["rainfall_rate"].values[found[0]] if found.size else None


def lead_index(forecast: Forecast, lead: np.timedelta64) -> int:
    """Which lead of a forecast that is; raises UsageError where it holds no such lead."""
    leads = forecast["lead_time"].values
    found = np.flatnonzero(leads == lead)
    if found.size == 0:
        held = ", ".join(f"{float(span / _MINUTE):g}" for span in leads)
        raise UsageError(
            f"lead {float(lead / _MINUTE):g} min is not in the forecast by "
            f"{forecast.attrs['source']}: it holds {held} min"
        )
    return int(found[0])


def _check(forecasts: Sequence[Forecast], observed: Frames | Radar) -> None:
    if not forecasts:
        raise UsageError("no forecast to compare with the observation")
    grid = grid_of(observed)
    for forecast in forecasts:
        source = forecast.attrs["source"]
        if not grid_of(forecast).same_as(grid):
            raise GridMismatchError(
                f"forecast by {source} on {grid_of(forecast)}, expected that of the observation: "
                f"{grid}"
            )
        if issued_at(forecast) != issued_at(forecasts[0]):
            raise UsageError(
                f"forecast by {source} issued {utc(issued_at(forecast))}, expected "
                f"{utc(issued_at(forecasts[0]))}: compare forecasts of one issue time"
            )
