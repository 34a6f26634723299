"""Maps and the slower products: they follow a forecast without delaying it."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

import numpy as np

from nowcast.field.errors import NowcastError, SourceError
from nowcast.service import published
from nowcast.service.hooks import Event
from nowcast.service.publish import remove

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from nowcast.products.base import Product
    from nowcast.service.aside import Call
    from nowcast.service.child import Limits
    from nowcast.service.hooks import Listener
    from nowcast.service.names import CycleId
    from nowcast.service.publish import Publisher

_NICENESS = 10


class SlowRecipe(Protocol):
    """What follows a forecast."""

    def followers(self) -> Sequence[Product]:
        """The products, quickest first."""
        ...


@dataclass
class SlowProducts:
    """The chore that draws maps: of the newest forecast that has none, back to some age.

    Attributes:
        publisher: puts them in their place.
        recipe: says what they are, in the child.
        call, limits: how the child is called.
        oldest: of older forecasts none are drawn any more.
        heard: is told of those that are out, and of those that fail.

    """

    publisher: Publisher
    recipe: SlowRecipe
    call: Call
    limits: Limits
    oldest: np.timedelta64
    heard: Listener
    name: str = "maps"

    def __post_init__(self) -> None:
        self._given_up: set[CycleId] = set()

    def work(self, now: np.datetime64) -> bool:
        """Draw what follows one forecast; whether there was one to draw for."""
        cycle = self._next(now)
        if cycle is None:
            return False
        staged = self.publisher.stage(cycle)
        try:
            forecast = published.open_cycle(self.publisher.layout, cycle)
            self.call(follow, forecast.netcdf, self.recipe, staged, limits=self.limits)
            describe = forecast.manifest
            self.publisher.add_maps(staged, cycle, lambda files: replace(describe, files=files))
        except NowcastError as error:
            self._given_up.add(cycle)
            self.heard(Event("maps failed", str(cycle), {"reason": str(error)}))
        else:
            self.heard(Event("maps published", str(cycle)))
        finally:
            remove(staged)
        return True

    def _next(self, now: np.datetime64) -> CycleId | None:
        """The newest forecast that nothing has followed yet, of those that are the last version."""
        layout = self.publisher.layout
        for cycle in reversed(published.newest_versions(layout)):
            if now - cycle.issue_time > self.oldest:
                return None
            if cycle not in self._given_up and not (layout.maps / str(cycle)).is_dir():
                return cycle
        return None


def follow(netcdf: Path, recipe: SlowRecipe, into: Path) -> None:
    """Write what follows a forecast that is read back from its file; in a child process."""
    from nowcast.products.reading import read_forecast  # noqa: PLC0415 - loads xarray

    os.nice(_NICENESS)
    forecast = read_forecast(netcdf)
    products = recipe.followers()
    if not products:
        raise SourceError(f"{netcdf}: nothing is to follow it")
    for product in products:
        product.write(forecast, into=into)
