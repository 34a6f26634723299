"""One issued forecast: source, nowcaster, products."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import numpy as np

    from nowcast.field.schema import Forecast, Radar
    from nowcast.forecast.base import Nowcaster
    from nowcast.ingest.base import Source
    from nowcast.products.base import Product

# Frames that are read for a forecast: what the motion is made from, and more than any method needs.
HISTORY = 4


class Issued(NamedTuple):
    """What a cycle gives: the frames it rests on, the forecast, and the files written."""

    past: Radar
    forecast: Forecast
    written: tuple[Path, ...]


@dataclass(frozen=True)
class Cycle:
    """How a forecast comes about.

    Attributes:
        source: gives the frames up to a time.
        nowcaster: makes the forecast of them.
        products: written of every forecast, in this order.
        attributes: joined to the forecast's own, such as ``config_sha256``.

    """

    source: Source
    nowcaster: Nowcaster
    products: Sequence[Product] = ()
    attributes: Mapping[str, str] = field(default_factory=dict)

    def run(self, *, issued: np.datetime64, steps: int, into: Path) -> Issued:
        """Forecast ``steps`` leads from the frames up to ``issued`` and write the products.

        Raises SourceError (frames), MethodError (no method answers) and ProductError (disk).
        """
        from nowcast.field.schema import Forecast  # noqa: PLC0415 - keeps the import of cli light

        past = self.source.read(end=issued, frames=max(HISTORY, self.nowcaster.history))
        forecast = self.nowcaster(past, steps=steps)
        forecast = Forecast(forecast.assign_attrs(self.attributes))
        written = tuple(product.write(forecast, into=into) for product in self.products)
        return Issued(past, forecast, written)
