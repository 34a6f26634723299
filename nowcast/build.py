"""Names become things: the one place where settings, profiles and options turn into objects."""

from __future__ import annotations

import difflib
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from config import load
from nowcast.field.errors import UsageError, WeightsError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from config.feed import FeedProfile
    from config.recipe import ArchiveSource, Recipe
    from config.source import SourceProfile
    from nowcast.fetch.clocks import Clocks
    from nowcast.fetch.collect import Collector
    from nowcast.fetch.web import Web
    from nowcast.field.schema import Radar
    from nowcast.forecast.base import Nowcaster
    from nowcast.ingest.archive import Archive
    from nowcast.learn.episodes import Episode
    from nowcast.learn.training import Plan
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

    """

    weights: Path | None = None
    device: str = "cpu"
    members: int | None = None
    seed: int = 1
    probabilities: bool = True


def feed(name: str) -> FeedProfile:
    """The profile of a feed; raises UsageError with the nearest names."""
    try:
        return load.feed(name)
    except load.ConfigError as error:
        raise UsageError(str(error)) from error


def feeds() -> Mapping[str, FeedProfile]:
    """All feed profiles by name; raises UsageError on a wrong one of the user's."""
    try:
        return load.feeds()
    except load.ConfigError as error:
        raise UsageError(str(error)) from error


def source(name: str) -> SourceProfile:
    """The profile of a network source; raises UsageError with the nearest names."""
    from config import load_source

    try:
        return load_source.source(name)
    except load.ConfigError as error:
        raise UsageError(str(error)) from error


def sources() -> Mapping[str, SourceProfile]:
    """All source profiles by name; raises UsageError on a wrong one of the user's."""
    from config import load_source

    try:
        return load_source.sources()
    except load.ConfigError as error:
        raise UsageError(str(error)) from error


def web(profile: SourceProfile, *, clocks: Clocks | None = None) -> Web:
    """How the servers of a source are asked; raises UsageError for want of a library."""
    try:
        from nowcast.fetch import guard, patience, wire
        from nowcast.fetch.clocks import Clocks
        from nowcast.fetch.web import Web
    except ModuleNotFoundError as error:
        raise UsageError(
            f"fetching needs {error.name}: pip install 'mim-nowcast[fetch]'"
        ) from error
    clocks = clocks or Clocks()
    return Web(
        guard=guard.Guard(profile.hosts, profile.allow_http, profile.allow_private),
        wire=wire.HttpxWire(),
        pace=patience.Pace(profile.requests_per_minute, clocks=clocks),
        patience=patience.Patience(clocks=clocks),
        clocks=clocks,
    )


@contextmanager
def collecting(
    profile: SourceProfile, into: Path, *, asked: Web | None = None
) -> Iterator[Collector]:
    """What brings a source's files into a folder, which no other process may do meanwhile.

    ``asked`` stands for the network. Raises UsageError where the feed, a key or a library is not
    there, and BusyError.
    """
    asked = asked or web(profile)
    from datetime import timedelta

    from nowcast.fetch import collect, download, history, listings, naming
    from nowcast.fetch.room import Room

    room, reader = Room(into, profile.name), feed(profile.feed)
    listing = listings.listing_of(profile.listing, asked)
    said = {"pattern": profile.pattern, "time_format": profile.time_format}
    names = reader.model_copy(update=said) if profile.pattern else reader
    downloader = download.Downloader(
        web=asked,
        folder=room.parts,
        kind=reader.reader.format,
        max_bytes=round(profile.max_mebibytes * 2**20),
        seconds=profile.file_seconds,
    )
    fetched = history.History(room.history)
    with closing(asked.wire), room.held(), closing(fetched):
        yield collect.Collector(
            source=profile.name,
            naming=naming.Naming(remote=names, feed=reader, local=profile.local),
            listing=listing,
            downloader=downloader,
            history=fetched,
            folder=into,
            recheck=timedelta(minutes=profile.recheck_minutes),
            clocks=asked.clocks,
        )


def read_recipe(name: str) -> Recipe:
    """A training recipe; raises UsageError."""
    from config.recipe import recipe as read

    try:
        return read(name)
    except load.ConfigError as error:
        raise UsageError(str(error)) from error


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
    _check_device(options.device)
    if options.members is not None and options.members < 1:
        raise UsageError(f"--members {options.members}: expected 1 or more")
    known = _known_methods(options)
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f" Did you mean {near[0]}?" if near else ""
            raise UsageError(f"unknown method {name!r}.{hint} Known: {', '.join(known)}")
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


def _check_device(device: str) -> None:
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


