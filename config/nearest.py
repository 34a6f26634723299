"""What somebody may have meant by a name that nobody knows."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection


def unknown(kind: str, name: str, *, known: Collection[str]) -> str:
    """Says that no ``kind`` has that name, which names come near, and all that there are."""
    near_names = near(name, known=known)
    hint = f" Did you mean {near_names}?" if near_names else ""
    return f"unknown {kind} {name!r}.{hint} Known: {', '.join(known)}"


def near(name: str, *, known: Collection[str]) -> str:
    """The nearest names, at most three, between "or"; empty where none comes near."""
    return " or ".join(difflib.get_close_matches(name.lower(), known, n=3, cutoff=0.5))
