"""RADOLAN binary: against wradlib and the bits themselves, DWD's corners and its radars."""

from __future__ import annotations

import bz2
import gzip
from pathlib import Path

import numpy as np
import pytest

from nowcast.field.errors import FormatError
from nowcast.field.schema import Frames, grid_of
from nowcast.ingest.readers.radolan import Radolan

NAME = "radar/dwd/yw/raa01-yw2017.002_10000-1708160125-dwd---bin.gz"
# DWD's C-band radars of the file's header, which RADKLIM takes to 128 km: latitude, longitude.
RADARS = {
    "boo": (54.0044, 10.0469),
    "ros": (54.1757, 12.0581),
    "emd": (53.3387, 7.0238),
    "hnr": (52.4601, 9.6945),
    "umd": (52.1601, 11.1761),
    "pro": (52.6487, 13.8582),
    "ess": (51.4056, 6.9671),
    "fld": (51.3112, 8.8020),
    "drs": (51.1246, 13.7686),
    "neu": (50.5001, 11.1350),
    "nhb": (50.1097, 6.5485),
    "oft": (49.9848, 8.7129),
    "eis": (49.5407, 12.4028),
    "tur": (48.5853, 9.7828),
    "isn": (48.1747, 12.1018),
    "fbg": (47.8736, 8.0036),
    "mem": (48.0421, 10.2192),
}


@pytest.fixture(scope="module")
def real(shared_data: Path) -> Path:
    return shared_data / NAME


@pytest.fixture(scope="module")
def frames(real: Path) -> Frames:
    return Radolan().read(real)


def composite(folder: Path, numbers: dict[int, int], *, product: bytes = b"RY") -> Path:
    """A dry 900x900 composite of 5 min from 2021-08-23 08:50, with these two-byte numbers in it."""
    start, end = product + b"230850100000821BY", b"VS 3SW   2.29.1PR E-02INT   5GP 900x 900"
    end += b"MS  5<boo>\x03"
    length = len(start) + 7 + len(end) + 2 * 810_000
    field = np.zeros(810_000, dtype="<u2")
    for index, number in numbers.items():
        field[index] = number
    path = folder / "composite"
    path.write_bytes(start + b"%7d" % length + end + field.tobytes())
    return path


def test_numbers_by_hand(tmp_path: Path) -> None:
    # The first number is the south-western cell; 0x29C4 is no data; 0x8000 flags clutter.
    path = composite(tmp_path, {0: 0x29C4, 1: 25, 899: 0x8000 | 10, 809_999: 100})
    frames = Radolan().read(path)
    rate = frames["rainfall_rate"].values[0]
    assert rate.shape == (900, 900)
    assert np.isnan(rate[899, 0])
    assert rate[899, 1] == pytest.approx(0.25 * 12)
    assert rate[899, 899] == pytest.approx(0.1 * 12)
    assert rate[0, 899] == pytest.approx(1.0 * 12)
    assert np.isnan(rate).sum() == 1
    assert (rate > 0).sum() == 3
    assert frames["time"].values == np.datetime64("2021-08-23T08:50")


def test_every_bit_of_the_real_file(real: Path, frames: Frames) -> None:
    data = gzip.decompress(real.read_bytes())
    bits = np.frombuffer(data[data.index(b"\x03") + 1 :], "<u2").reshape(1100, 900)[::-1]
    rate = frames["rainfall_rate"].values[0]
    unseen = bits & 0x2000 > 0
    np.testing.assert_array_equal(np.isnan(rate), unseen)
    np.testing.assert_allclose(rate[~unseen], (bits[~unseen] & 0x0FFF) * 0.12, rtol=1e-5)
    assert unseen.sum() == 380_632
    assert (rate == 0).sum() > 400_000
    assert np.nanmax(rate) > 10


@pytest.mark.filterwarnings("ignore:variable 'YW' has multiple fill values")
def test_values_and_rows_are_those_of_wradlib(real: Path, frames: Frames) -> None:
    import wradlib

    theirs = wradlib.io.radolan.open_radolan_dataset(str(real))
    assert (np.diff(theirs["y"].values) > 0).all()  # south first
    assert theirs["YW"].attrs["unit"] == "mm h-1"
    ours = frames["rainfall_rate"].values[0]
    np.testing.assert_allclose(ours, theirs["YW"].values[::-1], rtol=1e-5)


