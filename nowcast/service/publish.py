"""From a staged folder to a published one, in one step that no reader sees half of."""

from __future__ import annotations

import secrets
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nowcast.field.atomic import force_name, force_to_disk, make_folder
from nowcast.field.errors import FormatError, ProductError, SourceError
from nowcast.service import crash, manifest
from nowcast.service.layout import MANIFEST
from nowcast.service.names import parse

if TYPE_CHECKING:
    from collections.abc import Callable

    from nowcast.service.layout import Layout
    from nowcast.service.manifest import FileSum, Manifest
    from nowcast.service.names import CycleId


@dataclass(frozen=True)
class Publisher:
    """Puts what was staged in its place.

    Every step raises ProductError where the disk refuses; what was published before stands as it
    was, and the step can be tried again.
    """

    layout: Layout

    def prepare(self) -> None:
        """Make the folders, and clear away what an earlier process left half-done."""
        for folder in self.layout.folders:
            make_folder(folder)
        for left in self.layout.staging.iterdir():
            remove(left)

    def stage(self, cycle: CycleId) -> Path:
        """A fresh folder to write a cycle's files into."""
        return make_folder(self.layout.staging / f"{cycle}.{secrets.token_hex(4)}")

    def publish(
        self, staged: Path, cycle: CycleId, describe: Callable[[dict[str, FileSum]], Manifest]
    ) -> Manifest:
        """Make a staged folder the forecast of a cycle, and ``latest`` if it is the newest.

        A forecast that stands already, because a process died after this step, is kept: it is
        whole, and readers may have seen it.
        """
        standing = self.standing(cycle)
        if standing is None:
            standing = self._move(staged, self.layout.published / str(cycle), describe, "publish")
        self.point_latest()
        return standing

    def add_maps(
        self, staged: Path, cycle: CycleId, describe: Callable[[dict[str, FileSum]], Manifest]
    ) -> Manifest:
        """Make a staged folder what follows a cycle's forecast."""
        return self._move(staged, self.layout.maps / str(cycle), describe, "maps")

    def standing(self, cycle: CycleId) -> Manifest | None:
        """The manifest of a cycle's forecast, if it is published."""
        folder = self.layout.published / str(cycle)
        if not folder.is_dir():
            return None
        try:
            return manifest.read_manifest(folder)
        except FormatError:
            # Not ours: what is renamed into place has its manifest on the disk before.
            remove(self._set_aside(folder))
            return None
        except SourceError as error:
            # A disk that fails to read says nothing of what stands there.
            raise ProductError(str(error)) from error

    def point_latest(self) -> None:
        """Let ``latest`` point at the newest forecast; a link that does so already is left."""
        crash.at("publish.before_latest")
        try:
            cycles = [
                found for path in self.layout.published.iterdir() if (found := parse(path.name))
            ]
            target = Path("published") / str(max(cycles)) if cycles else None
            if target is None or _points_to(self.layout.latest, target):
                return
            beside = self.layout.root / f".latest.{secrets.token_hex(4)}"
            beside.symlink_to(target)
            try:
                beside.replace(self.layout.latest)
            finally:
                beside.unlink(missing_ok=True)
            force_name(self.layout.root)
        except OSError as error:
            raise ProductError(f"{self.layout.latest}: could not be set: {error}") from error
        crash.at("publish.after_latest")

    def remove(self, folder: Path) -> None:
        """Take a published folder away: whole for a reader until it is gone from its place."""
        try:
            aside = self._set_aside(folder)
        except FileNotFoundError:
            return
        except OSError as error:
            raise ProductError(f"{folder}: could not be removed: {error}") from error
        crash.at("retention.set_aside")
        remove(aside)

    def _set_aside(self, folder: Path) -> Path:
        aside = self.layout.staging / f"{folder.name}.{secrets.token_hex(4)}.gone"
        return folder.rename(aside)

    def _move(
        self,
        staged: Path,
        folder: Path,
        describe: Callable[[dict[str, FileSum]], Manifest],
        step: str,
    ) -> Manifest:
        try:
            crash.at(f"{step}.before_manifest")
            made = describe(manifest.sums(staged))
            (staged / MANIFEST).write_text(made.to_json(), encoding="utf-8")
            crash.at(f"{step}.after_manifest")
            force_to_disk(staged)
            crash.at(f"{step}.after_sync")
            staged.rename(folder)
            force_name(folder.parent)
        except OSError as error:
            raise ProductError(f"{folder}: could not be published: {error}") from error
        crash.at(f"{step}.after_rename")
        return made


def remove(path: Path) -> None:
    """Take a file or a folder away; what cannot be taken away is left for the next start."""
    with suppress(OSError):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def _points_to(link: Path, target: Path) -> bool:
    return link.is_symlink() and link.readlink() == target
