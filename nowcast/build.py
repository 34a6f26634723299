"""Names become things: the one place where settings, profiles and options turn into objects."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from config import nearest
from config.load import ConfigError
from nowcast.field.errors import UsageError, WeightsError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from config.feed import FeedProfile
    from nowcast.field.schema import Radar
    from nowcast.forecast.base import Nowcaster
    from nowcast.ingest.archive import Archive
    from nowcast.products.base import Product
    from nowcast.products.points import Points
    from nowcast.products.timelines import PointSettings
    from stations.station import Station

LATEST = "latest"
# The order in which methods stand in for each other where none was asked for by name.
LADDER = ("mim", "extrapolation", "persistence")


@dataclass(frozen=True)
class MethodOptions:
    """What a user may say about methods.

    Attributes:
        weights: a checkpoint of MIM; None takes the one that ships.
        device: where torch computes, ``cpu`` or ``cuda``.
        members: of an ensemble; None for the method's own number: 20 of STEPS, none of MIM.
        seed: of what is drawn at random.
        probabilities: whether MIM says probabilities of exceedance too.
        effects: whether MIM says what its difference memory adds to the rain.

    """

    weights: Path | None = None
    device: str = "cpu"
    members: int | None = None
    seed: int = 1
    probabilities: bool = True
    effects: bool = False


@contextmanager
def as_usage() -> Iterator[None]:
    """What is wrong with a profile or with settings is told as UsageError."""
    try:
        yield
    except ConfigError as error:
        raise UsageError(str(error)) from error


def feed(name: str) -> FeedProfile:
    """The profile of a feed; raises UsageError with the nearest names."""
    from config.feed import FEEDS

    with as_usage():
        return FEEDS.named(name)


def feeds() -> Mapping[str, FeedProfile]:
    """All feed profiles by name; raises UsageError on a wrong one of the user's."""
    from config.feed import FEEDS

    with as_usage():
        return FEEDS.all()


def archive(feed_name: str, folder: Path, *, series: str | None = None) -> Archive:
    """The archive of a feed in a folder."""
    from nowcast.ingest.archive import Archive

    return Archive(folder=folder, profile=feed(feed_name), series=series)


def source_of_past(
    feed_name: str | None, folder: Path | None, *, series: str | None
) -> Archive | None:
    """The archive beside a forecast, None where none is named; raises UsageError for half of it."""
    if (feed_name is None) != (folder is None):
        raise UsageError("--feed and --archive go together: give both, or neither")
    return archive(feed_name, folder, series=series) if feed_name and folder else None


def nowcaster(name: str | None, options: MethodOptions) -> Nowcaster:
    """The method of that name, strictly; without a name MIM, with others to stand in for it.

    Raises UsageError for an unknown name, WeightsError for weights that cannot be used.
    """
    if name is not None:
        return methods([name], options)[name]
    from nowcast.forecast.base import FirstOf

    return FirstOf(tuple(methods(LADDER, options).values()))


def methods(names: Sequence[str], options: MethodOptions) -> dict[str, Nowcaster]:
    """Methods by name, in the order given; raises UsageError and WeightsError."""
    check_device(options.device)
    if options.members is not None and options.members < 1:
        raise UsageError(f"--members {options.members}: expected 1 or more")
    known = _known_methods(options)
    for name in names:
        if name not in known:
            raise UsageError(nearest.unknown("method", name, known=known))
    return {name: known[name]() for name in names}


def _known_methods(options: MethodOptions) -> dict[str, Callable[[], Nowcaster]]:
    from nowcast.forecast.classical import Anvil, Sprog, Steps
    from nowcast.forecast.extrapolation import Extrapolation
    from nowcast.forecast.mim import Mim
    from nowcast.forecast.persistence import Persistence
    from nowcast.forecast.shipped import shipped_weights

    def mim() -> Nowcaster:
        weights = (options.weights or shipped_weights()).absolute()
        if not weights.is_file():
            raise WeightsError(f"{weights}: no such file, expected weights of MIM (.safetensors)")
        made = Mim(
            weights=weights,
            device=options.device,
            probabilities=options.probabilities,
            effects=options.effects,
            members=options.members or 0,
            seed=options.seed,
        )
        _ = made.history  # reads the file now: wrong weights are no reason to fall back silently
        return made

    return {
        "mim": mim,
        "extrapolation": Extrapolation,
        "persistence": Persistence,
        "sprog": Sprog,
        "anvil": Anvil,
        "steps": lambda: Steps(members=options.members or 20, seed=options.seed),
    }


