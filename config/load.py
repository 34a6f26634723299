"""Feed profiles from TOML: those that ship, and a user's own."""

from __future__ import annotations

import difflib
import os
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from config.feed import FeedProfile

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

USER_FOLDER = "NOWCAST_FEEDS"
_SHIPPED = Path(__file__).parent / "feeds"


class ConfigError(ValueError):
    """A profile that does not exist or does not hold: says which file, which key, what to do."""


def feeds(folder: Path | None = None) -> dict[str, FeedProfile]:
    """All profiles by name, sorted; the user's win over those that ship.

    Looked for in the package, then in the folder that the environment variable ``NOWCAST_FEEDS``
    names, then in ``folder``. Raises ConfigError on a wrong profile or a folder that is not there.
    """
    environment = os.environ.get(USER_FOLDER)
    folders = [_SHIPPED, *(Path(name) for name in (environment, folder) if name)]
    found: dict[str, FeedProfile] = {}
    for place in folders:
        if not place.is_dir():
            raise ConfigError(f"{place}: no such folder of feed profiles; see {USER_FOLDER}")
        for path in place.glob("*.toml"):
            found[path.stem] = read_profile(path)
    return dict(sorted(found.items()))


def feed(name: str, *, known: Mapping[str, FeedProfile] | None = None) -> FeedProfile:
    """The profile of that name; raises ConfigError with the nearest names and all known ones."""
    profiles = feeds() if known is None else known
    if name in profiles:
        return profiles[name]
    near = difflib.get_close_matches(name.lower(), profiles, n=3, cutoff=0.5)
    hint = f" Did you mean {' or '.join(near)}?" if near else ""
    raise ConfigError(f"unknown feed {name!r}.{hint} Known: {', '.join(profiles)}")


def read_profile(path: Path) -> FeedProfile:
    """The profile in one TOML file, named like the file; raises ConfigError."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path}: not a readable TOML file: {error}") from error
    if content.setdefault("name", path.stem) != path.stem:
        expected = f"the file's, {path.stem!r}"
        raise ConfigError(f"{path}: name: found {content['name']!r}, expected {expected}")
    try:
        return FeedProfile.model_validate(content)
    except ValidationError as error:
        raise ConfigError("\n".join(_complaints(path, error))) from error


def _complaints(path: Path, error: ValidationError) -> Iterable[str]:
    """One line a wrong key: the file, the key's path, what was found, what was expected."""
    for item in error.errors(include_url=False):
        key = ".".join(str(part) for part in item["loc"]) or "profile"
        if item["type"] == "extra_forbidden":
            near = difflib.get_close_matches(str(item["loc"][-1]), _keys(item["loc"]), n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            yield f"{path}: {key}: unknown key{hint}"
        elif item["type"] == "missing":
            yield f"{path}: {key}: missing, expected a value"
        elif key == "profile":
            yield f"{path}: {item['msg'].removeprefix('Value error, ')}"
        else:
            said = item["msg"].removeprefix("Value error, ")
            expected = said[:1].lower() + said[1:]
            yield f"{path}: {key}: found {item['input']!r}, expected: {expected}"


def _keys(location: tuple[int | str, ...]) -> list[str]:
    """The keys that the table of a wrong key may hold."""
    fields = FeedProfile.model_fields
    if len(location) == 1:
        return list(fields)
    annotation = fields[str(location[0])].annotation if location[0] in fields else None
    return list(getattr(annotation, "model_fields", {}))
