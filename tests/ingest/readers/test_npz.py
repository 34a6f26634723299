"""npz files: arrays and times, and nothing else."""

from __future__ import annotations

import datetime as dt
import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nowcast.field.errors import FormatError, UnsafeFileError
from nowcast.ingest.readers import npz


def pickled(folder: Path, pickle: bytes, *, count: int = 1) -> Path:
    """An npz file whose array ``dates`` of ``count`` objects is this pickle."""
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        stream, {"descr": "|O", "fortran_order": False, "shape": (count,)}
    )
    path = folder / "file.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("dates.npy", stream.getvalue() + pickle)
    return path


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("kind", ["int16", ">i4", "float64", "uint8"])
def test_arrays_come_back(tmp_path: Path, order: Any, kind: str) -> None:
    path = tmp_path / "file.npz"
    before = np.asarray(np.arange(24).reshape(2, 3, 4), dtype=kind, order=order)
    np.savez_compressed(path, first=before, second=np.zeros(3))
    assert npz.names(path) == ("first", "second")
    after = npz.array(path, "first", limit=1000)
    assert after.dtype == before.dtype
    np.testing.assert_array_equal(after, before)


# Without time zone, as MeteoNet stores them, and within what nanoseconds can count.
MOMENTS = st.datetimes(
    min_value=dt.datetime(1678, 1, 1),  # noqa: DTZ001
    max_value=dt.datetime(2262, 1, 1),  # noqa: DTZ001
)


@given(st.lists(MOMENTS))
def test_times_come_back(moments: list[dt.datetime]) -> None:
    stream = io.BytesIO()
    # Copies, because equal objects would be stored once.
    np.savez(stream, dates=np.array([moment.replace() for moment in moments], dtype=object))
    found = npz.times(stream, "dates")  # type: ignore[arg-type]
    np.testing.assert_array_equal(found, np.array(moments, dtype="datetime64[ns]"))


def test_plain_times_need_no_pickle(tmp_path: Path) -> None:
    path = tmp_path / "file.npz"
    np.savez(path, dates=np.array(["2020-01-02T03:04", "2020-01-02T03:09"], dtype="datetime64[m]"))
    assert list(npz.times(path, "dates")) == [
        np.datetime64("2020-01-02T03:04"),
        np.datetime64("2020-01-02T03:09"),
    ]


def test_what_a_pickle_wants_to_run_is_not_run(tmp_path: Path) -> None:
    witness = tmp_path / "witness"
    path = pickled(tmp_path, f"cos\nsystem\n(S'touch {witness}'\ntR.".encode())
    with pytest.raises(FormatError, match=r"file\.npz: dates: a pickle that names .*system"):
        npz.times(path, "dates")
    assert not witness.exists()
    with pytest.raises(FormatError, match="dates holds Python objects, expected numbers"):
        npz.array(path, "dates", limit=1000)


def test_times_of_a_zone_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "file.npz"
    moment = dt.datetime(2020, 1, 2, tzinfo=dt.timezone(dt.timedelta(hours=1)))
    np.savez(path, dates=np.array([moment], dtype=object))
    with pytest.raises(FormatError, match="names time"):
        npz.times(path, "dates")


def test_another_number_of_times_is_refused(tmp_path: Path) -> None:
    moment = dt.datetime(2020, 1, 2)  # noqa: DTZ001
    np.savez(tmp_path / "file.npz", dates=np.array([moment, moment], dtype=object))
    with pytest.raises(FormatError, match="dates holds 1 times, expected 2"):
        npz.times(tmp_path / "file.npz", "dates")
    with pytest.raises(FormatError, match="expected times"):
        npz.times(pickled(tmp_path, b"no pickle"), "dates")


def test_an_array_that_declares_too_much_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "file.npz"
    np.savez_compressed(path, data=np.zeros(10_000_000))
    with pytest.raises(UnsafeFileError, match="data declares 80000000 bytes, expected at most"):
        npz.array(path, "data", limit=1_000_000)


def test_damaged_and_foreign_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "file.npz"
    np.savez_compressed(path, data=np.random.default_rng(1).random(1000))
    whole = path.read_bytes()
    flipped = bytearray(whole)
    flipped[500] ^= 255
    for data in (b"", whole[:2000], bytes(flipped), b"PK\x03\x04" + bytes(99)):
        path.write_bytes(data)
        with pytest.raises(FormatError, match=r"file\.npz: array data cannot be read"):
            npz.array(path, "data", limit=10_000)
    assert npz.names(path) == ()
    assert npz.names(tmp_path / "absent") == ()
    path.write_bytes(whole)
    with pytest.raises(FormatError, match=r"array dates cannot be read .*dates\.npy"):
        npz.array(path, "dates", limit=10)


def test_an_array_shorter_than_its_header_says_is_refused(tmp_path: Path) -> None:
    stream = io.BytesIO()
    np.save(stream, np.arange(10))
    with zipfile.ZipFile(tmp_path / "file.npz", "w") as archive:
        archive.writestr("data.npy", stream.getvalue()[:-8])
    with pytest.raises(FormatError, match="data does not hold the"):
        npz.array(tmp_path / "file.npz", "data", limit=1000)
