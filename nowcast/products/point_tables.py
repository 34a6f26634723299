"""Timelines of places for people and programs: a tidy table, and JSON with the words."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from nowcast.field.atomic import written_beside
from nowcast.products.point_words import clock, sentences
from nowcast.products.timelines import outlooks, rain_probability

if TYPE_CHECKING:
    from pathlib import Path

    import xarray as xr
    from numpy.typing import NDArray

    from nowcast.products.outlook import Spell


def write_csv(dataset: xr.Dataset, path: Path) -> Path:
    """Write timelines as a tidy table, a row a place and time, unknown empty; raises ProductError.

    Columns: station_id, name, lon, lat, elevation_m, time (UTC), lead_minutes, said (unknown, dry,
    rain), rain_mm_h, amount_mm; p10, p50 and p90 (mm/h) and probability_0.1 and so on (of at least
    that many mm/h) where the forecast says them.
    """
    with written_beside(path) as beside:
        table(dataset).to_csv(beside, index=False)
    return path


def table(dataset: xr.Dataset) -> pd.DataFrame:
    """The timelines as a table: see ``write_csv``."""
    stations, times = dataset.sizes["station"], dataset.sizes["time"]
    elevation = dataset["elevation"].values
    by_station = {
        "station_id": dataset["station_id"].values,
        "name": dataset["station_name"].values,
        "lon": dataset["lon"].values,
        "lat": dataset["lat"].values,
        "elevation_m": elevation,
    }
    minutes = dataset["lead_time"].values / np.timedelta64(1, "m")
    stamps = np.datetime_as_string(dataset["time"].values.astype("datetime64[s]"), timezone="UTC")
    said = np.array(["unknown", "dry", "rain"])[dataset["rain_said"].values + 1]
    columns: dict[str, Any] = {n: np.repeat(v, times) for n, v in by_station.items()}
    columns |= {"time": np.tile(stamps, stations), "lead_minutes": np.tile(minutes, stations)}
    columns["said"] = said.ravel()
    for name, values in _series(dataset).items():
        columns[name] = np.round(values.astype(np.float64), 3).ravel()
    return pd.DataFrame(columns)


def write_json(dataset: xr.Dataset, path: Path) -> Path:
    """Write the places' outlooks and timelines as JSON (see ``as_json``); raises ProductError."""
    text = json.dumps(as_json(dataset), ensure_ascii=False, allow_nan=False)
    with written_beside(path) as beside:
        beside.write_text(text, encoding="utf-8")
    return path


def as_json(dataset: xr.Dataset) -> dict[str, Any]:
    """The forecast's issue and source, and of each place the outlook, the words and the timeline.

    Times are UTC as ``2015-05-15T17:20:00Z``; null is unknown.
    """
    issued: np.datetime64 = dataset["forecast_reference_time"].values.reshape(-1)[0]
    leads = dataset["lead_time"].values / np.timedelta64(1, "m")
    return {
        "issued": _iso(issued, 0),
        "source": dataset.attrs.get("source", ""),
        "degraded_reason": dataset.attrs.get("degraded_reason", ""),
        "feed": dataset.attrs.get("feed", ""),
        "rain_from_mm_h": float(dataset.attrs["rain_from_mm_h"]),
        "around": dataset.attrs["around"],
        "lead_minutes": leads.tolist(),
        "places": _places(dataset, issued),
    }


def _places(dataset: xr.Dataset, issued: np.datetime64) -> list[dict[str, Any]]:
    names = ("station_id", "station_name", "lon", "lat", "elevation")
    columns = [dataset[name].values for name in names]
    words, found = sentences(dataset), outlooks(dataset)
    series = {name: _numbers(values) for name, values in _series(dataset).items()}
    chance = [None] * len(found)
    if rain_probability(dataset) is not None:
        chance = _numbers(dataset["rain_probability"].values)
    rates = dataset["rainfall_rate"].values
    return [
        {
            "id": str(columns[0][place]),
            "name": str(columns[1][place]),
            "lon": float(columns[2][place]),
            "lat": float(columns[3][place]),
            "elevation_m": _numbers(columns[4][place : place + 1])[0],
            "sentence": words[place],
            "state": one.state,
            "probability": chance[place],
            "known_until": _iso(issued, one.known_until),
            "spells": [_spell(spell, issued=issued, rate=rates[place]) for spell in one.spells],
            **{name: values[place] for name, values in series.items()},
        }
        for place, one in enumerate(found)
    ]


def _series(dataset: xr.Dataset) -> dict[str, NDArray[np.floating]]:
    """The numbers of each time by name, each (station, time)."""
    series = {
        "rain_mm_h": dataset["rainfall_rate"].values,
        "amount_mm": dataset["rainfall_amount"].values,
    }
    if "probability_of_exceedance" in dataset:
        for quantile, values in zip(
            dataset["quantile"].values, dataset["rainfall_rate_quantile"].values, strict=True
        ):
            series[f"p{100 * quantile:.0f}"] = values
        for threshold, values in zip(
            dataset["threshold"].values, dataset["probability_of_exceedance"].values, strict=True
        ):
            series[f"probability_{threshold:g}"] = values
    return series


def _spell(spell: Spell, *, issued: np.datetime64, rate: NDArray[np.floating]) -> dict[str, Any]:
    return {
        "onset": _iso(issued, spell.onset),
        "cessation": _iso(issued, spell.cessation),
        "onset_minutes": spell.onset,
        "cessation_minutes": spell.cessation,
        "peak_mm_h": round(float(rate[spell.first : spell.last + 1].max()), 3),
    }


def _iso(issued: np.datetime64, minutes: float | None) -> str | None:
    return None if minutes is None else f"{clock(issued, minutes)}:00Z"


def _numbers(values: NDArray[np.floating]) -> list[Any]:
    """The numbers to a thousandth, nested as the array is; None for NaN."""
    rounded = np.round(values.astype(np.float64), 3).astype(object)
    rounded[np.isnan(values)] = None
    found: list[Any] = rounded.tolist()
    return found
