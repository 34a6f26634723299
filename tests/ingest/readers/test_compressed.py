"""Compressed files: the same bytes, and no more than asked for."""

from __future__ import annotations

import bz2
import gzip
from pathlib import Path

import pytest

from nowcast.field.errors import FormatError, UnsafeFileError
from nowcast.ingest.readers.compressed import contents, head

DATA = bytes(range(256)) * 40


@pytest.mark.parametrize("pack", [bytes, gzip.compress, bz2.compress])
def test_plain_gzip_and_bzip2_hold_the_same(tmp_path: Path, pack: object) -> None:
    path = tmp_path / "file"
    path.write_bytes(pack(DATA))  # type: ignore[operator]
    assert contents(path, expected="bytes", limit=len(DATA)) == DATA
    assert head(path, 300) == DATA[:300]


def test_a_bomb_is_not_unpacked_beyond_the_limit(tmp_path: Path) -> None:
    path = tmp_path / "bomb.gz"
    path.write_bytes(gzip.compress(bytes(50_000_000), compresslevel=1))
    assert path.stat().st_size < 300_000
    with pytest.raises(UnsafeFileError, match=r"bomb\.gz: holds more than 1000000 bytes"):
        contents(path, expected="bytes", limit=1_000_000)


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress])
def test_a_file_cut_short_is_refused(tmp_path: Path, pack: object) -> None:
    path = tmp_path / "short"
    path.write_bytes(pack(DATA)[:-12])  # type: ignore[operator]
    with pytest.raises(FormatError, match=r"short: cannot be read .* expected bytes"):
        contents(path, expected="bytes", limit=len(DATA))


def test_empty_and_absent_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with pytest.raises(FormatError, match="No such file"):
        contents(path, expected="bytes", limit=10)
    path.touch()
    with pytest.raises(FormatError, match="file: empty, expected bytes"):
        contents(path, expected="bytes", limit=10)
    assert head(path, 10) == b""
    assert head(tmp_path / "absent", 10) == b""
