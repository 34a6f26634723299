"""What ``nowcast view`` and ``nowcast export-site`` work with, from what their user says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from nowcast import build
from nowcast.field.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    import uvicorn

    from config.service import ServiceSettings
    from nowcast.ingest.archive import Archive
    from nowcast.ingest.gauges import Stamp
    from nowcast.web.gallery import Gallery
    from nowcast.web.gauges import GaugeReadings
    from nowcast.web.library import Library
    from nowcast.web.skill import SkillSource

_SHORTEST_TOKEN = 16


@dataclass(frozen=True)
class GaugeOptions:
    """Files of gauges, and folders of them.

    Attributes:
        paths: where they are; none for no gauges.
        interval_minutes, stamp: as ``nowcast.ingest.gauges.read_gauges`` takes them.
        within_km: of a place, the gauges of which are shown.

    """

    paths: tuple[Path, ...] = ()
    interval_minutes: float | None = None
    stamp: Stamp = "end"
    within_km: float = 10.0


@dataclass(frozen=True)
class Beside:
    """What a user says lies beside the forecasts.

    Attributes:
        feed, archive, series: of radar frames; those of a service are known.
        stations: a list of places.
        gauges: their readings; of a service its settings may name them.

    """

    feed: str | None = None
    archive: Path | None = None
    series: str | None = None
    stations: Path | None = None
    gauges: GaugeOptions = GaugeOptions()


def gallery(folder: Path | None, *, config: Path | None, beside: Beside | None = None) -> Gallery:
    """What is on show: the forecasts in a folder or of a service, and what lies beside them.

    A service may publish its first forecast later. Raises UsageError, and SourceError for a wrong
    list of stations or a file of gauges that is none.
    """
    from nowcast.web.gallery import Gallery
    from nowcast.web.observations import Observations
    from stations.registry import Registry

    if (folder is None) == (config is None):
        raise UsageError("give a folder of forecasts, or --config FILE, and not both")
    beside = beside or Beside()
    frames = build.source_of_past(beside.feed, beside.archive, series=beside.series)
    gauges = beside.gauges
    if config is not None:
        settings = _settings(config)
        library = _library_of(settings)
        frames = frames or _accepted(settings)
        gauges = gauges if gauges.paths else _gauges_of(settings)
    else:
        assert folder is not None
        library = _library_in(folder)
    return Gallery(
        library,
        Observations(frames, find=lambda: _frames_of(library)),
        skill=_skill(library),
        stations=Registry(build.stations(beside.stations) if beside.stations is not None else ()),
        gauges=_readings(gauges),
    )


def server(
    shown: Gallery, *, host: str, port: int, token_file: Path | None, known_as: tuple[str, ...]
) -> uvicorn.Server:
    """The server of the viewer, not started yet; raises UsageError."""
    try:
        from nowcast.web import serve
        from nowcast.web.app import Door
    except ModuleNotFoundError as error:
        raise UsageError(
            f"the viewer needs {error.name}: pip install 'mim-nowcast[web]'"
        ) from error
    token = _token(token_file) if token_file is not None else ""
    names = tuple(name.lower() for name in known_as)
    return serve.server(shown, host=host, port=port, door=Door(hosts=names, token=token))


def _settings(config: Path) -> ServiceSettings:
    from nowcast import build_service

    return build_service.settings(config)


def _library_of(settings: ServiceSettings) -> Library:
    from nowcast.service.layout import Layout
    from nowcast.web.library import PublishedLibrary

    return PublishedLibrary(Layout(settings.service.data))


def _library_in(folder: Path) -> Library:
    from nowcast.web.library import library_of

    return library_of(folder)


def _accepted(settings: ServiceSettings) -> Archive:
    """The frames that a service accepts, as they come."""
    from nowcast import build_service
    from nowcast.ingest.archive import Archive
    from nowcast.service.layout import Layout

    feed = build_service.feed_of(settings)
    stated = feed.profile.model_copy(update={"cadence_minutes": feed.cadence_minutes})
    return Archive(Layout(settings.service.data).frames, stated, series=feed.series or None)


def _frames_of(library: Library) -> Archive | None:
    """The frames that a service accepts, by the feed that its forecasts name; None of files."""
    from nowcast.web.library import PublishedLibrary, feed_of

    feed = feed_of(library)
    if not isinstance(library, PublishedLibrary) or feed is None:
        return None
    return build.archive(feed, library.layout.frames)


def _skill(library: Library) -> SkillSource:
    """The scores beside the forecasts: a service's, or a hindcast's, or none."""
    from nowcast.build_operators import store_of
    from nowcast.web.library import FolderLibrary, PublishedLibrary
    from nowcast.web.skill import HindcastSkill, NoSkill, ServiceSkill

    if isinstance(library, PublishedLibrary):
        return ServiceSkill(store_of(library.layout.root))
    return HindcastSkill(library.folder) if isinstance(library, FolderLibrary) else NoSkill()


def _gauges_of(settings: ServiceSettings) -> GaugeOptions:
    table = settings.gauges
    return GaugeOptions(table.files, table.interval_minutes, table.stamp, table.within_km)


def _readings(options: GaugeOptions) -> GaugeReadings:
    """The gauges; files are read once now, so that a wrong one is told before anybody looks."""
    from nowcast.ingest.gauge_files import GaugeFiles
    from nowcast.web.gauges import GaugeReadings

    files = GaugeFiles(options.paths, options.interval_minutes, options.stamp)
    if options.paths and not files.sets():
        named = ", ".join(str(path) for path in options.paths)
        raise UsageError(f"{named}: no file of gauges; docs/points.md says what is one")
    return GaugeReadings(files, within_km=options.within_km)


def _token(path: Path) -> str:
    try:
        token = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--token-file {path}: cannot be read ({error})") from error
    if len(token) < _SHORTEST_TOKEN or not token.isascii() or not token.isprintable():
        raise UsageError(
            f"--token-file {path}: a word of {len(token)} characters, expected at least "
            f"{_SHORTEST_TOKEN} letters and digits"
        )
    return token
