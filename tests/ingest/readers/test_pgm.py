"""FMI PGM: against pysteps and Pillow, and by hand."""

from __future__ import annotations

import gzip
import io
from pathlib import Path

import numpy as np
import pyproj
import pytest
from PIL import Image

from nowcast.field.errors import FormatError, UnsafeFileError
from nowcast.field.schema import Frames, grid_of
from nowcast.field.units import ZR
from nowcast.ingest.readers.pgm import FmiPgm

NAME = "radar/fmi/pgm/20160928/201609281445_fmi.radar.composite.lowest_FIN_SUOMI1.pgm.gz"
# Two columns and three rows between the corners that the real header gives.
SMALL = """P5
# obstime 201609281445
# param CorrectedReflectivity
# metersperpixel_x 379876.14014
# metersperpixel_y 408514.88303
# projection radar {
# type stereographic
# centrallongitude 25
# centrallatitude 90
# truelatitude 60
# bottomleft 18.600000 57.930000
# topright 34.903000 69.005000
# }
2 3
255
"""


@pytest.fixture(scope="module")
def real(shared_data: Path) -> Path:
    return shared_data / NAME


@pytest.fixture(scope="module")
def frames(real: Path) -> Frames:
    return FmiPgm().read(real)


def small(folder: Path, *, header: str = SMALL, pixels: bytes = bytes(6)) -> Path:
    path = folder / "small.pgm"
    path.write_bytes(header.encode() + pixels)
    return path


def test_numbers_by_hand(tmp_path: Path) -> None:
    path = small(tmp_path, pixels=bytes([0, 255, 64, 111, 1, 254]))
    rate = FmiPgm().read(path)["rainfall_rate"].values[0]
    assert rate[0, 0] == 0  # no echo
    assert np.isnan(rate[0, 1])  # unseen
    assert rate[1, 0] == pytest.approx((1 / 223) ** (1 / 1.53))  # 0 dBZ
    assert rate[1, 1] == pytest.approx((10**2.35 / 223) ** (1 / 1.53))  # 23.5 dBZ, about 1 mm/h
    assert 0 < rate[2, 0] < 1e-3
    assert rate[2, 1] > 1e3


def test_values_are_those_of_pysteps(real: Path, frames: Frames) -> None:
    from pysteps.io.importers import import_fmi_pgm

    dbz, _, metadata = import_fmi_pgm(str(real), gzipped=True)
    theirs = (10 ** (dbz / 10) / metadata["zr_a"]) ** (1 / metadata["zr_b"])
    ours = frames["rainfall_rate"].values[0]
    np.testing.assert_array_equal(np.isnan(ours), np.isnan(theirs))
    # What pysteps has as -32 dBZ is no echo: 0 here.
    echo = dbz > -32
    np.testing.assert_allclose(ours[echo], theirs[echo], rtol=1e-5)
    assert (ours[dbz == -32] == 0).all()


def test_unseen_and_dry_are_told_apart(real: Path, frames: Frames) -> None:
    stored = np.asarray(Image.open(io.BytesIO(gzip.decompress(real.read_bytes()))))
    rate = frames["rainfall_rate"].values
    assert np.isnan(rate).sum() == (stored == 255).sum() == 226_844
    assert (rate == 0).sum() == (stored == 0).sum() == 412_634


def test_cells_lie_where_pysteps_says(real: Path, frames: Frames) -> None:
    from pysteps.io.importers import import_fmi_pgm

    theirs = import_fmi_pgm(str(real), gzipped=True)[2]
    x, y = pyproj.Proj(theirs["projection"])(24.873, 60.271)  # the radar of Vantaa
    column = (x - theirs["x1"]) / theirs["xpixelsize"]
    row = (theirs["y2"] - y) / theirs["ypixelsize"]
    grid = grid_of(frames)
    assert grid.cell(lon=24.873, lat=60.271) == (int(row), int(column))


