"""How likely rain is, on one sheet: a row a threshold, a column a lead time."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from nowcast.field import event
from nowcast.field.errors import UsageError
from nowcast.field.schema import grid_of
from nowcast.products import charts
from nowcast.products import style as look
from nowcast.products.captions import issued_at, method_of, utc
from nowcast.products.colours import PROBABILITY
from nowcast.products.comparison import frame_at, lead_index, lead_name, spans
from nowcast.products.panels import Panel, Words, draw_panels, fineness_of
from nowcast.products.style import MapStyle

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from nowcast.field.schema import Forecast, Frames, Radar

_ABSENT_BELOW = PROBABILITY.levels[0]


def draw_probabilities(
    forecast: Forecast,
    *,
    leads_minutes: Sequence[float],
    path: Path,
    thresholds_mm_h: Sequence[float] | None = None,
    observed: Frames | Radar | None = None,
    style: MapStyle | None = None,
) -> Path:
    """Draw the probability that the rain rate reaches each threshold at each lead.

    Without ``thresholds_mm_h`` all are drawn that are at least 10 % likely anywhere. A line is
    drawn around where ``observed`` frames then reached the threshold. PNG or SVG by the suffix of
    ``path``. Raises UsageError for thresholds and leads that the forecast does not hold,
    ProductError where ``path`` cannot be written.
    """
    charts.require_kind(path)
    leads = spans(leads_minutes)
    places = [lead_index(forecast, lead) for lead in leads]
    rows, left_out = _rows(forecast, thresholds_mm_h, places)
    issued, thresholds = issued_at(forecast), forecast["threshold"].values
    panels = [
        Panel(
            row,
            column,
            _chances(forecast)[number, place],
            look.FORECAST,
            outlined=_happened(observed, issued + lead, threshold=float(thresholds[number])),
        )
        for row, number in enumerate(rows)
        for column, (lead, place) in enumerate(zip(leads, places, strict=True))
    ]
    notes = ["magenta line: where it was then observed"] if observed is not None else []
    if left_out:
        notes.append(f"nowhere 10 % or more: {', '.join(f'{t:g}' for t in left_out)} mm h⁻¹")
    words = Words(
        title="probability of rain",
        subtitle=f"issued {utc(issued, weekday=True)}  ·  method: {method_of(forecast)}",
        rows=[(f"≥ {thresholds[number]:.3g} mm h⁻¹", look.FORECAST) for number in rows],
        columns=[lead_name(issued, lead) for lead in leads],
        attrs=forecast.attrs,
        note="; ".join(notes),
    )
    figure = draw_panels(
        panels,
        words,
        grid=grid_of(forecast),
        style=replace(style or MapStyle(), scale=PROBABILITY),
        fineness=fineness_of(path),
    )
    return charts.save(figure, path)


def threshold_index(forecast: Forecast, threshold_mm_h: float) -> int:
    """Which threshold of a forecast that is; raises UsageError where it holds no such one."""
    held = forecast["threshold"].values if "probability_of_exceedance" in forecast else np.array([])
    # Thresholds are float32 on disk: 0.1 comes back as 0.10000000149.
    near = np.flatnonzero(np.isclose(held, threshold_mm_h, rtol=1e-5))
    if near.size == 0:
        raise UsageError(
            f"no probability of {threshold_mm_h:g} mm/h in the forecast by "
            f"{forecast.attrs['source']}: it holds {[round(float(t), 3) for t in held]}"
        )
    return int(near[0])


def _rows(
    forecast: Forecast, thresholds_mm_h: Sequence[float] | None, places: Sequence[int]
) -> tuple[list[int], list[float]]:
    """The numbers of the thresholds that are drawn, and those too unlikely to draw."""
    if thresholds_mm_h is not None:
        return [threshold_index(forecast, threshold) for threshold in thresholds_mm_h], []
    if "probability_of_exceedance" not in forecast:
        raise UsageError(
            f"no probabilities in the forecast by {forecast.attrs['source']}: "
            "mim and steps give some"
        )
    likely = [
        bool(np.fmax.reduce(of_threshold[places], axis=None) >= _ABSENT_BELOW)
        for of_threshold in _chances(forecast)
    ]
    rows = [number for number, shown in enumerate(likely) if shown] or [0]
    left_out = [
        round(float(threshold), 3)
        for number, threshold in enumerate(forecast["threshold"].values)
        if number not in rows
    ]
    return rows, left_out


def _chances(forecast: Forecast) -> NDArray[np.float32]:
    """The probabilities (threshold, lead_time, y, x)."""
    chances = forecast["probability_of_exceedance"].transpose("threshold", "lead_time", "y", "x")
    values: NDArray[np.float32] = chances.values
    return values


def _happened(
    observed: Frames | Radar | None, time: np.datetime64, *, threshold: float
) -> NDArray[np.bool_] | None:
    """Where the threshold was reached (y, x); None without a frame of that time."""
    frame = None if observed is None else frame_at(observed, time)
    return None if frame is None else event.reached(frame, threshold)
