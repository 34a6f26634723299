"""Digests of files: what was promised, by listings and in headers, and what came."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

# Repr-Digest (RFC 9530) and Digest (RFC 3230) are of the whole file, also on a part of it.
_ITEM = re.compile(r"(sha-256|md5)=:?([A-Za-z0-9+/]+={0,2}):?", re.IGNORECASE)
_NAMES = {"sha-256": "sha256", "md5": "md5"}


def promised(headers: Mapping[str, str]) -> Iterator[str]:
    """The digests of the whole file that an answer states, as ``algorithm:hexadecimal``."""
    for name in ("repr-digest", "digest"):
        for algorithm, text in _ITEM.findall(headers.get(name, "")):
            yield from _plain(_NAMES[algorithm.lower()], text)
    yield from _plain("sha256", headers.get("x-amz-checksum-sha256", ""))
    if "content-range" not in headers:
        yield from _plain("md5", headers.get("content-md5", ""))


def _plain(algorithm: str, text: str) -> Iterator[str]:
    try:
        found = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return
    # A checksum of checksums of parts ("...-3") or anything else of another length is none.
    if len(found) == hashlib.new(algorithm, usedforsecurity=False).digest_size:
        yield f"{algorithm}:{found.hex()}"


def digest(path: Path, algorithm: str) -> str:
    """The digest of a file, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(
            file, lambda: hashlib.new(algorithm, usedforsecurity=False)
        ).hexdigest()