def test_corners_and_radars_are_those_of_the_header(frames: Frames) -> None:
    grid = grid_of(frames)
    assert grid.lonlat_of(grid.height - 0.5, -0.5) == pytest.approx((18.6, 57.93), abs=1e-5)
    assert grid.lonlat_of(-0.5, grid.width - 0.5) == pytest.approx((34.903, 69.005), abs=1e-5)
    rate = frames["rainfall_rate"].values[0]
    for lon, lat in [(21.646, 60.128), (24.873, 60.271), (27.109, 60.904), (26.9008, 67.1386)]:
        cell = grid.cell(lon=lon, lat=lat)
        assert cell is not None
        assert np.isfinite(rate[cell])


def test_time_is_the_header_s_unless_stamped(real: Path, frames: Frames) -> None:
    assert FmiPgm().times(real) == np.datetime64("2016-09-28T14:45")
    assert frames["time"].values == np.datetime64("2016-09-28T14:45")
    stamp = np.datetime64("2016-09-28T14:50")
    assert FmiPgm().read(real, stamp=stamp)["time"].values == stamp


def test_without_any_time_it_is_refused(tmp_path: Path) -> None:
    path = small(tmp_path, header=SMALL.replace("obstime", "sometime"))
    assert FmiPgm().times(path).size == 0
    with pytest.raises(FormatError, match=r"small\.pgm: holds no time"):
        FmiPgm().read(path)
    assert FmiPgm().read(path, stamp=np.datetime64("2020-01-01")).sizes["time"] == 1


def test_plain_equals_gzipped(real: Path, frames: Frames, tmp_path: Path) -> None:
    plain = tmp_path / "plain.pgm"
    plain.write_bytes(gzip.decompress(real.read_bytes()))
    assert FmiPgm().matches(plain)
    assert FmiPgm().matches(real)
    assert FmiPgm().read(plain).identical(frames)


def test_another_relation_gives_other_rates(tmp_path: Path) -> None:
    path = small(tmp_path, pixels=bytes([100] * 6))
    rate = FmiPgm(zr=ZR()).read(path)["rainfall_rate"].values
    assert rate == pytest.approx((10**1.8 / 200) ** (1 / 1.6))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("2 3", "2 4", "6 bytes of pixels, expected 8 for 4x2"),
        ("255\n", "65535\n", "pixels of up to 65535"),
        ("2 3", "two 3", "'two 3' in the PGM header, expected numbers"),
        ("CorrectedReflectivity", "RainRate", "holds RainRate, expected a reflectivity"),
        ("stereographic", "lambert", "projection 'lambert', expected stereographic"),
        ("# centrallongitude 25\n", "", "do not give the grid: 'centrallongitude'"),
        ("centrallatitude 90", "centrallatitude 91", "unknown projection .*: Invalid projection"),
        ("# topright 34.903000 69.005000", "# topright north", "do not give the grid"),
        ("379876.14014", "1000.0", "m a pixel between the corners, but 1000.0x"),
        ("P5", "P2", "begins with b'P2"),
    ],
)
def test_headers_that_do_not_fit_are_refused(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    path = small(tmp_path, header=SMALL.replace(old, new))
    with pytest.raises(FormatError, match=f"small.pgm: .*{message}"):
        FmiPgm().read(path)


def test_damaged_files_are_refused(real: Path, tmp_path: Path) -> None:
    path = tmp_path / "bad.pgm.gz"
    for data in (b"", real.read_bytes()[:100_000], b"GIF89a" + bytes(100), b"P5\n# comment"):
        path.write_bytes(data)
        with pytest.raises(FormatError, match=r"bad\.pgm\.gz: .*expected"):
            FmiPgm().read(path)
    path.write_bytes(b"")
    with pytest.raises(FormatError, match="empty"):
        FmiPgm().times(path)
    assert not FmiPgm().matches(path)


def test_a_bomb_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bomb.pgm.gz"
    with gzip.open(path, "wb", compresslevel=1) as stream:
        stream.write(SMALL.encode())
        for _ in range(130):
            stream.write(bytes(1 << 20))
    with pytest.raises(UnsafeFileError, match=r"bomb\.pgm\.gz: holds more than"):
        FmiPgm().read(path)