def test_corners_of_the_national_grid(tmp_path: Path) -> None:
    # "RADOLAN/RADVOR-OP Kompositformat" of DWD gives the outer corners.
    grid = grid_of(Radolan().read(composite(tmp_path, {})))
    assert grid.lonlat_of(899.5, -0.5) == pytest.approx((3.5889, 46.9526), abs=2e-4)
    assert grid.lonlat_of(899.5, 899.5) == pytest.approx((14.6209, 47.0705), abs=2e-4)
    assert grid.lonlat_of(-0.5, 899.5) == pytest.approx((15.7208, 54.7405), abs=2e-4)
    assert grid.lonlat_of(-0.5, -0.5) == pytest.approx((2.0715, 54.5877), abs=2e-4)


def test_corners_of_the_extended_grid(frames: Frames) -> None:
    grid = grid_of(frames)
    assert grid.shape == (1100, 900)
    assert grid.lonlat_of(1099.5, -0.5) == pytest.approx((4.6759, 46.1929), abs=2e-4)
    assert grid.lonlat_of(-0.5, 899.5) == pytest.approx((17.1128, 55.5342), abs=2e-4)


def test_what_is_seen_lies_around_the_radars(frames: Frames) -> None:
    # North for south, or a shift of a few km, and the circles no longer cover the seen cells.
    grid = grid_of(frames)
    lon, lat = (np.deg2rad(degrees) for degrees in grid.lonlat())
    within = np.zeros(grid.shape, dtype=bool)
    for latitude, longitude in np.deg2rad(list(RADARS.values())):
        cosine = np.sin(lat) * np.sin(latitude)
        cosine += np.cos(lat) * np.cos(latitude) * np.cos(lon - longitude)
        within |= 6371.0 * np.arccos(cosine) < 128.0
    seen = np.isfinite(frames["rainfall_rate"].values[0])
    assert (seen & within).sum() / (seen | within).sum() > 0.999


def test_gzip_bzip2_and_plain_are_the_same(real: Path, frames: Frames, tmp_path: Path) -> None:
    plain = gzip.decompress(real.read_bytes())
    for name, data in {"plain": plain, "packed.bz2": bz2.compress(plain)}.items():
        path = tmp_path / name
        path.write_bytes(data)
        assert Radolan().matches(path)
        assert Radolan().read(path).identical(frames)


def test_the_header_holds_time_and_interval(real: Path, frames: Frames) -> None:
    assert Radolan().times(real) == np.datetime64("2017-08-16T01:25")
    assert frames["time"].values == np.datetime64("2017-08-16T01:25")
    assert frames.attrs["accumulation_minutes"] == 5
    stamp = np.datetime64("2017-08-16T01:30")
    assert Radolan().read(real, stamp=stamp)["time"].values == stamp


def test_other_products_are_refused(tmp_path: Path) -> None:
    path = composite(tmp_path, {}, product=b"RX")
    assert Radolan().matches(path)
    with pytest.raises(FormatError, match="composite: product RX, expected a RADOLAN composite"):
        Radolan().read(path)


def test_damaged_and_foreign_files_are_refused(real: Path, tmp_path: Path) -> None:
    whole = gzip.decompress(real.read_bytes())
    path = tmp_path / "bad"
    for data, said in [
        (b"", "empty, expected a RADOLAN"),
        (whole[:90], "cut short or damaged"),
        (whole[:100_000], "cut short or damaged"),
        (real.read_bytes()[:5000], "cannot be read"),
        (b"GIF89a" + bytes(99), "begins with b'GIF89a"),
    ]:
        path.write_bytes(data)
        with pytest.raises(FormatError, match=f"bad: .*{said}"):
            Radolan().read(path)
    assert not Radolan().matches(path)
    assert not Radolan().matches(tmp_path / "absent")
