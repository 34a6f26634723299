"""Source profiles from TOML: those that ship, and a user's own."""

from __future__ import annotations

import difflib
import os
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from config.load import ConfigError
from config.source import SourceProfile

if TYPE_CHECKING:
    from collections.abc import Iterable

USER_FOLDER = "NOWCAST_SOURCES"
_SHIPPED = Path(__file__).parent / "sources"


def sources() -> dict[str, SourceProfile]:
    """All profiles by name, sorted; the user's win over those that ship.

    Looked for in the package, then in the folder that the environment variable ``NOWCAST_SOURCES``
    names. Raises ConfigError on a wrong profile or a folder that is not there.
    """
    environment = os.environ.get(USER_FOLDER)
    found: dict[str, SourceProfile] = {}
    for place in (_SHIPPED, *((Path(environment),) if environment else ())):
        if not place.is_dir():
            raise ConfigError(f"{place}: no such folder of source profiles; see {USER_FOLDER}")
        for path in place.glob("*.toml"):
            found[path.stem] = read_source(path)
    return dict(sorted(found.items()))


def source(name: str) -> SourceProfile:
    """The profile of that name, or in that TOML file; raises ConfigError with the nearest names."""
    if name.endswith(".toml"):
        return read_source(Path(name))
    known = sources()
    if name in known:
        return known[name]
    near = difflib.get_close_matches(name.lower(), known, n=3, cutoff=0.5)
    hint = f" Did you mean {' or '.join(near)}?" if near else ""
    raise ConfigError(
        f"unknown source {name!r}.{hint} Known: {', '.join(known)}, or a path that ends in .toml"
    )


def read_source(path: Path) -> SourceProfile:
    """The profile in one TOML file, named like the file; raises ConfigError."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path}: not a readable TOML file: {error}") from error
    if content.setdefault("name", path.stem) != path.stem:
        expected = f"the file's, {path.stem!r}"
        raise ConfigError(f"{path}: name: found {content['name']!r}, expected {expected}")
    try:
        return SourceProfile.model_validate(content)
    except ValidationError as error:
        raise ConfigError("\n".join(_complaints(path, error))) from error


def _complaints(path: Path, error: ValidationError) -> Iterable[str]:
    """One line a wrong key; what was found is not shown, for a misplaced key may be a secret."""
    for item in error.errors(include_url=False, include_input=False):
        key = ".".join(str(part) for part in item["loc"]) or "profile"
        said = item["msg"].removeprefix("Value error, ")
        if item["type"] == "extra_forbidden":
            near = difflib.get_close_matches(str(item["loc"][-1]), SourceProfile.model_fields, n=1)
            said = "unknown key" + (f"; did you mean {near[0]}?" if near else "")
        elif item["type"] == "missing":
            said = "missing, expected a value"
        else:
            said = f"expected: {said[:1].lower()}{said[1:]}"
        yield f"{path}: {key}: {said}"
