"""NIMROD: against its own bytes, its corners and the coast."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest

from nowcast.field.errors import FormatError
from nowcast.field.schema import Frames, grid_of
from nowcast.ingest.readers.nimrod import Nimrod

NAME = "radar/nimrod/input_preciprate.nimrod"


@pytest.fixture(scope="module")
def real(shared_data: Path) -> Path:
    return shared_data / NAME


@pytest.fixture(scope="module")
def frames(real: Path) -> Frames:
    return Nimrod().read(real)


def changed(real: Path, folder: Path, offset: int, replacement: bytes) -> Path:
    data = bytearray(real.read_bytes())
    data[offset : offset + len(replacement)] = replacement
    path = folder / "changed.nimrod"
    path.write_bytes(data)
    return path


def test_values_are_those_of_the_bytes(real: Path, frames: Frames) -> None:
    data = real.read_bytes()
    # Each record stands between its lengths: 4 + 512 + 4, then 4 + pixels + 4.
    assert struct.unpack(">i", data[520:524]) == struct.unpack(">i", data[-4:]) == (704 * 548 * 2,)
    stored = np.array(struct.unpack(f">{704 * 548}h", data[524:-4])).reshape(704, 548)
    rate = frames["rainfall_rate"].values[0]
    np.testing.assert_array_equal(np.isnan(rate), stored == -1)
    np.testing.assert_allclose(rate[stored >= 0], stored[stored >= 0] / 32)
    assert (stored == -1).sum() > 100_000
    assert (rate == 0).sum() == (stored == 0).sum() > 200_000
    assert np.nanmax(rate) == 1259 / 32


def test_corners_are_those_of_the_header(real: Path, frames: Frames) -> None:
    # The header holds the corners too, beside the first cell from which the grid is made.
    header = np.array(struct.unpack(">45f", real.read_bytes()[4 + 174 : 4 + 354]))
    grid = grid_of(frames)
    north, west = header[0], header[1]
    assert (grid.west, grid.north) == (west, north) == (-239_000, 1_223_000)
    assert (grid.extent[1], grid.extent[2]) == (857_000, -185_000)
    assert grid.crs.to_epsg() == 27700


def test_radars_lie_in_the_seen(frames: Frames) -> None:
    grid, seen = grid_of(frames), np.isfinite(frames["rainfall_rate"].values[0])
    # Chenies near London: E 501600, N 199700 on the National Grid.
    assert grid.cell(lon=-0.5303, lat=51.6892) == ((1_223_000 - 199_700) // 2000, 740_600 // 2000)
    for lon, lat in [(-0.5303, 51.6892), (-6.3413, 54.5038), (-2.0362, 57.4315), (-2.2, 49.21)]:
        assert seen[grid.cell(lon=lon, lat=lat)]
    assert not seen[0].any()


def test_time(real: Path, frames: Frames, tmp_path: Path) -> None:
    assert Nimrod().times(real) == np.datetime64("2018-08-03T22:45")
    assert frames["time"].values == np.datetime64("2018-08-03T22:45")
    path = changed(real, tmp_path, 4, struct.pack(">6h", *[-32767] * 6))
    with pytest.raises(FormatError, match=r"changed\.nimrod: holds no time"):
        Nimrod().read(path)


def test_gzipping_changes_nothing(real: Path, frames: Frames, tmp_path: Path) -> None:
    path = tmp_path / "packed.gz"
    path.write_bytes(gzip.compress(real.read_bytes(), compresslevel=1))
    assert Nimrod().matches(real)
    assert Nimrod().matches(path)
    assert Nimrod().read(path).identical(frames)


def test_what_is_not_rain_on_the_national_grid_is_refused(real: Path, tmp_path: Path) -> None:
    units = 4 + 354
    for offset, replacement, said in [
        (units, b"dBZ     ", "units 'dBZ', expected one NIMROD field of rain rate"),
        (4 + 28, b"\0\1", r"origin \(1, 2, 1, 0\), expected"),
        (4 + 30, b"\0\7", "771584 bytes of pixels, expected 7672 for 7x548"),
        (4 + 74, struct.pack(">f", -2000.0), "cells of .*, expected positive sizes"),
    ]:
        path = changed(real, tmp_path, offset, replacement)
        with pytest.raises(FormatError, match=rf"changed\.nimrod: .*{said}"):
            Nimrod().read(path)


def test_damaged_and_foreign_files_are_refused(real: Path, tmp_path: Path) -> None:
    path = tmp_path / "bad.nimrod"
    for data, said in [
        (b"", "empty"),
        (real.read_bytes()[:300], "begins with"),
        (real.read_bytes()[:5000], "cut short"),
        (real.read_bytes() * 2, "or more than one"),
        (b"GIF89a" + bytes(1000), "begins with b'GIF89a"),
    ]:
        path.write_bytes(data)
        with pytest.raises(FormatError, match=rf"bad\.nimrod: .*{said}"):
            Nimrod().read(path)
    assert not Nimrod().matches(path)
    assert not Nimrod().matches(tmp_path / "absent")
