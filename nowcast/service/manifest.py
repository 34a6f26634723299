"""What a published folder says of itself: what it is, what it rests on, and every file's digest."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, NamedTuple

from nowcast.field.errors import FormatError, SourceError
from nowcast.service.layout import MANIFEST

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


class FileSum(NamedTuple):
    """A file's size and digest."""

    bytes: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """``MANIFEST.json``.

    Attributes:
        cycle, version: which forecast.
        issued, created: issue time, and when the folder was made (UTC, ISO 8601).
        domain, feed: of what.
        source: the method that answered, in words.
        rung: the step of the ladder: ``mim``, ``mim-infilled``, ``extrapolation``, ...
        degraded_reason: why it is not better than it is; empty where nothing is amiss.
        input_sha256, model_sha256, config_sha256: what it rests on.
        inputs: the frames used: valid time -> digest of the file.
        files: path within the folder -> size and digest.

    """

    cycle: str
    version: int
    issued: str
    created: str
    domain: str
    feed: str
    source: str
    rung: str
    degraded_reason: str
    input_sha256: str
    model_sha256: str
    config_sha256: str
    inputs: Mapping[str, str]
    files: Mapping[str, FileSum]

    def to_json(self) -> str:
        """The text of the file."""
        told = asdict(self)
        told["files"] = {name: found._asdict() for name, found in sorted(self.files.items())}
        return json.dumps(told, indent=1) + "\n"


def read_manifest(folder: Path) -> Manifest:
    """The manifest in a published folder.

    Raises FormatError where it is missing or broken, SourceError where it cannot be read now.
    """
    path = folder / MANIFEST
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        told["files"] = {
            str(name): FileSum(int(found["bytes"]), str(found["sha256"]))
            for name, found in told["files"].items()
        }
        return Manifest(**{item.name: told[item.name] for item in fields(Manifest)})
    except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise FormatError(f"{path}: no whole manifest: {error!r}") from error
    except OSError as error:
        raise SourceError(f"{path}: cannot be read now: {error}: see the disk") from error


def sums(folder: Path) -> dict[str, FileSum]:
    """Size and digest of every file in a folder at any depth but the manifest."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and name != MANIFEST:
            found[name] = file_sum(path)
    return found


def file_sum(path: Path) -> FileSum:
    """Size and SHA-256 of a file."""
    with path.open("rb") as file:
        return FileSum(path.stat().st_size, hashlib.file_digest(file, "sha256").hexdigest())


def problems(folder: Path, manifest: Manifest) -> list[str]:
    """What is not in the folder as its manifest says; empty where all is well."""
    there = sums(folder)
    lines = [f"{name}: missing" for name in sorted(set(manifest.files) - set(there))]
    lines += [f"{name}: not in the manifest" for name in sorted(set(there) - set(manifest.files))]
    for name in sorted(set(there) & set(manifest.files)):
        if there[name] != manifest.files[name]:
            lines.append(f"{name}: {_told(there[name])}, expected {_told(manifest.files[name])}")
    return lines


def _told(found: FileSum) -> str:
    return f"{found.bytes} bytes of sha256 {found.sha256[:12]}"
