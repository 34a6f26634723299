"""JSON that servers send, looked at before it is believed."""

from __future__ import annotations

import json
from typing import Any

from nowcast.fetch.guard import shown
from nowcast.field.errors import AnswerError


def json_object(body: bytes, url: str) -> dict[str, Any]:
    """The object that a body holds; raises AnswerError for anything else."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise AnswerError(f"{shown(url)}: not JSON: {body[:40]!r}") from error
    if not isinstance(found, dict):
        raise AnswerError(f"{shown(url)}: JSON without an object: {body[:40]!r}")
    return found


def text(value: object) -> str:
    """The value where it is a text, without what cannot be written down; empty otherwise."""
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else ""


def objects(value: object) -> list[dict[str, Any]]:
    """The objects in a list; empty where it is none."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def size(value: object) -> int | None:
    """A number of bytes; None where it is none."""
    return value if type(value) is int and value >= 0 else None
