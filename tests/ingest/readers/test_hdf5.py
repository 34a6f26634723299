"""HDF5 opened with care: what is refused, and that nothing harmless is."""

from __future__ import annotations

import zlib
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nowcast.field.errors import FormatError, UnsafeFileError
from nowcast.ingest.readers.hdf5 import Attributes, Limits, open_hdf5, root_names


def write(path: Path, **arrays: np.ndarray) -> Path:
    with h5py.File(path, "w") as file:
        for name, values in arrays.items():
            file.create_dataset(name, data=values, compression="gzip")
    return path


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    rng = np.random.default_rng(1)
    path = tmp_path_factory.mktemp("whole") / "whole.h5"
    return write(path, rain=rng.integers(0, 255, (50, 60))).read_bytes()


def test_a_whole_file_is_open_and_closed(tmp_path: Path, whole: bytes) -> None:
    path = tmp_path / "whole.h5"
    path.write_bytes(whole)
    with open_hdf5(path) as file:
        assert file["rain"].shape == (50, 60)
    assert not file.id.valid
    assert root_names(path) == {"rain"}


def test_bytes_stand_for_a_file(whole: bytes) -> None:
    with open_hdf5(Path("archive.tar/whole.h5"), content=whole) as file:
        assert file["rain"].shape == (50, 60)
    with (
        pytest.raises(FormatError, match=r"archive\.tar/whole\.h5: empty"),
        open_hdf5(Path("archive.tar/whole.h5"), content=b""),
    ):
        pass


