"""Files and folders appear whole or not at all."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from nowcast.field import atomic
from nowcast.field.atomic import written_beside
from nowcast.field.errors import ProductError

SIZE = 2**18


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def write_folder(path, text):
    with written_beside(path) as beside:
        (beside / "inner").mkdir(parents=True)
        (beside / "a").write_text(text)
        (beside / "inner" / "b").write_text(text)


def write_half(path, failure):
    with written_beside(path) as beside:
        beside.write_text("half")
        raise failure


def write_to_a_full_disk(path):
    with written_beside(path) as beside:
        beside.write_text("half")
        with Path("/dev/full").open("w") as full:
            full.write("x" * SIZE)


def test_a_new_file_appears_when_it_is_whole(tmp_path):
    path = tmp_path / "forecast.nc"
    with written_beside(path) as beside:
        beside.write_text("whole")
        assert beside.parent == tmp_path
        assert not path.exists()
        assert not list(tmp_path.glob("**/*.nc")), "a reader would take the unfinished file"
    assert path.read_text() == "whole"
    assert names(tmp_path) == ["forecast.nc"]


def test_a_file_that_stood_there_is_replaced(tmp_path):
    path = tmp_path / "forecast.nc"
    path.write_text("old")
    with written_beside(str(path)) as beside:
        beside.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"


@pytest.mark.parametrize("failure", [ValueError("a mistake"), KeyboardInterrupt()])
def test_a_failure_in_the_block_leaves_all_as_it_was(tmp_path, failure):
    path = tmp_path / "forecast.nc"
    path.write_text("old")
    with pytest.raises(type(failure)):
        write_half(path, failure)
    assert path.read_text() == "old"
    assert names(tmp_path) == ["forecast.nc"]


@pytest.mark.parametrize("standing", [False, True])
def test_a_folder_appears_whole_and_replaces_another(tmp_path, standing):
    path = tmp_path / "store.zarr"
    if standing:
        write_folder(path, "old")
        (path / "left over").write_text("from before")
    write_folder(path, "new")
    assert (path / "a").read_text() == (path / "inner" / "b").read_text() == "new"
    assert names(path) == ["a", "inner"]
    assert names(tmp_path) == ["store.zarr"]


def test_where_two_folders_cannot_be_swapped_one_goes_before_the_other_comes(tmp_path, monkeypatch):
    # As on file systems without RENAME_EXCHANGE.
    monkeypatch.setattr(atomic, "_exchange", lambda *_: False)
    path = tmp_path / "store.zarr"
    write_folder(path, "old")
    write_folder(path, "new")
    assert (path / "a").read_text() == "new"
    assert names(tmp_path) == ["store.zarr"]


def test_a_full_disk_is_told_with_its_free_space_and_a_remedy(tmp_path):
    path = tmp_path / "forecast.nc"
    words = (
        r"forecast\.nc: could not be written: no space left on the disk "
        r"\([\d,]+ MiB free under .*\): free some space"
    )
    with pytest.raises(ProductError, match=words):
        write_to_a_full_disk(path)
    assert names(tmp_path) == []


def test_a_folder_that_does_not_exist_is_told(tmp_path):
    with (
        pytest.raises(ProductError, match=r"there is no such folder .*: create it"),
        written_beside(tmp_path / "absent" / "forecast.nc") as beside,
    ):
        beside.write_text("x")


def test_a_folder_that_is_a_file_is_told(tmp_path):
    (tmp_path / "out").write_text("not a folder")
    with (
        pytest.raises(ProductError, match="its folder is a file"),
        written_beside(tmp_path / "out" / "forecast.nc") as beside,
    ):
        beside.write_text("x")


def test_a_folder_of_the_files_name_is_told(tmp_path):
    (tmp_path / "forecast.nc").mkdir()
    with (
        pytest.raises(ProductError, match="a folder of that name stands there"),
        written_beside(tmp_path / "forecast.nc") as beside,
    ):
        beside.write_text("x")
    assert names(tmp_path) == ["forecast.nc"]


def test_a_block_that_writes_nothing_is_told(tmp_path):
    with pytest.raises(ProductError, match="nothing was written"), written_beside(tmp_path / "f"):
        pass


# Root may write everywhere, so what the system says to others is said by hand.
@pytest.mark.parametrize(
    ("code", "words"),
    [
        (errno.EACCES, "no right to write there .*: choose another folder"),
        (errno.EROFS, "the disk is read-only .*: choose another folder"),
        (errno.EDQUOT, "the disk quota is used up .*: free some space"),
        (errno.EFBIG, "the file would exceed the size limit .*: raise the limit"),
        (errno.EIO, "Input/output error .*: see whether the disk is full or failing"),
    ],
)
def test_each_refusal_of_the_system_has_its_remedy(tmp_path, code, words):
    with pytest.raises(ProductError, match=words):
        write_half(tmp_path / "f", OSError(code, os.strerror(code)))
    assert names(tmp_path) == []


def test_a_reader_never_sees_half_a_file(tmp_path):
    path = tmp_path / "forecast.nc"
    path.write_bytes(b"a" * SIZE)
    seen, stop = set(), threading.Event()

    def read():
        while not stop.is_set():
            content = path.read_bytes()
            seen.add((len(content), len(set(content))))

    reader = threading.Thread(target=read)
    reader.start()
    for letter in b"bcdefghijk" * 5:
        with written_beside(path) as beside, beside.open("wb") as file:
            for _ in range(4):
                file.write(bytes([letter]) * (SIZE // 4))
                file.flush()
    stop.set()
    reader.join()
    assert seen == {(SIZE, 1)}


def test_a_reader_always_finds_a_whole_folder(tmp_path):
    path = tmp_path / "store.zarr"
    write_folder(path, "0")
    if not atomic._exchange(path / "a", path / "inner" / "b"):
        pytest.skip("this file system cannot swap two names in one step")
    failures, stop = [], threading.Event()

    def read():
        while not stop.is_set():
            try:
                (path / "inner" / "b").read_text()
            except OSError as error:
                failures.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    for turn in range(40):
        write_folder(path, str(turn))
    stop.set()
    reader.join()
    assert failures == []


KILLED = """
import sys, time
from nowcast.field.atomic import written_beside
with written_beside(sys.argv[1]) as beside:
    beside.write_text("half")
    print("written", flush=True)
    time.sleep(60)
"""


def test_a_process_killed_in_mid_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "forecast.nc"
    path.write_text("old")
    child = subprocess.Popen([sys.executable, "-c", KILLED, str(path)], stdout=subprocess.PIPE)
    with child:
        assert child.stdout.readline() == b"written\n"
        child.send_signal(signal.SIGKILL)
    assert path.read_text() == "old"
    (part,) = set(names(tmp_path)) - {"forecast.nc"}
    assert part.startswith(".forecast.nc.")
    assert part.endswith(".part")
