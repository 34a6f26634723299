"""All sums of one method over its cycles: what is kept, added up and stored."""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from nowcast.field.atomic import written_beside
from nowcast.field.errors import FormatError, SchemaError
from nowcast.verify.categorical import ContingencyTable
from nowcast.verify.continuous import ErrorSums
from nowcast.verify.ensemble import CrpsSums, RankHistogram
from nowcast.verify.probability import BrierSums, ProbabilityBins
from nowcast.verify.sal import SalSums
from nowcast.verify.spatial import FssSums
from nowcast.verify.sums import Sums, ratio

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

_FORMAT = "nowcast tally 1"


@dataclass(frozen=True, eq=False)
class CoverageSums(Sums):
    """What the scores rest on, each (..., lead).

    Attributes:
        cycles: forecasts with at least one pixel that counts.
        asked: pixels that were to be scored.
        seen: those of them that were observed.
        counted: those of them about which the forecast said something too.

    """

    cycles: NDArray[np.float64]
    asked: NDArray[np.float64]
    seen: NDArray[np.float64]
    counted: NDArray[np.float64]

    @property
    def counted_fraction(self) -> NDArray[np.float64]:
        """The part of the asked pixels that counts."""
        return ratio(self.counted, self.asked)

    @property
    def unsaid_fraction(self) -> NDArray[np.float64]:
        """The part of the seen pixels about which the forecast says nothing."""
        return ratio(self.seen - self.counted, self.seen)


PIECES: dict[str, type[Sums]] = {
    "coverage": CoverageSums,
    "contingency": ContingencyTable,
    "errors": ErrorSums,
    "fractions": FssSums,
    "crps": CrpsSums,
    "brier": BrierSums,
    "probabilities": ProbabilityBins,
    "ranks": RankHistogram,
    "sal": SalSums,
}


@dataclass(frozen=True, eq=False)
class Tally:
    """The sums of one method over one cycle or many.

    Attributes:
        method: whose forecasts.
        lead_minutes, thresholds_mm_h, scales_cells: what the axes stand for.
        issued: the issue times (UTC, to the minute) of the cycles, in the order of adding.
        coverage, errors, crps: (..., lead).
        contingency, brier: (..., lead, threshold).
        fractions: (..., lead, threshold, scale).
        probabilities: (..., lead, threshold, bin).
        ranks: (..., lead, rank); None where there was no ensemble.
        sal: (..., lead); None where it was not asked for.

    """

    method: str
    lead_minutes: tuple[float, ...]
    thresholds_mm_h: tuple[float, ...]
    scales_cells: tuple[int, ...]
    issued: tuple[str, ...]
    coverage: CoverageSums
    contingency: ContingencyTable
    errors: ErrorSums
    fractions: FssSums
    crps: CrpsSums
    brier: BrierSums
    probabilities: ProbabilityBins
    ranks: RankHistogram | None = None
    sal: SalSums | None = None

    def __add__(self, other: Self) -> Self:
        """Both together; a piece that one of them lacks adds nothing, its own counts tell.

        Raises SchemaError for another method, other leads, thresholds, scales or members.
        """
        for name in ("method", "lead_minutes", "thresholds_mm_h", "scales_cells"):
            mine, theirs = getattr(self, name), getattr(other, name)
            if mine != theirs:
                raise SchemaError(f"cycles do not add: {name} {mine} and {theirs}")
        theirs_by_name = other.pieces()
        added = {
            name: piece + theirs_by_name[name] if name in theirs_by_name else piece
            for name, piece in self.pieces().items()
        }
        return replace(self, issued=self.issued + other.issued, **(theirs_by_name | added))

    def __mul__(self, weight: float) -> Self:
        """Every sum times a weight: by ``1 / coverage.counted.sum()`` every case counts alike."""
        return self.with_pieces({name: piece * weight for name, piece in self.pieces().items()})

    def named(self, method: str) -> Self:
        """The same sums under another name: that of the method that was run, whoever answered."""
        return replace(self, method=method)

    def pieces(self) -> dict[str, Any]:
        """The statistics by name, without those that are None."""
        found = {name: getattr(self, name) for name in PIECES}
        return {name: piece for name, piece in found.items() if piece is not None}

    def with_pieces(self, pieces: Mapping[str, Sums]) -> Self:
        """The same axes with other statistics; one that is not named becomes None."""
        every: dict[str, Any] = {name: pieces.get(name) for name in PIECES}
        return replace(self, **every)

    def equals(self, other: Self) -> bool:
        """Whether both hold the same, to the last bit."""
        mine, theirs = self.pieces(), other.pieces()
        return (
            _header(self) == _header(other)
            and mine.keys() == theirs.keys()
            and all(piece.equals(theirs[name]) for name, piece in mine.items())
        )

    def save(self, path: Path) -> Path:
        """Write the sums to ``path`` (.npz); the same tally gives the same bytes.

        Raises ProductError where that cannot be done; there is never half a file.
        """
        arrays = {
            f"{name}.{field}": array
            for name, piece in self.pieces().items()
            for field, array in piece.arrays().items()
        }
        buffer = io.BytesIO()
        np.savez_compressed(buffer, header=np.array(json.dumps(_header(self))), **arrays)
        with written_beside(path) as beside:
            beside.write_bytes(buffer.getvalue())
        return path

    @classmethod
    def load(cls, path: Path) -> Self:
        """The sums that ``save`` wrote; raises FormatError where the file is something else."""
        try:
            # numpy leaves a broken file open where it opens it itself.
            with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
                arrays = {name: stored[name] for name in stored.files}
            header = json.loads(str(arrays.pop("header")))
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise FormatError(f"{path}: no sums of a verification: {error}") from error
        if not isinstance(header, dict) or header.pop("format", None) != _FORMAT:
            raise FormatError(f"{path}: no sums of a verification, expected {_FORMAT!r}")
        grouped: dict[str, dict[str, NDArray[np.float64]]] = {}
        for name, array in arrays.items():
            piece, _, field = name.partition(".")
            grouped.setdefault(piece, {})[field] = array
        if not set(grouped) <= set(PIECES):
            raise FormatError(f"{path}: sums {sorted(grouped)}, expected {sorted(PIECES)}")
        pieces: dict[str, Any] = {name: PIECES[name].of(sums) for name, sums in grouped.items()}
        axes: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in header.items()
        }
        return cls(**axes, **pieces)


def total(tallies: Iterable[Tally]) -> Tally:
    """All tallies of one method together; raises SchemaError where there are none."""
    found = list(tallies)
    if not found:
        raise SchemaError("no cycles to add up: not one forecast was scored")
    summed = found[0]
    for tally in found[1:]:
        summed = summed + tally
    return summed


def _header(tally: Tally) -> dict[str, Any]:
    named = {
        field.name: getattr(tally, field.name)
        for field in fields(tally)
        if field.name not in PIECES
    }
    listed = {name: list(v) if isinstance(v, tuple) else v for name, v in named.items()}
    return {"format": _FORMAT, **listed}
