"""The sums of a single lead as a few bytes: what is stored by the thousand, and added up later.

A tally is a dozen small arrays. Stored a lead at a time they would be mostly file format, so they
are laid end to end: ``Layout`` says where each begins, and is stored once for all.
"""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from nowcast.field.errors import FormatError, SchemaError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from nowcast.verify.tally import Tally

# What every method has: not every one has an ensemble, and SAL takes too long.
_PACKED = (
    "coverage",
    "contingency",
    "errors",
    "fractions",
    "crps",
    "brier",
    "probabilities",
)


@dataclass(frozen=True)
class Layout:
    """Which sums stand where in a packed lead.

    Attributes:
        thresholds_mm_h, scales_cells: what the axes of the sums stand for.
        arrays: piece, field and shape without the lead, in the order in which they are laid.

    """

    thresholds_mm_h: tuple[float, ...]
    scales_cells: tuple[int, ...]
    arrays: tuple[tuple[str, str, tuple[int, ...]], ...]

    @classmethod
    def of(cls, tally: Tally) -> Self:
        """The layout of the leads of a tally."""
        arrays = [
            (name, field, tuple(array.shape[1:]))
            for name in _PACKED
            for field, array in getattr(tally, name).arrays().items()
        ]
        return cls(tally.thresholds_mm_h, tally.scales_cells, tuple(arrays))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The layout that ``to_json`` described; raises FormatError."""
        try:
            described = json.loads(text)
            if {name for name, _, _ in described["arrays"]} != set(_PACKED):
                raise ValueError(f"expected the sums {', '.join(_PACKED)}")
            return cls(
                thresholds_mm_h=tuple(described["thresholds_mm_h"]),
                scales_cells=tuple(described["scales_cells"]),
                arrays=tuple((name, field, tuple(s)) for name, field, s in described["arrays"]),
            )
        except (ValueError, KeyError, TypeError) as error:
            raise FormatError(f"no layout of packed sums: {text[:80]!r}") from error

    def to_json(self) -> str:
        """The layout as text; the same layout gives the same text."""
        return json.dumps(vars(self), sort_keys=True)

    @property
    def size(self) -> int:
        """How many numbers a lead holds."""
        return sum(int(np.prod(shape)) for _, _, shape in self.arrays)

    def pack(self, tally: Tally, lead: int) -> bytes:
        """The sums of one lead of a tally; raises SchemaError where it is laid out otherwise."""
        if Layout.of(tally) != self:
            raise SchemaError("sums of other thresholds or scales: they are not packed alike")
        parts = [getattr(getattr(tally, name), field)[lead] for name, field, _ in self.arrays]
        laid = np.concatenate([np.ravel(part) for part in parts])
        return zlib.compress(laid.astype("<f8").tobytes(), level=1)

    def unpack(self, packed: bytes) -> NDArray[np.float64]:
        """The numbers of one lead (size,); raises FormatError where the bytes are damaged."""
        try:
            numbers = np.frombuffer(zlib.decompress(packed), dtype="<f8")
        except (zlib.error, ValueError) as error:
            raise FormatError(f"damaged sums: {error}") from error
        if numbers.size != self.size:
            raise FormatError(f"damaged sums: {numbers.size} numbers, expected {self.size}")
        return numbers

    def tally(
        self,
        numbers: NDArray[np.float64],
        *,
        method: str,
        lead_minutes: Sequence[float],
        issued: Sequence[str],
    ) -> Tally:
        """The tally of the numbers (lead, size) of a method; a lead that is all 0 adds nothing."""
        from nowcast.verify.tally import PIECES, Tally  # noqa: PLC0415 - who stores needs neither

        pieces: dict[str, dict[str, NDArray[np.float64]]] = {}
        begin = 0
        for name, field, shape in self.arrays:
            end = begin + int(np.prod(shape))
            part = numbers[:, begin:end].reshape(len(lead_minutes), *shape)
            pieces.setdefault(name, {})[field] = part
            begin = end
        made: dict[str, Any] = {name: PIECES[name].of(fields) for name, fields in pieces.items()}
        return Tally(
            method=method,
            lead_minutes=tuple(lead_minutes),
            thresholds_mm_h=self.thresholds_mm_h,
            scales_cells=self.scales_cells,
            issued=tuple(issued),
            **made,
        )