def check_device(device: str) -> None:
    """Raise UsageError for a device that torch does not know, or cannot use here."""
    if device == "cpu":
        return  # there is one: no need to load torch for methods that do without
    import torch

    try:
        kind = torch.device(device).type
    except RuntimeError as error:
        raise UsageError(f"--device {device}: not a device of torch; try cpu or cuda") from error
    if kind == "cuda" and not torch.cuda.is_available():
        raise UsageError(f"--device {device}: no NVIDIA GPU can be used here; try --device cpu")


def time(text: str) -> np.datetime64:
    """A UTC time such as 2015-05-15T17:20Z; raises UsageError."""
    try:
        found = datetime.fromisoformat(text.strip().removesuffix("Z"))
    except ValueError as error:
        raise UsageError(
            f"{text.strip()!r} is no UTC time, expected one like 2015-05-15T17:20Z"
        ) from error
    if found.tzinfo is not None:
        found = found.astimezone(UTC).replace(tzinfo=None)
    return np.datetime64(found, "ns")


def issue_time(text: str, source: Archive) -> np.datetime64:
    """The issue time that ``latest`` or a UTC time stands for.

    Raises FutureTimeError where a frame claims to be of the future, so that ``latest`` is in doubt.
    """
    if text != LATEST:
        return time(text)
    from nowcast.field.errors import FutureTimeError
    from nowcast.ingest.catalogue import AHEAD, clock

    for left in source.catalogue.ignored:
        if left.reason == AHEAD:
            now = clock().astype("datetime64[m]")
            raise FutureTimeError(
                f"{source.folder}: {left} (now {now}Z): which frame is the latest is in doubt; "
                "remove or rename the file, or give --at TIME"
            )
    return source.latest


def issue_times(path: Path) -> list[np.datetime64]:
    """The UTC times in a file, one a line; blank lines and ``#`` comments do not count.

    Raises UsageError naming the file and the line.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: cannot be read ({error}), expected a UTC time a line") from error
    found = []
    for number, line in enumerate(lines, start=1):
        text = line.partition("#")[0].strip()
        if text:
            try:
                found.append(time(text))
            except UsageError as error:
                raise UsageError(f"{path}, line {number}: {error}") from error
    if not found:
        raise UsageError(f"{path}: holds no time, expected one like 2015-05-15T17:20Z a line")
    return sorted(set(found))


def products(*, maps: bool, cog: bool = False, zarr: bool = False) -> tuple[Product, ...]:
    """What is written of a forecast: NetCDF first, for it is what others wait for."""
    from nowcast.products.netcdf import NetCdf

    chosen: list[Product] = [NetCdf()]
    if cog:
        from nowcast.products.cog import Cog

        chosen.append(Cog())
    if zarr:
        from nowcast.products.zarr_store import ZarrStore

        chosen.append(ZarrStore())
    if maps:
        from nowcast.products.render import RenderMaps

        chosen.append(RenderMaps())
    return tuple(chosen)


def stations(path: Path | None, places: Sequence[str] = ()) -> tuple[Station, ...]:
    """The stations of a list, and places as LON,LAT; raises SourceError and UsageError."""
    from nowcast.field.errors import SourceError
    from stations.errors import StationsError
    from stations.read import read
    from stations.station import Station

    try:
        found = list(read(path)) if path is not None else []
    except StationsError as error:
        raise SourceError(str(error)) from error
    for text in places:
        try:
            lon, lat = (float(part) for part in text.split(","))
            found.append(Station(id=text.replace(" ", ""), lon=lon, lat=lat))
        except (StationsError, ValueError) as error:
            raise UsageError(
                f"--place {text}: expected LON,LAT in degrees, as 5.18,52.10 ({error})"
            ) from error
    if not found:
        raise UsageError("no place to forecast for: give --stations FILE or --place LON,LAT")
    return tuple(found)


def points(
    stations: Sequence[Station],
    *,
    source: Archive | None,
    settings: PointSettings | None = None,
    inside_only: bool = False,
) -> tuple[Points, ...]:
    """Timelines of places in every form; with a source they begin with the newest frame."""
    from nowcast.products.points import FORMS, Points
    from nowcast.products.timelines import PointSettings

    def newest(issued: np.datetime64) -> Radar:
        assert source is not None
        return source.read(end=issued, frames=1)

    return tuple(
        Points(
            tuple(stations),
            form=form,
            settings=settings or PointSettings(),
            newest=None if source is None else newest,
            inside_only=inside_only,
        )
        for form in FORMS
    )
