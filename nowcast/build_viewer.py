"""What ``nowcast view`` and ``nowcast export-site`` work with, from what their user says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nowcast import build
from nowcast.field.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    import uvicorn

    from nowcast.ingest.archive import Archive
    from nowcast.web.gallery import Gallery
    from nowcast.web.skill import SkillSource

_SHORTEST_TOKEN = 16


def gallery(
    folder: Path | None,
    *,
    config: Path | None,
    past: tuple[str | None, Path | None, str | None],
    stations: Path | None = None,
) -> Gallery:
    """What is on show: the forecasts in a folder or of a service, and the frames beside them.

    ``past`` is feed, archive and series of the frames; of a service they are known. Raises
    UsageError, and SourceError for a wrong list of stations.
    """
    from nowcast.web.gallery import Gallery
    from nowcast.web.library import library_of
    from nowcast.web.observations import Observations
    from stations.registry import Registry

    if (folder is None) == (config is None):
        raise UsageError("give a folder of forecasts, or --config FILE, and not both")
    frames = build.source_of_past(*past[:2], series=past[2])
    if config is not None:
        folder = _service_folder(config)
    assert folder is not None
    library = library_of(folder)
    return Gallery(
        library,
        Observations(frames or _frames_of_service(folder)),
        skill=_skill(folder),
        stations=Registry(build.stations(stations) if stations is not None else ()),
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


def _skill(folder: Path) -> SkillSource:
    """The scores beside the forecasts: a service's, or a hindcast's, or none."""
    from nowcast.build_operators import store_of
    from nowcast.service.layout import Layout
    from nowcast.web.skill import HindcastSkill, ServiceSkill

    if Layout(folder).published.is_dir():
        return ServiceSkill(store_of(folder))
    return HindcastSkill(folder)


def _service_folder(config: Path) -> Path:
    from config.load import ConfigError
    from config.service import read_settings

    try:
        return read_settings(config).service.data
    except ConfigError as error:
        raise UsageError(str(error)) from error


def _frames_of_service(folder: Path) -> Archive | None:
    """The frames that a service has accepted; None in a folder of files, or before the first."""
    from nowcast.service.layout import Layout
    from nowcast.web.library import feed_of, library_of

    feed, frames = feed_of(library_of(folder)), Layout(folder).frames
    return build.archive(feed, frames) if feed and frames.is_dir() else None


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
