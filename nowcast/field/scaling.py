"""Rain rates as a network sees them, and back."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from nowcast.field.errors import WeightsError

if TYPE_CHECKING:
    from collections.abc import Mapping

Values = TypeVar("Values")  # a numpy array or a torch tensor


@dataclass(frozen=True)
class RainScaling:
    """x = log10(1 + R / reference): dry is 0, the reference 0.3, ten references 1.04, and no jump.

    ``maximum_mm_h`` caps the rate both ways: hail and clutter say nothing more above it.
    """

    reference_mm_h: float = 0.1
    maximum_mm_h: float = 150.0

    def __post_init__(self) -> None:
        if not 0 < self.reference_mm_h < self.maximum_mm_h:
            raise WeightsError(
                f"scaling: reference {self.reference_mm_h} and maximum {self.maximum_mm_h} mm h-1, "
                "expected 0 < reference < maximum"
            )

    @property
    def top(self) -> float:
        """The scaled value of the maximum."""
        return float(np.log10(1.0 + self.maximum_mm_h / self.reference_mm_h))

    def scaled(self, rate_mm_h: Values) -> Values:
        """Scaled values of rain rates (mm h-1), an array or a tensor; NaN stays NaN."""
        rates: Any = rate_mm_h
        ratio: Any = 1.0 + rates.clip(0.0, self.maximum_mm_h) / self.reference_mm_h
        # Both kinds know their own logarithm: the field's rooms import no torch.
        logarithm: Any = np.log10(ratio) if isinstance(ratio, np.ndarray) else ratio.log10()
        scaled: Values = logarithm
        return scaled

    def rate_mm_h(self, scaled: Values) -> Values:
        """Rain rates (mm h-1) of scaled values, an array or a tensor; below 0 is dry."""
        values: Any = scaled
        bounded: Values = (10.0 ** values.clip(0.0, self.top) - 1.0) * self.reference_mm_h
        return bounded

    def to_dict(self) -> dict[str, float]:
        """The settings as a checkpoint's header keeps them."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> RainScaling:
        """The scaling of ``to_dict``; raises WeightsError for anything else."""
        try:
            return cls(**{name: float(value) for name, value in values.items()})
        except (TypeError, ValueError) as error:
            raise WeightsError(f"scaling {dict(values)} in the header: {error}") from error
