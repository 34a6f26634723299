"""The page's own files, and Leaflet's, found once: no address ever becomes a path."""

from __future__ import annotations

import mimetypes
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from nowcast.field.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

_STATIC = Path(__file__).with_name("static")
# Of Leaflet only what the page loads; the picture of its licence stands at the top of the script.
_LEAFLET = {"leaflet/leaflet.js": "leaflet.js", "leaflet/leaflet.css": "leaflet.css"}
# mimetypes asks the system, which may say text/plain of scripts; browsers then refuse them.
_KINDS = {
    ".js": "text/javascript",
    ".css": "text/css",
    ".html": "text/html",
    ".svg": "image/svg+xml",
}


@dataclass(frozen=True)
class Asset:
    """A file of the page: its bytes and its media type."""

    body: bytes
    kind: str


@lru_cache(maxsize=1)
def assets() -> Mapping[str, Asset]:
    """The files of the page by their address; raises UsageError where Leaflet is missing."""
    try:
        leaflet = Path(import_module("xstatic.pkg.leaflet").BASE_DIR)
    except ModuleNotFoundError as error:
        raise UsageError(
            f"the viewer needs {error.name}: pip install 'mim-nowcast[web]'"
        ) from error
    paths = {path.name: path for path in sorted(_STATIC.iterdir()) if path.is_file()}
    paths |= {name: leaflet / file for name, file in _LEAFLET.items()}
    return {name: Asset(path.read_bytes(), _kind(path)) for name, path in paths.items()}


def _kind(path: Path) -> str:
    found = _KINDS.get(path.suffix) or mimetypes.guess_type(path.name)[0]
    return f"{found}; charset=utf-8" if found and found.startswith("text/") else found or ""