def training_recipe(
    *, recipe: str | None, feed_name: str | None, archive_folder: Path | None, series: str | None
) -> Recipe:
    """The recipe of that name, or one made of a single archive; raises UsageError for neither."""
    if recipe is not None:
        return read_recipe(recipe)
    if feed_name is None or archive_folder is None:
        raise UsageError("nothing to learn from: give --feed and --archive, or --recipe")
    from config.recipe import ArchiveSource, Recipe

    profile = feed(feed_name)
    source = ArchiveSource(feed=feed_name, archive=str(archive_folder.absolute()), series=series)
    return Recipe(title=profile.title, licence_notes=profile.licence, sources=(source,))


def plan(recipe: Recipe, *, steps: int | None, seed: int | None, device: str) -> Plan:
    """How to train by the recipe, with another number of steps or seed where given."""
    from mim_core.settings import TrainSettings
    from nowcast.forecast.head import RainHead
    from nowcast.learn.crops import CropSettings
    from nowcast.learn.training import Plan

    training, network, head = recipe.training, recipe.network, RainHead()
    wanted = steps or training.steps
    settings = TrainSettings(
        steps=wanted,
        learning_rate=training.learning_rate,
        schedule="cosine",
        final_fraction=0.05,
        warm_up_steps=min(training.warm_up_steps, wanted // 4),
        gradient_clip=training.gradient_clip,
        ema_decay=training.ema_decay,
        precision=training.precision,
        seed=training.seed if seed is None else seed,
        checkpoint_every=50,
        validate_every=100,
        accelerator=device,
    )
    return Plan(
        head=head,
        architecture=head.config(
            hidden=network.hidden,
            layers=network.layers,
            kernel_size=network.kernel_size,
            patch=network.patch,
            layer_norm=network.layer_norm,
        ),
        crops=CropSettings(size=training.crop),
        settings=settings,
        batch_size=training.batch_size,
        leads=training.leads,
    )


def tuned_plan(begun: Plan, *, weights: str) -> Plan:
    """The plan with the architecture and head of ``weights``, which training begins with.

    ``shipped``, or the path of a checkpoint. A tenth of the learning rate: what the weights know is
    to be kept. Raises WeightsError.
    """
    from dataclasses import replace

    from mim_core import checkpoint
    from nowcast.forecast.head import RainHead
    from nowcast.forecast.shipped import shipped_weights

    path = shipped_weights() if weights == "shipped" else Path(weights)
    try:
        network, metadata = checkpoint.load(path)
    except checkpoint.CheckpointError as error:
        raise WeightsError(str(error)) from error
    head = metadata.get("head")
    if not isinstance(head, dict):
        raise WeightsError(f"{path}: no head in the header, expected weights for rain")
    slower = replace(begun.settings, learning_rate=begun.settings.learning_rate / 10)
    return replace(
        begun,
        head=RainHead.from_dict(head),
        architecture=network.config,
        settings=slower,
        begin_with=path,
    )


def episodes(sources: Sequence[ArchiveSource], *, plan: Plan, data: Path) -> list[Episode]:
    """The sequences of all sources that are long enough; raises SourceError."""
    from nowcast.field.schema import Frames
    from nowcast.learn.episodes import episodes_of

    found: list[Episode] = []
    for source in sources:
        from_archive = archive(source.feed, data / source.archive, series=source.series)
        times = from_archive.times
        frames = from_archive.frames_between(times[0], times[-1])
        found += episodes_of(
            Frames(frames.isel(time=slice(None, None, source.every))),
            name=f"{source.feed} {times[0].astype('datetime64[h]')}",
            cadence=from_archive.cadence * source.every,
            history=plan.head.history,
            leads=plan.leads,
        )
    return found


def trained(
    episodes: Sequence[Episode],
    *,
    plan: Plan,
    out: Path,
    validation: Sequence[Episode],
    recipe: Recipe,
    heard: Callable[[int, float], None],
) -> dict[str, object]:
    """Train and write the weights; the header that they carry. Raises UsageError, MethodError."""
    try:
        from mim_core.train import TrainingError
    except ModuleNotFoundError as error:
        raise UsageError(
            f"training needs {error.name}: pip install 'mim-nowcast[train]'"
        ) from error
    from nowcast.field.atomic import make_folder
    from nowcast.field.errors import MethodError
    from nowcast.learn.training import Watch, train

    make_folder(out.absolute().parent)
    about = {"title": recipe.title, "licence_notes": recipe.licence_notes}
    try:
        return train(
            episodes,
            plan=plan,
            out=out,
            validation=validation,
            about=about,
            watch=Watch(step=heard),
        )
    except (TrainingError, ValueError) as error:
        raise MethodError(f"training into {out}: {error}") from error


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
