"""DWD's tar of ODIM_H5: the real one against pysteps and h5py, and tars that mean harm."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import h5py
import numpy as np
import pyproj
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nowcast.field.errors import FormatError, UnsafeFileError
from nowcast.field.grid import Grid
from nowcast.field.schema import grid_of
from nowcast.ingest.readers.odim_tar import OdimTar
from nowcast.ingest.readers.odim_writer import write_odim

REAL = "radar/dwd/composite_rv_20250923_0855.tar"
OBSERVED = "composite_rv_20250923_0855_000-hd5"
TIME = np.datetime64("2025-09-23T08:55", "ns")


@pytest.fixture(scope="module")
def member(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("member") / "observed.h5"
    with tarfile.open(shared_data / REAL) as archive:
        stream = archive.extractfile(OBSERVED)
        assert stream is not None
        path.write_bytes(stream.read())
    return path


def test_the_analysis_as_pysteps_reads_it(shared_data: Path, member: Path) -> None:
    from pysteps.io.importers import import_odim_hdf5

    depth, _, metadata = import_odim_hdf5(str(member), qty="ACRR")
    frames = OdimTar().read(shared_data / REAL)
    rate = frames["rainfall_rate"].values[0]
    np.testing.assert_array_equal(np.isnan(rate), np.isnan(depth))
    # pysteps leaves dry cells at the offset of the coding, -0.001 mm.
    np.testing.assert_allclose(rate, 12 * np.maximum(depth, 0), rtol=1e-5, atol=1e-7)
    with h5py.File(member) as file:
        numbers = file["dataset1/data1/data"][()]
    assert np.isnan(rate).sum() == (numbers == 4294967295).sum() == 621_995
    np.testing.assert_array_equal(rate[numbers == 0], 0)
    assert frames["time"].values == [TIME]
    assert OdimTar().times(shared_data / REAL) == [TIME]
    assert OdimTar().matches(shared_data / REAL)
    grid = grid_of(frames)
    west, east, south, north = grid.extent
    found = [metadata[name] for name in ("x1", "x2", "y1", "y2")]
    np.testing.assert_allclose((west, east, south, north), found, atol=0.01)
    # Corner of the first cell as the file gives it, and the first cell's centre at the origin.
    assert grid.lonlat_of(-0.5, -0.5) == pytest.approx((1.463301510256666, 55.862087108249824))
    assert grid.x[0] == pytest.approx(0, abs=1e-3)
    assert grid.y[0] == pytest.approx(0, abs=1e-3)


def pack(path: Path, *members: tuple[str | tarfile.TarInfo, bytes]) -> Path:
    with tarfile.open(path, "w") as archive:
        for name, content in members:
            info = tarfile.TarInfo(name) if isinstance(name, str) else name
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    grid = Grid(pyproj.CRS("EPSG:3067"), 100_000, 7_000_000, 1000, 1000, height=2, width=3)
    path = tmp_path_factory.mktemp("content") / "a.h5"
    rate = np.array([[0, 1, 2], [3, np.nan, 5]])
    return write_odim(path, rate, grid=grid, time=TIME, quantity="ACRR").read_bytes()


def test_only_lead_zero_is_an_observation(tmp_path: Path, content: bytes) -> None:
    forecast = OBSERVED.replace("_000-", "_005-")
    path = pack(tmp_path / "a.tar", (forecast, b"not read"), (f"./{OBSERVED}", content))
    assert OdimTar().matches(path)
    rate = OdimTar().read(path)["rainfall_rate"].values[0]
    expected = np.array([[0, 1, 2], [3, np.nan, 5]])
    np.testing.assert_allclose(rate, expected, atol=1e-2)
    half = OdimTar(accumulation_minutes=10).read(path)["rainfall_rate"].values[0]
    np.testing.assert_allclose(half, rate / 2)
    stamp = np.datetime64("2025-09-23T09:00", "ns")
    assert OdimTar().read(path, stamp=stamp)["time"].values == [stamp]
    path = pack(tmp_path / "a.tar", (forecast, content))
    with pytest.raises(FormatError, match=r"a\.tar: holds .*_005-hd5, expected .*_000-hd5"):
        OdimTar().read(path)


@pytest.mark.parametrize(
    "name",
    ["../../etc/" + OBSERVED, "/" + OBSERVED, OBSERVED + ".sh", "x" + OBSERVED, "a/" + OBSERVED],
)
def test_names_that_dwd_does_not_give(tmp_path: Path, content: bytes, name: str) -> None:
    path = pack(tmp_path / "a.tar", (name, content))
    assert not OdimTar().matches(path)
    with pytest.raises(FormatError, match=r"a\.tar: holds .*, expected a file composite"):
        OdimTar().read(path)
    assert [found.name for found in tmp_path.iterdir()] == ["a.tar"]  # nothing unpacked


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE]
)
def test_members_that_are_no_files(tmp_path: Path, kind: bytes) -> None:
    info = tarfile.TarInfo(OBSERVED)
    info.type, info.linkname = kind, "/etc/passwd"
    with pytest.raises(FormatError, match="expected a file composite"):
        OdimTar().read(pack(tmp_path / "a.tar", (info, b"")))


def test_a_member_that_is_too_large(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    info = tarfile.TarInfo(OBSERVED)
    info.size = 65 * 2**20
    with path.open("wb") as stream:
        stream.write(info.tobuf())
        stream.truncate(66 * 2**20)  # a hole: no disk is used
    with pytest.raises(UnsafeFileError, match=r"a\.tar: member .* of 68157440 bytes"):
        OdimTar().read(path)


def test_too_many_members(tmp_path: Path) -> None:
    members = [(f"file{index}", b"") for index in range(201)]
    with pytest.raises(UnsafeFileError, match="more than 200 members"):
        OdimTar().read(pack(tmp_path / "a.tar", *members))


def test_a_member_that_is_no_odim(tmp_path: Path) -> None:
    path = pack(tmp_path / "a.tar", (OBSERVED, b"<html>"))
    with pytest.raises(FormatError, match=rf"a\.tar/{OBSERVED}: starts with b'<html>'"):
        OdimTar().read(path)


@given(st.data())
def test_truncated_anywhere(
    content: bytes, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.getbasetemp() / "cut.tar"
    pack(path, (OBSERVED, content), (OBSERVED.replace("_000-", "_005-"), content))
    whole = path.read_bytes()
    end = len(whole.rstrip(b"\0"))
    path.write_bytes(whole[: data.draw(st.integers(0, end))])
    with pytest.raises(FormatError, match=r"cut\.tar"):
        OdimTar().read(path)


def test_files_of_other_kinds(tmp_path: Path) -> None:
    for name, start in {"a.tar": b"", "b.tar": b"\x1f\x8b not gzip", "c.tar": b"text"}.items():
        path = tmp_path / name
        path.write_bytes(start)
        assert not OdimTar().matches(path)
        with pytest.raises(FormatError, match=rf"{name}: (empty|truncated, damaged or no tar)"):
            OdimTar().read(path)
    assert not OdimTar().matches(tmp_path / "gone.tar")
    with pytest.raises(FormatError, match="No such file"):
        OdimTar().times(tmp_path / "gone.tar")
