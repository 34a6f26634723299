"""What verification looks at: the forecasts that were published, the frames that were accepted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from nowcast.field.errors import FormatError
from nowcast.service import names
from nowcast.service.manifest import read_manifest

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import numpy as np

    from nowcast.service.accepted import Feed, Input

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
        inputs: the files that it rests on: valid time -> digest.

    """

    cycle: str
    issued: np.datetime64
    version: int
    method: str
    path: Path
    inputs: Mapping[str, str]


@dataclass(frozen=True)
class Accepted:
    """The frames that are accepted now, and what they are of."""

    inputs: tuple[Input, ...]
    feed: Feed


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
        manifest = read_manifest(folder)
    except FormatError:
        if folder.is_dir():
            raise
        return None
    return PublishedForecast(
        cycle=folder.name,
        issued=cycle.issue_time,
        version=cycle.version,
        method=_METHOD_OF_RUNG.get(manifest.rung, manifest.rung),
        path=folder / f"{names.CycleId(cycle.issue_time)}.nc",
        inputs=dict(manifest.inputs),
    )
