"""One rung of the ladder, in a child process: frames, method, gate, files in the staged folder."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Protocol

from nowcast.cycle import HISTORY
from nowcast.service.accepted import archive_of
from nowcast.service.clock import iso

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from nowcast.field.schema import Forecast, Radar
    from nowcast.forecast.base import Nowcaster
    from nowcast.products.base import Product
    from nowcast.service.accepted import Feed, Input
    from nowcast.service.names import CycleId


class Recipe(Protocol):
    """Names become things in the child: what is sent there is small and loads nothing."""

    def nowcaster(self, method: str) -> Nowcaster:
        """The method of that name."""
        ...

    def products(self, past: Radar) -> Sequence[Product]:
        """What is written before the forecast of these frames is out."""
        ...

    def check(self, forecast: Forecast, past: Radar) -> None:
        """Raise MethodError for a forecast that must not be published."""
        ...


@dataclass(frozen=True)
class Order:
    """A forecast to be made.

    Attributes:
        cycle: which.
        inputs: the accepted frames that it may rest on.
        feed: what they are of.
        leads: time steps ahead.
        attributes: joined to the forecast's own.

    """

    cycle: CycleId
    inputs: tuple[Input, ...]
    feed: Feed
    leads: int
    attributes: Mapping[str, str] = field(default_factory=dict)


class Made(NamedTuple):
    """What a rung gives.

    Attributes:
        rung: its name; ``mim-infilled`` where a frame was made of its neighbours.
        source: the method in words.
        degraded_reason: why it is not better than it is; empty where nothing is amiss.
        input_sha256, model_sha256: what it rests on.
        inputs: the frames: valid time -> digest of the file.

    """

    rung: str
    source: str
    degraded_reason: str
    input_sha256: str
    model_sha256: str
    inputs: dict[str, str]


def forecast(
    order: Order, method: str, *, recipe: Recipe, reasons: Sequence[str], into: Path
) -> tuple[Forecast, Made]:
    """The forecast of one method, its files written into a folder that exists.

    ``reasons`` say why no better method answered. Raises SourceError (frames), MethodError (the
    method cannot answer, or its answer must not be published) and ProductError (disk).
    """
    from nowcast.field.schema import Forecast as Checked  # noqa: PLC0415 - loads xarray

    issued = order.cycle.issue_time
    archive = archive_of(order.inputs, order.feed, folder=into, now=issued)
    nowcaster = recipe.nowcaster(method)
    past = archive.read(end=issued, frames=max(HISTORY, nowcaster.history))
    made = nowcaster(past, steps=order.leads)
    recipe.check(made, past)
    told = [*filter(None, [made.attrs.get("degraded_reason", "")]), *reasons]
    extra = {"degraded_reason": "; ".join(told)} if told else {}
    rung = f"{method}-infilled" if method == "mim" and past["infilled"].values.any() else method
    whole = Checked(made.assign_attrs({**order.attributes, **extra, "rung": rung}))
    for product in recipe.products(past):
        product.write(whole, into=into)
    attrs = whole.attrs
    return whole, Made(
        rung=rung,
        source=str(attrs["source"]),
        degraded_reason=str(attrs.get("degraded_reason", "")),
        input_sha256=str(attrs.get("input_sha256", "")),
        model_sha256=str(attrs.get("model_sha256", "")),
        inputs=_used(past, order),
    )


def make(order: Order, method: str, recipe: Recipe, reasons: Sequence[str], into: Path) -> Made:
    """``forecast`` for a caller in another process, which wants to know but not to hold it."""
    return forecast(order, method, recipe=recipe, reasons=reasons, into=into)[1]


def _used(past: Radar, order: Order) -> dict[str, str]:
    """The frames behind a sequence: valid time -> digest; of one that was filled its neighbours."""
    slack, step = order.feed.cadence // 3, order.feed.cadence
    wanted = []
    for time, infilled in zip(past["time"].values, past["infilled"].values, strict=True):
        wanted += [time - step, time + step] if infilled else [time]
    return {
        iso(one.valid_time): one.sha256
        for one in order.inputs
        if any(abs(one.valid_time - time) <= slack for time in wanted)
    }
