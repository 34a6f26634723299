"""The read side: which forecasts are published, and what they say of themselves.

A reader asks for a cycle once and reads within that folder, which never changes; following
``latest`` for every file would mix two forecasts when one replaces the other in between.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from nowcast.field.errors import SourceError
from nowcast.service import manifest
from nowcast.service.names import CycleId, parse

if TYPE_CHECKING:
    from pathlib import Path

    from nowcast.service.layout import Layout
    from nowcast.service.manifest import Manifest


@dataclass(frozen=True)
class Published:
    """A forecast: its folder, its manifest, and what follows it."""

    id: CycleId
    folder: Path
    manifest: Manifest
    maps: Path

    @property
    def netcdf(self) -> Path:
        """The forecast's NetCDF file; raises SourceError where the manifest names none."""
        names = [name for name in self.manifest.files if name.endswith(".nc") and "/" not in name]
        stamp = str(CycleId(self.id.issue_time))
        best = next((name for name in names if name == f"{stamp}.nc"), None)
        if best is None:
            raise SourceError(f"{self.folder}: no NetCDF of {stamp} among {', '.join(names) or 0}")
        return self.folder / best

    def problems(self) -> list[str]:
        """What is not as the manifest says: torn, changed, missing; empty where all is well."""
        return manifest.problems(self.folder, self.manifest)


def cycles(layout: Layout) -> list[CycleId]:
    """The published cycles, oldest first, whole or not; empty where there is none yet."""
    if not layout.published.is_dir():
        return []
    return sorted(found for path in layout.published.iterdir() if (found := parse(path.name)))


def open_cycle(layout: Layout, cycle: CycleId) -> Published:
    """A published forecast; raises SourceError where there is none (it may just have expired)."""
    folder = layout.published / str(cycle)
    if not folder.is_dir():
        raise SourceError(f"{folder}: no such forecast; see {layout.published} for those there are")
    return Published(cycle, folder, manifest.read_manifest(folder), layout.maps / str(cycle))


def latest(layout: Layout) -> Published | None:
    """The newest forecast, as ``latest`` points to it; None before the first."""
    try:
        name = layout.latest.readlink().name
    except OSError:
        return None
    found = parse(name)
    return open_cycle(layout, found) if found else None


def newest_versions(layout: Layout) -> list[CycleId]:
    """One cycle an issue time, its latest version, oldest first."""
    best = {cycle.issue_time: cycle for cycle in cycles(layout)}
    return list(best.values())
