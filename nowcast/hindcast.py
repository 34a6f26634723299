"""Many cycles over an archive: every method at every issue time, one file a forecast.

Each forecast is a piece of work of its own, a pure function of archive, method and time, whose file
appears whole. So it does not matter who makes it, in which order, and after which crash.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from nowcast.cycle import Cycle
from nowcast.field.atomic import make_folder
from nowcast.field.errors import MethodError, SourceError
from nowcast.products.description import stamp
from nowcast.products.netcdf import NetCdf

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from concurrent.futures import Executor
    from pathlib import Path

    import numpy as np

    from nowcast.forecast.base import Nowcaster
    from nowcast.ingest.base import Source


class Done(NamedTuple):
    """One forecast of a hindcast: whose, when, where; or why there is none."""

    method: str
    issued: np.datetime64
    path: Path | None
    problem: str = ""
    kept: bool = False


@dataclass(frozen=True)
class Hindcast:
    """Which forecasts to make, and where they go: ``out/METHOD/YYYYmmddTHHMMZ.nc``."""

    source: Source
    nowcasters: Mapping[str, Nowcaster]
    steps: int
    out: Path

    def run(
        self, issue_times: Sequence[np.datetime64], *, executor: Executor | None = None
    ) -> Iterator[Done]:
        """Each forecast when it is made; those whose file is there already are kept.

        With an executor they are made by its workers, who must see the same folders; they come in
        the same order. A cycle that frames or method do not allow is reported and left out; the
        others go on. Raises ProductError where nothing can be written.
        """
        work = [(method, issued) for issued in issue_times for method in self.nowcasters]
        if executor is None:
            for method, issued in work:
                yield self.one(method, issued)
            return
        promised = [executor.submit(self.one, method, issued) for method, issued in work]
        try:
            for future in promised:
                yield future.result()
        finally:
            for future in promised:
                future.cancel()

    def path(self, method: str, issued: np.datetime64) -> Path:
        """Where the forecast of a method at an issue time stands."""
        return self.out / method / f"{stamp(issued)}.nc"

    def one(self, method: str, issued: np.datetime64) -> Done:
        """One forecast, made or kept; raises ProductError."""
        path = self.path(method, issued)
        folder = make_folder(path.parent)
        if path.is_file():  # files are renamed into place: what is there is whole
            return Done(method, issued, path, kept=True)
        cycle = Cycle(source=self.source, nowcaster=self.nowcasters[method], products=(NetCdf(),))
        try:
            made = cycle.run(issued=issued, steps=self.steps, into=folder)
        except (SourceError, MethodError) as error:
            return Done(method, issued, None, problem=str(error))
        return Done(method, issued, made.written[0])
