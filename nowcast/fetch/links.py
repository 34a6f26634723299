"""References that servers write, and what they point at."""

from __future__ import annotations

from urllib.parse import unquote, urljoin, urlsplit


def joined(base: str, reference: str) -> str:
    """The URL that a reference in ``base`` means; empty where it means none."""
    try:
        return urljoin(base, reference.strip())
    except ValueError:
        return ""


def file_name(url: str) -> str:
    """The last part of a URL's path, as people write it; empty for a folder or no URL."""
    try:
        return unquote(urlsplit(url).path.rpartition("/")[2])
    except ValueError:
        return ""
