"""Which forecasts there are to look at: in a folder of files, or published by a service."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Protocol

from nowcast.field.errors import FormatError, NowcastError, UsageError
from nowcast.service import names, published
from nowcast.service.layout import Layout

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    import numpy as np

# What a forecast is called in addresses: its cycle, and before it the folder of its method.
FORECAST_ID = r"^(?:[A-Za-z0-9_]{1,40}-)?\d{8}T\d{4}Z(?:\.v[1-9]\d{0,3})?$"
_METHOD = re.compile(r"[A-Za-z0-9_]{1,40}")


@dataclass(frozen=True)
class Listed:
    """A forecast in a library.

    Attributes:
        id: as addresses name it; matches ``FORECAST_ID``.
        path: its NetCDF file.
        issued: the issue time (UTC).
        series: the folder of its method in a folder of forecasts; empty otherwise.
        rung: the step of the ladder that answered, where a manifest says so.
        files: what may be downloaded, by name; the NetCDF is among them.

    """

    id: str
    path: Path
    issued: np.datetime64
    series: str = ""
    rung: str = ""
    files: Mapping[str, Path] = field(default_factory=dict)


class Library(Protocol):
    """Where forecasts come from."""

    def listed(self) -> list[Listed]:
        """All forecasts, the newest first."""
        ...

    def find(self, name: str) -> Listed | None:
        """The forecast of an id, listed or not; None where there is none (any more)."""
        ...


@dataclass(frozen=True)
class FolderLibrary:
    """Forecasts as ``nowcast run`` and ``nowcast hindcast`` write them: ``[METHOD/]TIMEZ.nc``."""

    folder: Path

    def listed(self) -> list[Listed]:
        """All forecasts, the newest first."""
        found = [*self._within(self.folder, series="")]
        for folder in sorted(self.folder.iterdir()) if self.folder.is_dir() else ():
            if folder.is_dir() and _METHOD.fullmatch(folder.name):
                found += self._within(folder, series=folder.name)
        # MIM stands before the others of its issue time, which stand in the order of their names.
        found.sort(key=lambda one: one.series != "mim")
        return sorted(found, key=lambda one: one.issued, reverse=True)

    def find(self, name: str) -> Listed | None:
        """The forecast of an id; None where there is none."""
        return next((one for one in self.listed() if one.id == name), None)

    def _within(self, folder: Path, *, series: str) -> Iterator[Listed]:
        for path in sorted(folder.glob("*Z.nc")):
            cycle = names.parse(path.stem)
            if cycle is not None and path.is_file():
                name = f"{series}-{path.stem}" if series else path.stem
                yield Listed(name, path, cycle.issue_time, series, files={path.name: path})


@dataclass(frozen=True)
class PublishedLibrary:
    """Forecasts that a service has published, each in its latest version."""

    layout: Layout

    def listed(self) -> list[Listed]:
        """All forecasts, the newest first; one that has just expired is left out."""
        cycles = reversed(published.newest_versions(self.layout))
        return [found for cycle in cycles if (found := _published(self.layout, cycle)) is not None]

    def find(self, name: str) -> Listed | None:
        """The forecast of an id; an earlier version is there as long as its folder.

        So a page that was opened on it stays whole when it is issued again.
        """
        cycle = names.parse(name)
        return None if cycle is None else _published(self.layout, cycle)


@lru_cache(maxsize=2048)
def _manifested(layout: Layout, cycle: names.CycleId) -> Listed:
    """Read once: a published folder never changes."""
    one = published.open_cycle(layout, cycle)
    files = {name: one.folder / name for name in one.manifest.files if "/" not in name}
    return Listed(str(cycle), one.netcdf, cycle.issue_time, rung=one.manifest.rung, files=files)


def _published(layout: Layout, cycle: names.CycleId) -> Listed | None:
    try:
        one = _manifested(layout, cycle)
    except NowcastError:
        return None
    return one if one.path.is_file() else None


def library_of(folder: Path) -> Library:
    """The library in a folder: a service's if it has ``published/``, else one of files.

    Raises UsageError where there is no such folder.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder}: no such folder, expected one of forecasts (*Z.nc)")
    layout = Layout(folder)
    return PublishedLibrary(layout) if layout.published.is_dir() else FolderLibrary(folder)


def feed_of(library: Library) -> str | None:
    """The feed that the newest published forecast names; None for a folder of files."""
    if not isinstance(library, PublishedLibrary):
        return None
    try:
        newest = published.latest(library.layout)
    except (FormatError, NowcastError):
        return None
    return newest.manifest.feed if newest else None
