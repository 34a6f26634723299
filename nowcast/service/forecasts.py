"""The published forecasts that verification looks at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from nowcast.field.errors import FormatError
from nowcast.products.description import stamp
from nowcast.service import names
from nowcast.service.manifest import read_manifest

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np

# The rungs of the ladder that are one method: filling a frame in makes no other method of it.
_METHOD_OF_RUNG = {"mim-infilled": "mim"}


@dataclass(frozen=True)
class PublishedForecast:
    """A forecast as it was published.

    Attributes:
        cycle: the name of its folder.
        issued: the issue time (UTC).
        version: 1, or more where it was issued again.
        method: that answered: ``mim``, ``extrapolation``, ``persistence``.
        path: the NetCDF file.

    """

    cycle: str
    issued: np.datetime64
    version: int
    method: str
    path: Path


def published_forecasts(published: Path, *, since: np.datetime64) -> tuple[PublishedForecast, ...]:
    """The forecasts in the folder of published cycles that were issued since then, oldest first.

    Raises FormatError where a manifest cannot be read.
    """
    found = {folder: names.parse(folder.name) for folder in published.glob("[0-9]*Z*")}
    wanted = sorted((cycle, folder) for folder, cycle in found.items() if cycle is not None)
    made = [_published(folder, cycle) for cycle, folder in wanted if cycle.issue_time >= since]
    return tuple(one for one in made if one is not None)


def _published(folder: Path, cycle: names.CycleId) -> PublishedForecast | None:
    """The forecast in a folder; None where retention has removed it meanwhile."""
    try:
        rung = read_manifest(folder).rung
    except FormatError:
        if folder.is_dir():
            raise
        return None
    return PublishedForecast(
        cycle=folder.name,
        issued=cycle.issue_time,
        version=cycle.version,
        method=_METHOD_OF_RUNG.get(rung, rung),
        path=folder / f"{stamp(cycle.issue_time)}.nc",
    )
