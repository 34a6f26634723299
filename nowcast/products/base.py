"""What a product is: something that a forecast is written as."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pathlib import Path

    from nowcast.field.schema import Forecast


class Product(Protocol):
    """One kind of file made of a forecast."""

    def write(self, forecast: Forecast, *, into: Path) -> Path:
        """Write the product into the folder ``into`` and return its path; raises ProductError.

        A reader never sees half a file: it is written beside and renamed.
        """
        ...
