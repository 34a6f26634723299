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
from nowcast.service.accepted import archive_of
from nowcast.service.clock import iso

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from nowcast.field.schema import Forecast
    from nowcast.ingest.archive import Archive
    from nowcast.service.forecasting import Recipe
    from nowcast.service.skill.forecasts import Accepted, PublishedForecast

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
    accepted: Accepted,
    recipe: Recipe,
    methods: Sequence[str],
    into: Path,
) -> Rivals:
    """Forecast with every method but the published one, and write all of it to ``into``.

    The rivals rest on the very files that the forecast was made of. Where one of these has been
    replaced since, there are none, and the problem says so. Raises SourceError for the published
    file and the frames, ProductError where nothing can be written.
    """
    from nowcast.products.reading import read_forecast  # noqa: PLC0415 - loads xarray

    forecast = read_forecast(published.path)
    leads = forecast["lead_time"].values
    others = [method for method in methods if method != published.method]
    used = [
        one for one in accepted.inputs if published.inputs.get(iso(one.valid_time)) == one.sha256
    ]
    lacking = len(published.inputs) - len(used)
    problems = {
        method: f"{lacking} of the files that the forecast was made of have been replaced"
        for method in others
        if lacking
    }
    make_folder(into.parent)
    with written_beside(into) as beside:
        make_folder(beside)
        if not lacking:
            archive = archive_of(
                used, accepted.feed, folder=published.path.parent, now=published.issued
            )
            for method in others:
                problem = _write(method, archive, recipe, like=forecast, folder=beside)
                problems |= {method: problem} if problem else {}
        rivals = Rivals(
            lead_seconds=tuple(int(lead / np.timedelta64(1, "s")) for lead in leads),
            methods=tuple(method for method in others if method not in problems),
            problems=problems,
        )
        (beside / _NAMES).write_text(json.dumps(asdict(rivals)), encoding="utf-8")
    return rivals


def _write(method: str, archive: Archive, recipe: Recipe, *, like: Forecast, folder: Path) -> str:
    """Write the forecast of a method, with the leads of another; why there is none, if so."""
    from nowcast.products.netcdf import NetCdf  # noqa: PLC0415 - loads xarray

    try:
        nowcaster = recipe.nowcaster(method)
        past = archive.read(end=archive.latest, frames=max(HISTORY, nowcaster.history))
        made = nowcaster(past, steps=like.sizes["lead_time"])
    except NowcastError as error:
        return str(error)
    NetCdf().write(made, into=folder).replace(folder / f"{method}.nc")
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
