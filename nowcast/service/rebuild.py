"""A published forecast made once more from its inputs, and held against what was published."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, NamedTuple

from nowcast.field.errors import MissingFramesError
from nowcast.service.accepted import Input
from nowcast.service.clock import from_iso
from nowcast.service.forecasting import Order, forecast
from nowcast.service.manifest import file_sum

if TYPE_CHECKING:
    from pathlib import Path

    from nowcast.field.schema import Forecast
    from nowcast.service.accepted import Feed
    from nowcast.service.forecasting import Recipe
    from nowcast.service.layout import Layout
    from nowcast.service.published import Published


class Rebuilt(NamedTuple):
    """The digests of every variable, as published and as made once more."""

    published: dict[str, str]
    again: dict[str, str]

    @property
    def differing(self) -> list[str]:
        """The variables that are not the same, or not in both."""
        names = sorted({*self.published, *self.again})
        return [name for name in names if self.published.get(name) != self.again.get(name)]


def rebuild(one: Published, layout: Layout, *, feed: Feed, recipe: Recipe, into: Path) -> Rebuilt:
    """Make a published forecast once more, its files written into a folder that exists.

    Raises MissingFramesError where a frame that it rests on is gone or is not what it was, and
    what forecasting raises.
    """
    from nowcast.products.reading import read_forecast  # noqa: PLC0415 - loads xarray

    before = read_forecast(one.netcdf)
    order = Order(
        cycle=one.id,
        inputs=tuple(_input(layout, time, sha256) for time, sha256 in one.manifest.inputs.items()),
        feed=feed,
        leads=before.sizes["lead_time"],
    )
    method = one.manifest.rung.removesuffix("-infilled")
    forecast(order, method, recipe=recipe, reasons=(), into=into)
    # Both are read back from a file: what is packed loses digits alike.
    again = read_forecast(into / one.netcdf.name)
    return Rebuilt(_digests(before), _digests(again))


def _input(layout: Layout, time: str, sha256: str) -> Input:
    """The frame that was used, found among those that are kept and held against its digest."""
    for path in layout.frames.glob(f"*.{sha256[:12]}/*"):
        if path.is_dir() or file_sum(path).sha256 == sha256:
            return Input(from_iso(time), sha256, path)
    raise MissingFramesError(
        f"{layout.frames}: the frame of {time} (sha256 {sha256[:12]}) is not kept any more, "
        "or is not what it was: see retention.published_hours"
    )


def _digests(forecast: Forecast) -> dict[str, str]:
    return {
        str(name): hashlib.sha256(variable.values.tobytes()).hexdigest()
        for name, variable in forecast.data_vars.items()
    }
