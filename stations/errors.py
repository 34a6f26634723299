"""What can be wrong with a list of stations."""

from __future__ import annotations


class StationsError(ValueError):
    """A station or a list of them that cannot be used: says what, where and what was expected."""
