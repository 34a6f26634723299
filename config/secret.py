"""A key or password: named in a profile, kept elsewhere, never shown."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from pydantic import BaseModel, ConfigDict, SecretStr, model_validator

# Group and others may not read, write or run it.
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


class SecretError(ValueError):
    """A secret that is not there, or that others may read: says where it was looked for."""


class Secret(BaseModel):
    """Where a secret is kept; a profile never holds the secret itself.

    Attributes:
        env: an environment variable, looked at first.
        file: a file that only its owner may read (mode 0600).

    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    env: str | None = None
    file: Path | None = None

    @model_validator(mode="after")
    def _is_somewhere(self) -> Secret:
        if self.env is None and self.file is None:
            raise ValueError("an environment variable (env), a file, or both")
        return self

    def read(self) -> SecretStr:
        """The secret without the white space around it; raises SecretError."""
        text = os.environ.get(self.env, "").strip() if self.env else ""
        if not text and self.file is not None:
            text = _content(self.file).strip()
        if not text:
            raise SecretError(f"no secret: {' and '.join(self._places())} hold none")
        # Anything else could end a header line, and a library's complaint would show it.
        if not (text.isascii() and text.isprintable()):
            raise SecretError(
                f"the secret in {' or '.join(self._places())} holds characters "
                "other than printable ASCII"
            )
        return SecretStr(text)

    def _places(self) -> list[str]:
        named = [f"the environment variable {self.env}"] if self.env else []
        return named + ([f"the file {self.file}"] if self.file else [])


def _content(path: Path) -> str:
    try:
        mode = path.stat().st_mode
        if mode & _OTHERS:
            raise SecretError(
                f"{path}: a secret that others may read (mode {stat.S_IMODE(mode):04o}), "
                f"expected 0600: chmod 600 {path}"
            )
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SecretError(f"{path}: cannot be read: {type(error).__name__}") from error
