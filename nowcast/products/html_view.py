"""A forecast at a glance, as HTML for notebooks: maps, who made it, how far to trust it.

No script, no style sheet and no request: pictures are part of the text, colours those around it.
"""

from __future__ import annotations

import base64
import io
from html import escape
from typing import TYPE_CHECKING

import numpy as np

from nowcast.field.schema import grid_of
from nowcast.products import style as look
from nowcast.products.captions import duration, is_simulated, issued_at, method_of, source_line, utc
from nowcast.products.charts import some_leads
from nowcast.products.comparison import lead_name
from nowcast.products.panels import Panel, Words, draw_panels
from nowcast.products.style import MapStyle

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from nowcast.field.schema import Forecast

_STYLE = MapStyle(longest_side=560)
_WET_MM_H = 0.1
_MINUTE = np.timedelta64(1, "m")
# Of a table of scores: score, threshold in mm/h, and how the view calls it.
_SCORES = (("mae", None, "MAE, mm/h"), ("csi", 1.0, "CSI, 1 mm/h"), ("brier", 1.0, "Brier, 1 mm/h"))
_ALIGN = 'style="text-align:right;white-space:nowrap;padding:1px 9px"'


def forecast_html(
    forecast: Forecast, *, scores: pd.DataFrame | None = None, style: MapStyle = _STYLE
) -> str:
    """The forecast as a piece of HTML: maps of up to four leads, and below them what is known.

    ``scores`` is a tidy table of scores (``scores.csv``) that holds the method of the forecast.
    """
    leads = [
        int(np.flatnonzero(np.isclose(forecast["lead_time"].values / _MINUTE, minutes))[0])
        for minutes in some_leads(forecast["lead_time"].values / _MINUTE)
    ]
    picture = base64.b64encode(_maps(forecast, leads, style)).decode()
    title = f"Rain rate by {method_of(forecast)}, issued {utc(issued_at(forecast), weekday=True)}"
    parts = [
        f'<img alt="{escape(title)}" style="max-width:100%" src="data:image/png;base64,{picture}">',
        *_warnings(forecast),
        _facts(forecast),
        _by_lead(forecast, leads, scores),
    ]
    return f'<div class="nowcast-forecast"><strong>{escape(title)}</strong>{"".join(parts)}</div>'


def _maps(forecast: Forecast, leads: Sequence[int], style: MapStyle) -> bytes:
    """A row of maps as PNG."""
    issued = issued_at(forecast)
    spans = forecast["lead_time"].values
    words = Words(
        title="rain rate forecast",
        subtitle=f"issued {utc(issued, weekday=True)}",
        rows=[(method_of(forecast), look.FORECAST)],
        columns=[lead_name(issued, spans[lead]) for lead in leads],
        attrs=forecast.attrs,
    )
    panels = [
        Panel(0, column, forecast["rainfall_rate"].values[lead], look.FORECAST)
        for column, lead in enumerate(leads)
    ]
    figure = draw_panels(panels, words, grid=grid_of(forecast), style=style)
    written = io.BytesIO()
    figure.savefig(written, format="png", dpi=look.DPI)
    return written.getvalue()


def _warnings(forecast: Forecast) -> list[str]:
    """What must not be overlooked."""
    said = []
    if is_simulated(forecast.attrs):
        said.append(("SIMULATED STORM, not an observation", look.SIMULATED_GROUND))
    if reason := forecast.attrs.get("degraded_reason"):
        said.append((f"DEGRADED: {reason}", look.WARNING_GROUND))
    return [
        f'<p style="background:{ground};color:{look.INK};padding:4px 9px;margin:4px 0">'
        f"{escape(words)}</p>"
        for words, ground in said
    ]


def _facts(forecast: Forecast) -> str:
    """Who made it, of what, and what it holds."""
    attrs, spans = forecast.attrs, forecast["lead_time"].values
    facts = {
        "method": str(attrs["source"]),
        "leads": f"{spans.size}, {duration(spans[0], sign='+')} to {duration(spans[-1], sign='+')}",
        "grid": str(grid_of(forecast)),
        "data": source_line(attrs).removeprefix("Radar data: "),
    }
    if "probability_of_exceedance" in forecast:
        thresholds = ", ".join(f"{level:.3g}" for level in forecast["threshold"].values)
        facts["probabilities"] = f"of {thresholds} mm/h"
    if "rainfall_rate_member" in forecast:
        facts["members"] = str(forecast.sizes["realization"])
    for name in ("input_sha256", "model_sha256"):
        if attrs.get(name):
            facts[name.replace("_sha256", "")] = f"sha256 {str(attrs[name])[:12]}…"
    rows = "".join(
        f'<tr><th style="text-align:left;padding:1px 9px 1px 0">{escape(name)}</th>'
        f'<td style="text-align:left">{escape(words)}</td></tr>'
        for name, words in facts.items()
        if words
    )
    return f"<table>{rows}</table>"


def _by_lead(forecast: Forecast, leads: Sequence[int], scores: pd.DataFrame | None) -> str:
    """A row a lead: the most rain, how much of what can be said is wet, the scores."""
    names = ["lead", "most rain, mm/h", "wet, %", "unknown, %"]
    caption = ""
    if scores is not None:
        names += [name for _, _, name in _SCORES]
        cycles = scores.loc[scores["method"] == method_of(forecast), "cycles"].max()
        caption = f"scores: those of {cycles:g} forecasts by {method_of(forecast)}"
    rows = []
    for lead in leads:
        rate = forecast["rainfall_rate"].values[lead]
        known = np.isfinite(rate)
        span = forecast["lead_time"].values[lead]
        row = [duration(span, sign="+")]
        if known.any():
            wet = 100 * (rate[known] >= _WET_MM_H).mean()
            row += [f"{rate[known].max():.1f}", f"{wet:.1f}"]
        else:
            row += ["-", "-"]
        row += [f"{100 * (1 - known.mean()):.1f}", *_scores_of(forecast, scores, span)]
        rows.append("".join(f"<td {_ALIGN}>{escape(word)}</td>" for word in row))
    head = "".join(f"<th {_ALIGN}>{escape(name)}</th>" for name in names)
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    return table + (f"<p>{escape(caption)}</p>" if caption else "")


def _scores_of(forecast: Forecast, scores: pd.DataFrame | None, span: np.timedelta64) -> list[str]:
    """The method's scores at a lead as words; - where the table holds none."""
    if scores is None:
        return []
    minutes = float(span / _MINUTE)
    ours = scores[(scores["method"] == method_of(forecast)) & (scores["lead_minutes"] == minutes)]
    found = []
    for name, threshold, _ in _SCORES:
        rows = ours[ours["score"] == name]
        if threshold is not None:
            rows = rows[np.isclose(rows["threshold_mm_h"], threshold)]
        found.append(f"{rows['value'].iloc[0]:.3g}" if len(rows) else "-")
    return found