def test_a_block_of_the_users_may_come_first(tmp_path: Path) -> None:
    path = tmp_path / "block.h5"
    with h5py.File(path, "w", userblock_size=2048) as file:
        file["rain"] = np.zeros(3)
    with open_hdf5(path) as file:
        assert list(file) == ["rain"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"bad\.h5: empty, expected an HDF5 file"),
        (b"date,rain\n2020,1\n", r"bad\.h5: starts with b'date,rain.*, expected the signature"),
        (b"\x89HDF\r\n\x1a\n", r"bad\.h5: truncated or damaged HDF5 of 8 bytes"),
    ],
)
def test_foreign_files_are_named(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "bad.h5"
    path.write_bytes(content)
    with pytest.raises(FormatError, match=message), open_hdf5(path):
        pass
    assert root_names(path) == frozenset()


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with (
        pytest.raises(FormatError, match=r"gone\.h5: cannot be opened \(No such file"),
        open_hdf5(tmp_path / "gone.h5"),
    ):
        pass
    assert root_names(tmp_path / "gone.h5") == frozenset()
    assert root_names(tmp_path) == frozenset()


@given(st.data())
def test_truncated_anywhere(whole: bytes, data: st.DataObject) -> None:
    size = data.draw(st.integers(0, len(whole) - 1))
    with (
        pytest.raises(FormatError),
        open_hdf5(Path("cut.h5"), content=whole[:size]) as file,
    ):
        file["rain"][()]


def test_damage_that_shows_while_reading(tmp_path: Path) -> None:
    path = tmp_path / "damaged.h5"
    with h5py.File(path, "w") as file:
        data = file.create_dataset("rain", data=np.arange(5000), compression="gzip", chunks=(5000,))
        place = data.id.get_chunk_info(0)
    content = bytearray(path.read_bytes())
    for byte in range(place.byte_offset + 10, place.byte_offset + 40):
        content[byte] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(FormatError, match=r"damaged\.h5: damaged HDF5"), open_hdf5(path) as file:
        file["rain"][()]


def refusal(path: Path, **limits: int) -> str:
    with pytest.raises(UnsafeFileError) as caught, open_hdf5(path, limits=Limits(**limits)):
        pass
    assert str(caught.value).startswith(f"{path}: ")
    return str(caught.value)


def test_external_link(tmp_path: Path) -> None:
    secret = write(tmp_path / "secret.h5", rain=np.ones(3))
    path = tmp_path / "link.h5"
    with h5py.File(path, "w") as file:
        file.create_group("dataset1")["data1"] = h5py.ExternalLink(str(secret), "rain")
    assert "/dataset1/data1 is a link to another file" in refusal(path)


def test_external_storage(tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_bytes(b"root:x:0:0" * 10)
    path = tmp_path / "storage.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("rain", (10, 10), "u1", external=[(str(secret), 0, 100)])
    with h5py.File(path) as file:
        assert file["rain"][0].tobytes() == b"root:x:0:0"  # so real is the danger
    assert "/rain is stored in another file" in refusal(path)


def test_virtual_dataset(tmp_path: Path) -> None:
    secret = write(tmp_path / "secret.h5", rain=np.ones(3))
    path = tmp_path / "virtual.h5"
    layout = h5py.VirtualLayout((3,), "f8")
    layout[:] = h5py.VirtualSource(str(secret), "rain", (3,))
    with h5py.File(path, "w") as file:
        file.create_virtual_dataset("rain", layout)
    assert "/rain is put together from other files" in refusal(path)


def test_unknown_filter(tmp_path: Path) -> None:
    path = tmp_path / "filter.h5"
    with h5py.File(path, "w") as file:
        creation = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        creation.set_chunk((10,))
        creation.set_filter(31999, h5py.h5z.FLAG_OPTIONAL, ())
        space = h5py.h5s.create_simple((10,))
        h5py.h5d.create(file.id, b"rain", h5py.h5t.NATIVE_DOUBLE, space, creation)
    assert "/rain is stored with filter 31999, expected deflate, shuffle" in refusal(path)


def test_a_small_file_that_declares_much(tmp_path: Path) -> None:
    path = tmp_path / "bomb.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("rain", (60_000, 60_000), "f8", chunks=(1000, 1000))
    assert path.stat().st_size < 5000
    assert "declares 3600000000 values, expected at most 67108864" in refusal(path)
    assert "declares 28800000000 bytes, expected at most 536870912" in refusal(path, cells=2**40)
    much = {"cells": 2**40, "dataset_bytes": 2**40}
    assert "expected at most 2000 times its size" in refusal(path, **much)


def test_a_chunk_that_takes_more_room_than_it_should_hold(tmp_path: Path) -> None:
    path = tmp_path / "chunk.h5"
    with h5py.File(path, "w") as file:
        data = file.create_dataset("rain", (40, 40), "u1", chunks=(40, 40), compression="gzip")
        data.id.write_direct_chunk((0, 0), zlib.compress(bytes(100 << 20)))
    assert "bytes in the file and declares 1600" in refusal(path)


def test_a_dry_composite_is_no_bomb(tmp_path: Path) -> None:
    dry = np.full((1100, 950), -8888000.0)
    path = tmp_path / "dry.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("rain", data=dry, chunks=dry.shape, compression=9)
    assert dry.nbytes > 500 * path.stat().st_size
    with open_hdf5(path, limits=Limits(harmless_bytes=0)) as file:
        assert file["rain"].shape == dry.shape


def test_objects_are_counted_and_cycles_walked_once(tmp_path: Path) -> None:
    path = tmp_path / "cycle.h5"
    with h5py.File(path, "w") as file:
        group = file.create_group("one/two")
        group["back"] = file["one"]
        group["soft"] = h5py.SoftLink("/one")
        group["nowhere"] = h5py.SoftLink("/gone")
    with open_hdf5(path) as file:
        assert "one" in file
    many = tmp_path / "many.h5"
    with h5py.File(many, "w") as file:
        for index in range(20):
            file.create_group(f"group{index}")
    assert "more than 10 objects" in refusal(many, objects=10)


def test_the_nearest_attribute_counts(tmp_path: Path) -> None:
    path = tmp_path / "attributes.h5"
    with h5py.File(path, "w") as file:
        near, far = file.create_group("near"), file.create_group("far")
        near.attrs["gain"] = np.array([0.5])
        far.attrs["gain"], far.attrs["offset"] = 1.0, "-32.0"
        far.attrs["name"], far.attrs["also"] = np.bytes_("RATE\x00"), "RATE"
        far.attrs["many"] = np.arange(3)
    with open_hdf5(path) as file:
        found = Attributes.of(path, file, "near", "nowhere", "far")
        assert found.number("gain") == 0.5
        assert found.number("offset") == -32.0
        assert found.number("undetect", np.inf) == np.inf
        assert found.text("name") == found.text("also") == "RATE"
        assert found.text("title", "none") == "none"
        with pytest.raises(
            FormatError, match=r"attribute title of /near, /far is missing, expected t"
        ):
            found.text("title")
        with pytest.raises(
            FormatError, match=r"attribute many of .* is array\(\[0, 1, 2\]\), expected"
        ):
            found.number("many")
        with pytest.raises(FormatError, match=r"attribute gain of .*, expected text"):
            found.text("gain")
