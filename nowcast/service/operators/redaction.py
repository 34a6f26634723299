"""What may be shown of a text: no password, no key, no query of an address."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

HIDDEN = "***"
# Names of what is secret, wherever they stand in a longer one: api_key, X-Amz-Signature.
_SECRET_NAME = re.compile(
    r"(secret|passw|token|api.?key|access.?key|signature|credential|authorization|cookie)",
    re.IGNORECASE,
)
_USER_INFO = re.compile(r"(?<=://)[^/\s@'\"]+@")
_QUERY = re.compile(r"(\b[a-z][a-z0-9+.-]*://[^\s?'\"<>]*)\?[^\s'\"<>]*", re.IGNORECASE)
_SCHEME = re.compile(r"\b(bearer|basic)\s+[a-z0-9._~+/=-]{8,}", re.IGNORECASE)
_PAIR = re.compile(
    r"(?P<name>[\w.-]*(?:secret|passw|token|api.?key|access.?key|signature|credential|authorization)"
    r"[\w.-]*['\"]?\s*[=:]\s*)(?P<value>['\"][^'\"]*['\"]|[^\s,;&]+)",
    re.IGNORECASE,
)


def redacted(text: str) -> str:
    """The text without queries and user names in addresses, and without what is called secret."""
    text = _USER_INFO.sub(f"{HIDDEN}@", text)
    text = _QUERY.sub(rf"\1?{HIDDEN}", text)
    text = _SCHEME.sub(rf"\1 {HIDDEN}", text)
    return _PAIR.sub(rf"\g<name>{HIDDEN}", text)


def redacted_value(value: Any, *, name: str = "") -> Any:
    """A value for a log line: texts redacted at any depth, and all of what is named a secret."""
    if name and _SECRET_NAME.search(name):
        return HIDDEN
    if isinstance(value, Mapping):
        return {str(key): redacted_value(item, name=str(key)) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [redacted_value(item) for item in value]
    return value if isinstance(value, bool | int | float) or value is None else redacted(str(value))
