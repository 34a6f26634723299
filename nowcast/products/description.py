"""What a product says of itself: its name, its history, and the attributes of CF and ACDD.

Attribute Convention for Data Discovery 1.3, https://wiki.esipfed.org/ACDD
"""

from __future__ import annotations

import importlib.metadata
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from nowcast.field import schema
from nowcast.products import encoding

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from nowcast.field.grid import Grid

CONVENTIONS = "CF-1.11, ACDD-1.3"
REFERENCES = (
    "Y. Wang et al., Memory In Memory, CVPR 2019, arXiv:1811.07490; "
    "S. Pulkkinen et al., pysteps, Geosci. Model Dev. 12, 4185-4219, 2019"
)
_FIRST = ("Conventions", "title", "summary", "institution", "source", "history", "references")
_PROVENANCE = ("input_sha256", "model_sha256", "config_sha256", "degraded_reason")


def utc_now() -> datetime:
    """The time, to the second: the clock that products use where none is given."""
    return datetime.now(tz=UTC).replace(microsecond=0)


def issue_name(dataset: schema.Forecast) -> str:
    """The issue time as products are named for it: ``20150515T1720Z``."""
    issued: np.datetime64 = dataset["forecast_reference_time"].values.reshape(-1)[0]
    return stamp(issued)


def stamp(time: np.datetime64) -> str:
    """A time (UTC) as file names have it, to the minute: ``20150515T1720Z``."""
    return f"{time.astype('datetime64[s]').item():%Y%m%dT%H%MZ}"


def forecast_attributes(
    forecast: schema.Forecast, *, written: datetime, more: Mapping[str, Any]
) -> dict[str, Any]:
    """The global attributes of a forecast written at ``written``; ``more`` has the last word."""
    given = {**forecast.attrs, **more}
    issued = forecast["forecast_reference_time"].values
    source, place = str(given["source"]), _place(given)
    name = issue_name(forecast)
    described = {
        "title": f"Rain rate nowcast{place} issued {_iso(issued)}",
        "summary": f"Rain rate{place} foreseen by {source} from radar up to {_iso(issued)}.",
        "comment": "NaN: nothing can be said there; 0: dry. Rates are in mm per hour.",
        "id": f"{given.get('feed', 'nowcast')}.{source}.{name}".replace(" ", "_"),
        "date_issued": _iso(issued),
        "processing_level": "forecast",
    }
    leads = forecast["lead_time"].values
    facts = _coverage(issued + leads, schema.grid_of(forecast))
    facts["time_coverage_resolution"] = _duration(leads[0])
    return _completed(given, described, facts | _writing(given, written)) | dict(more)


def frames_attributes(
    frames: schema.Frames, *, written: datetime, more: Mapping[str, Any]
) -> dict[str, Any]:
    """The global attributes of observed frames written at ``written``; ``more`` wins."""
    given, times = {**frames.attrs, **more}, frames["time"].values
    place = _place(given)
    described = {
        "title": f"Rain rate{place} from {_iso(times[0])} to {_iso(times[-1])}",
        "summary": f"Rain rate{place} as weather radar saw it.",
        "comment": "NaN: not seen; 0: dry. Rates are in mm per hour.",
        "source": "weather radar",
        "id": f"{given.get('feed', 'radar')}.{_iso(times[0])}",
        "processing_level": "observation",
    }
    facts = _coverage(times, schema.grid_of(frames))
    if times.size > 1:
        facts["time_coverage_resolution"] = _duration(np.diff(times).min())
    return _completed(given, described, facts | _writing(given, written)) | dict(more)


def _completed(
    given: Mapping[str, Any], described: Mapping[str, Any], facts: Mapping[str, Any]
) -> dict[str, Any]:
    """All attributes: what the dataset brought goes before our words, and facts go before both."""
    institution = str(given.get("institution") or "not stated")
    common = {
        "institution": institution,
        "creator_name": institution,
        "creator_type": "institution",
        "creator_institution": institution,
        "project": "mim-nowcast",
        "references": REFERENCES,
        "license": str(given.get("licence", "not stated: ask the source of the data")),
        "acknowledgment": f"Radar data: {institution}",
        "keywords": "weather radar, precipitation, rain rate, nowcasting",
        "standard_name_vocabulary": "CF Standard Name Table v93",
        "cdm_data_type": "Grid",
        "instrument": "weather radar",
        "platform": "network of ground-based weather radars",
        "naming_authority": "mim-nowcast",
    }
    # Empty rather than absent: nobody has to ask whether the name was misspelt.
    provenance = dict.fromkeys(_PROVENANCE, "")
    own = {name: value for name, value in given.items() if not _is_empty(value)}
    every = {**provenance, **common, **described, **own, **facts}
    return {name: every[name] for name in (*_FIRST, *every) if name in every}


def _writing(given: Mapping[str, Any], written: datetime) -> dict[str, Any]:
    """The facts of this writing, whatever an earlier file said."""
    version, stamp = product_version(), f"{written:%Y-%m-%dT%H:%M:%SZ}"
    lines = (str(given.get("history") or ""), f"{stamp} written by mim-nowcast {version}")
    return {
        "Conventions": CONVENTIONS,
        "history": "\n".join(filter(None, lines)),
        "product_version": version,
        "date_created": stamp,
        "date_modified": stamp,
        "date_metadata_modified": stamp,
    }


@lru_cache(maxsize=1)
def product_version() -> str:
    """The version of this package, as installed."""
    try:
        return importlib.metadata.version("mim-nowcast")
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _coverage(times: NDArray[np.datetime64], grid: Grid) -> dict[str, Any]:
    lon, lat = (grid.x, grid.y) if grid.is_geographic else encoding.lonlat(grid)
    south, north = float(np.nanmin(lat)), float(np.nanmax(lat))
    west, east = float(np.nanmin(lon)), float(np.nanmax(lon))
    corners = ((south, west), (south, east), (north, east), (north, west), (south, west))
    unit = "degree" if grid.is_geographic else "m"
    ring = ", ".join(f"{latitude:.5f} {longitude:.5f}" for latitude, longitude in corners)
    return {
        "time_coverage_start": _iso(times[0]),
        "time_coverage_end": _iso(times[-1]),
        "time_coverage_duration": _duration(times[-1] - times[0]),
        "geospatial_lat_min": south,
        "geospatial_lat_max": north,
        "geospatial_lat_units": "degrees_north",
        "geospatial_lat_resolution": f"{grid.dy:g} {unit}",
        "geospatial_lon_min": west,
        "geospatial_lon_max": east,
        "geospatial_lon_units": "degrees_east",
        "geospatial_lon_resolution": f"{grid.dx:g} {unit}",
        "geospatial_bounds": f"POLYGON (({ring}))",
        "geospatial_bounds_crs": "EPSG:4326",
    }


def _is_empty(value: Any) -> bool:
    return value is None or (isinstance(value, str) and not value)


def _place(attrs: Mapping[str, Any]) -> str:
    return f" of {attrs['feed']}" if attrs.get("feed") else ""


def _iso(moment: np.datetime64 | NDArray[np.datetime64]) -> str:
    return f"{np.datetime_as_string(moment.astype('datetime64[s]'))}Z"


def _duration(span: np.timedelta64) -> str:
    seconds = round(float(span / np.timedelta64(1, "s")))
    minutes, rest = divmod(seconds, 60)
    return f"PT{minutes}M{rest}S" if rest else f"PT{minutes}M"
