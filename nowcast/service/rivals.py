"""What the other methods would have said: made of the same frames, kept until it is scored.

``shadow/CYCLE/`` holds ``METHOD.nc`` of every method that was not published and could answer, and
``RIVALS.json``. The folder appears whole; it goes when its last lead has been scored.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np

from nowcast.cycle import HISTORY
from nowcast.field.atomic import make_folder, written_beside
from nowcast.field.errors import FormatError, NowcastError, SourceError
from nowcast.products.netcdf import NetCdf
from nowcast.products.reading import read_forecast

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from nowcast.field.schema import Radar
    from nowcast.forecast.base import Nowcaster
    from nowcast.ingest.base import Source
    from nowcast.service.forecasts import PublishedForecast

_NAMES = "RIVALS.json"


@dataclass(frozen=True)
class Rivals:
    """The forecasts of the methods that were not published.

    Attributes:
        lead_seconds: the leads of the published forecast.
        methods: that answered.
        problems: why the others did not.

    """

    lead_seconds: tuple[int, ...]
    methods: tuple[str, ...]
    problems: Mapping[str, str]


def make_rivals(
    published: PublishedForecast,
    source: Source,
    nowcasters: Mapping[str, Nowcaster],
    into: Path,
) -> Rivals:
    """Forecast with every method but the published one, and write all of it to ``into``.

    The rivals must rest on the frames that the forecast was made of. Where a frame has come or
    changed since, there are none, and the problem says so. Raises SourceError for the published
    file and the frames, ProductError where nothing can be written.
    """
    truth = read_forecast(published.path)
    leads = truth["lead_time"].values
    past = source.read(end=published.issued, frames=HISTORY)
    others = {name: made for name, made in nowcasters.items() if name != published.method}
    problems: dict[str, str] = {}
    if past.attrs.get("input_sha256") != truth.attrs.get("input_sha256"):
        problems = dict.fromkeys(others, "the frames are not those that the forecast was made of")
        others = {}
    make_folder(into.parent)
    with written_beside(into) as beside:
        make_folder(beside)
        for method, nowcaster in others.items():
            problem = _written(nowcaster, past, steps=leads.size, path=beside / f"{method}.nc")
            if problem:
                problems[method] = problem
        rivals = Rivals(
            lead_seconds=tuple(int(lead / np.timedelta64(1, "s")) for lead in leads),
            methods=tuple(method for method in others if method not in problems),
            problems=problems,
        )
        (beside / _NAMES).write_text(json.dumps(asdict(rivals)), encoding="utf-8")
    return rivals


def _written(nowcaster: Nowcaster, past: Radar, *, steps: int, path: Path) -> str:
    """Why there is no forecast; empty where there is."""
    try:
        forecast = nowcaster(past, steps=steps)
    except NowcastError as error:
        return str(error)
    made = NetCdf().write(forecast, into=path.parent)
    made.replace(path)
    return ""


def read_rivals(folder: Path) -> Rivals | None:
    """What ``make_rivals`` wrote there; None where it has not been made."""
    try:
        told = json.loads((folder / _NAMES).read_text(encoding="utf-8"))
        return Rivals(
            lead_seconds=tuple(int(lead) for lead in told["lead_seconds"]),
            methods=tuple(str(method) for method in told["methods"]),
            problems={str(method): str(why) for method, why in told["problems"].items()},
        )
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise FormatError(
            f"{folder / _NAMES}: not a list of rivals: {error}; remove the folder"
        ) from error


def remove_rivals(folder: Path) -> None:
    """Remove a folder of rivals, so that no part of it is taken for the whole."""
    gone = folder.with_name(f".{folder.name}.gone")
    try:
        folder.rename(gone)
        shutil.rmtree(gone)
    except OSError as error:
        raise SourceError(f"{folder}: cannot be removed: {error.strerror or error}") from error


def sweep(folder: Path) -> None:
    """Remove what a killed process left half written or half removed."""
    for left in [*folder.glob(".*.gone"), *folder.glob(".*.part")]:
        shutil.rmtree(left, ignore_errors=True)
