"""Profiles and settings from TOML files: found by name, checked, and what a wrong one is told."""

from __future__ import annotations

import os
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar

from pydantic import BaseModel, ValidationError

from config import nearest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic_core import ErrorDetails

Model = TypeVar("Model", bound=BaseModel)


class ConfigError(ValueError):
    """A profile that does not exist or does not hold: says which file, which key, what to do."""


@dataclass(frozen=True)
class Profiles(Generic[Model]):
    """All profiles of one kind, a TOML file each, whose name is the profile's.

    Attributes:
        kind: what one is called, such as ``feed``.
        model: what one holds.
        shipped: the folder of those that ship.
        users_folder: the environment variable that names a folder of a user's own, which win over
            those that ship; None where there are none.
        by_path: whether the path of a file does for a name.
        shows_found: whether one who gets a key wrong is shown what was found; not where a value
            in the wrong place may be a secret.

    """

    kind: str
    model: type[Model]
    shipped: Path
    users_folder: str | None = None
    by_path: bool = False
    shows_found: bool = True

    def all(self) -> dict[str, Model]:
        """Every profile by name, sorted; raises ConfigError on a wrong one or a missing folder."""
        return {name: self.read(path) for name, path in self._files().items()}

    def named(self, name: str) -> Model:
        """The profile of that name; raises ConfigError with the nearest names and all known ones.

        Other profiles are not read: what is wrong with them does no harm.
        """
        if self.by_path and name.endswith(".toml"):
            return self.read(Path(name))
        files = self._files()
        if name not in files:
            path_too = ", or a path that ends in .toml" if self.by_path else ""
            raise ConfigError(nearest.unknown(self.kind, name, known=files) + path_too)
        return self.read(files[name])

    def read(self, path: Path) -> Model:
        """The profile in one file; raises ConfigError with a line for every wrong key."""
        return read(path, self.model, shows_found=self.shows_found)

    def _files(self) -> Mapping[str, Path]:
        users = os.environ.get(self.users_folder) if self.users_folder else None
        found: dict[str, Path] = {}
        for folder in (self.shipped, *([Path(users)] if users else [])):
            if not folder.is_dir():
                raise ConfigError(
                    f"{folder}: no such folder of {self.kind} profiles; see {self.users_folder}"
                )
            found |= {path.stem: path for path in folder.glob("*.toml")}
        return dict(sorted(found.items()))


def read(path: Path, model: type[Model], *, shows_found: bool) -> Model:
    """What a TOML file holds; a model with a name takes that of the file, and no other.

    Raises ConfigError with a line for every wrong key.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path}: not a readable TOML file: {error}") from error
    if "name" in model.model_fields and content.setdefault("name", path.stem) != path.stem:
        expected = f"the file's, {path.stem!r}"
        raise ConfigError(f"{path}: name: found {content['name']!r}, expected {expected}")
    try:
        return model.model_validate(content)
    except ValidationError as error:
        wrong = error.errors(include_url=False, include_input=shows_found)
        raise ConfigError("\n".join(f"{path}: {_said(one, model)}" for one in wrong)) from error


def _said(wrong: ErrorDetails, model: type[BaseModel]) -> str:
    """The key's path, what was found there where that may be shown, and what was expected."""
    key = ".".join(str(part) for part in wrong["loc"])
    if wrong["type"] == "extra_forbidden":
        return f"{key}: unknown key{_hint(wrong['loc'], model)}"
    if wrong["type"] == "missing":
        return f"{key}: missing, expected a value"
    if not key:  # a rule of the whole file
        return wrong["msg"].removeprefix("Value error, ")
    shown = "input" in wrong and not isinstance(wrong["input"], dict)
    found = f"found {wrong['input']!r}, " if shown else ""
    return f"{key}: {found}{_expected(wrong['msg'])}"


def _expected(message: str) -> str:
    """What pydantic or a validator of ours says, as the rest of a sentence."""
    for beginning in ("Value error, ", "Input should be "):
        if message.startswith(beginning):
            return f"expected: {message.removeprefix(beginning)}"
    return f"{message[:1].lower()}{message[1:]}"


def _hint(location: tuple[int | str, ...], model: type[BaseModel]) -> str:
    """The keys that the table of a wrong key may hold, the nearest alone where one comes near."""
    table: object = model
    for part in location[:-1]:
        fields = getattr(table, "model_fields", {})
        table = fields[part].annotation if part in fields else None
    known = list(getattr(table, "model_fields", {}))
    near = nearest.near(str(location[-1]), known=known)
    if near:
        return f"; did you mean {near}?"
    return f", expected one of {', '.join(known)}" if known else ""
