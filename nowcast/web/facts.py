"""What the page must know of forecasts, ready for JSON; also what a static site consists of."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from nowcast.products.description import stamp
from nowcast.web.layers import PAST
from nowcast.web.mercator import lonlat, picture_raster

if TYPE_CHECKING:
    from datetime import datetime

    from nowcast.web.gallery import Gallery
    from nowcast.web.library import Listed
    from nowcast.web.opened import Opened

_MOST_LISTED = 500
_POLL_SECONDS = 15


def index_facts(gallery: Gallery, *, static: bool = False) -> dict[str, Any]:
    """The forecasts there are, the newest first, and the time."""
    return {
        "now": _iso_of(gallery.clock()),
        "static": static,
        "poll_seconds": _POLL_SECONDS,
        "forecasts": [_listed_facts(one) for one in gallery.listed()[:_MOST_LISTED]],
    }


def forecast_facts(gallery: Gallery, opened: Opened) -> dict[str, Any]:
    """A forecast: who made it and how, its frames, its layers and their legends."""
    attrs, raster = opened.attrs, picture_raster(opened.grid)
    layers = gallery.layers(opened)
    return {
        **_listed_facts(opened.listed),
        "source": str(attrs.get("source", "")),
        "degraded_reason": str(attrs.get("degraded_reason", "")),
        "feed": str(attrs.get("feed", "")),
        "institution": str(attrs.get("institution", "")),
        "licence": str(attrs.get("licence", "")),
        "simulated": bool(attrs.get("simulated", False)),
        "step_minutes": _minutes(opened.step),
        "bounds": list(raster.bounds),
        "focus": _focus(opened),
        "size": list(raster.shape[::-1]),
        "grid": str(opened.grid),
        "frames": frames(opened, layers["radar"].times if "radar" in layers else ()),
        "layers": [
            {
                "id": layer.id,
                "title": layer.title,
                "times": list(layer.times),
                "legend": layer.shading.legend(),
            }
            for layer in layers.values()
        ],
        "motion": "motion_x" in opened.data,
        "cells": "motion_x" in opened.data and "radar" in layers,
        "gauges": gallery.gauges.known,
        "files": sorted(opened.listed.files),
    }


def frames(opened: Opened, radar: tuple[str, ...]) -> list[dict[str, Any]]:
    """The times of the page's time line: what was seen up to issue, then the leads."""
    issued = stamp(opened.issued)
    seen = sorted({*(time for time in radar if time <= issued), issued})
    earliest = stamp(opened.issued - PAST)
    past = [
        {"time": time, "kind": "radar", "lead_minutes": _minutes(moment(time) - opened.issued)}
        for time in seen
        if time >= earliest
    ]
    ahead = [
        {"time": time, "kind": "forecast", "lead_minutes": _minutes(opened.leads[index])}
        for time, index in opened.times.items()
    ]
    return [*past, *ahead]


@lru_cache(maxsize=32)
def _focus(opened: Opened) -> list[float]:
    """West, south, east, north (degrees) of what is seen: the map begins there."""
    raster = picture_raster(opened.grid)
    known = np.isfinite(opened.rate(0)).astype(np.uint8)
    rows, columns = np.nonzero(raster.show(known, outside=0))
    if not rows.size:
        return list(raster.bounds)
    edges = (columns.min(), rows.max() + 1, columns.max() + 1, rows.min())
    x = [raster.west + raster.pixel * edge for edge in edges[::2]]
    y = [raster.north - raster.pixel * edge for edge in edges[1::2]]
    (west, south), (east, north) = lonlat(x[0], y[0]), lonlat(x[1], y[1])
    return [west, south, east, north]


def _listed_facts(one: Listed) -> dict[str, Any]:
    return {
        "id": one.id,
        "issued": stamp(one.issued),
        "series": one.series,
        "rung": one.rung or one.series,
    }


def moment(time: str) -> np.datetime64:
    """The time of ``stamp``."""
    date, clock = time[:8], time[9:13]
    return np.datetime64(f"{date[:4]}-{date[4:6]}-{date[6:]}T{clock[:2]}:{clock[2:]}", "ns")


def _minutes(span: np.timedelta64) -> float:
    return float(span / np.timedelta64(1, "m"))


def _iso_of(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"
