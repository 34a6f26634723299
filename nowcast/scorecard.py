"""Forecast files against the frames that came: every method on the same pixels and issue times."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from nowcast.field.errors import MissingFramesError, SourceError
from nowcast.products.reading import read_forecast
from nowcast.verify import table
from nowcast.verify.scoring import SCALES_CELLS, THRESHOLDS_MM_H, verify_together
from nowcast.verify.tally import Tally, total

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    import pandas as pd

    from nowcast.ingest.archive import Archive


@dataclass(frozen=True)
class ScoreSettings:
    """What is scored."""

    thresholds_mm_h: Sequence[float] = THRESHOLDS_MM_H
    scales_cells: Sequence[int] = SCALES_CELLS
    with_sal: bool = False


@dataclass(frozen=True)
class Scorecard:
    """The sums of each method, and what could not be scored.

    Attributes:
        tallies: one a method.
        unscored: forecasts left out, by name, and why.
        cycles: the sums of each forecast by method, in order of time.

    """

    tallies: tuple[Tally, ...]
    unscored: Mapping[str, str] = field(default_factory=dict)
    cycles: Mapping[str, Sequence[Tally]] = field(default_factory=dict)

    def table(self) -> pd.DataFrame:
        """The tidy table of all scores."""
        return table.score_table(self.tallies)

    def write(self, folder: Path) -> tuple[Path, ...]:
        """``scores.csv``, ``reliability.csv`` and ``scores.nc``; raises ProductError."""
        return (
            table.write_csv(self.table(), folder / "scores.csv"),
            table.write_csv(table.reliability_table(self.tallies), folder / "reliability.csv"),
            table.write_netcdf(table.to_dataset(self.tallies), folder / "scores.nc"),
        )


def forecast_files(folder: Path) -> dict[str, dict[str, Path]]:
    """Method -> name of the file -> file, for ``folder/METHOD/*.nc`` or ``folder/*.nc``.

    Files directly in ``folder`` count as one method, named like the folder. Raises SourceError
    where there is none.
    """
    if not folder.is_dir():
        raise SourceError(f"{folder}: no such folder, expected one of forecasts (.nc)")
    found: dict[str, dict[str, Path]] = {}
    for path in sorted([*folder.glob("*Z.nc"), *folder.glob("*/*Z.nc")]):
        found.setdefault(path.parent.resolve().name, {})[path.name] = path
    if not found:
        raise SourceError(
            f"{folder}: no forecasts, expected METHOD/YYYYmmddTHHMMZ.nc or YYYYmmddTHHMMZ.nc"
        )
    return found


def score(
    files: Mapping[str, Mapping[str, Path]],
    archive: Archive,
    *,
    settings: ScoreSettings | None = None,
    progress: Callable[[str], None] | None = None,
) -> Scorecard:
    """Score every issue time for which all methods have a forecast and a frame has come.

    Raises MissingFramesError where not one issue time can be scored.
    """
    settings = settings or ScoreSettings()
    tallies: dict[str, list[Tally]] = {method: [] for method in files}
    unscored: dict[str, str] = {}
    for name in sorted({name for paths in files.values() for name in paths}):
        lacking = [method for method, paths in files.items() if name not in paths]
        if lacking:
            unscored[name] = f"no forecast of {', '.join(lacking)} to compare with"
        else:
            try:
                one = {method: paths[name] for method, paths in files.items()}
                for method, tally in _scored(one, archive, settings).items():
                    tallies[method].append(tally)
            except MissingFramesError as error:
                unscored[name] = str(error)
        if progress is not None:
            progress(name)
    if not any(tallies.values()):
        reasons = "; ".join(f"{name}: {why}" for name, why in list(unscored.items())[:3])
        raise MissingFramesError(f"not one forecast could be scored: {reasons}")
    return Scorecard(
        tallies=tuple(total(cycles) for cycles in tallies.values()),
        unscored=unscored,
        cycles=tallies,
    )


def _scored(
    paths: Mapping[str, Path], archive: Archive, settings: ScoreSettings
) -> dict[str, Tally]:
    forecasts = {method: read_forecast(path) for method, path in paths.items()}
    first = next(iter(forecasts.values()))
    observed = archive.observed(np.asarray(first["time"].values))
    return verify_together(
        forecasts,
        observed,
        thresholds_mm_h=settings.thresholds_mm_h,
        scales_cells=settings.scales_cells,
        with_sal=settings.with_sal,
    )
