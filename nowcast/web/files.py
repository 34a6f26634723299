"""Downloads: the files that were published, and other formats, made when first asked for."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from nowcast.field.atomic import make_folder, written_beside
from nowcast.products.description import stamp
from nowcast.products.reading import read_forecast
from nowcast.web.remembered import Remembered

if TYPE_CHECKING:
    from nowcast.web.library import Listed

_MADE_FILES = 8  # that are kept


@dataclass(frozen=True, eq=False)
class Files:
    """What can be downloaded of forecasts.

    Attributes:
        made: a folder for what is made; it goes when this does.

    """

    made: tempfile.TemporaryDirectory[str] = field(
        default_factory=lambda: tempfile.TemporaryDirectory(prefix="nowcast-view-")
    )
    _kept: Remembered[Path] = field(default_factory=lambda: Remembered(_MADE_FILES))

    def names(self, listed: Listed) -> list[str]:
        """The names of a forecast's files."""
        name = stamp(listed.issued)
        return sorted({*listed.files, f"{name}.tif", f"{name}.zarr.zip"})

    def find(self, listed: Listed, name: str) -> Path | None:
        """The file of that name; None where a forecast has none. Raises ProductError."""
        if name in listed.files:
            return listed.files[name]
        if name not in self.names(listed):
            return None
        version = listed.path.stat().st_mtime_ns
        return self._kept.get((listed.id, version, name), partial(self._make, listed, name))

    def _make(self, listed: Listed, name: str) -> Path:
        from nowcast.products.cog import Cog  # noqa: PLC0415 - heavy, and an extra
        from nowcast.products.zarr_store import ZarrStore  # noqa: PLC0415

        folder = make_folder(Path(self.made.name) / f"{listed.id}.{listed.path.stat().st_mtime_ns}")
        forecast = read_forecast(listed.path)
        if name.endswith(".tif"):
            return Cog().write(forecast, into=folder)
        store = ZarrStore().write(forecast, into=folder)
        packed = folder / name
        with written_beside(packed) as beside:
            made = shutil.make_archive(str(beside), "zip", root_dir=folder, base_dir=store.name)
            Path(made).replace(beside)
        shutil.rmtree(store)
        return packed
