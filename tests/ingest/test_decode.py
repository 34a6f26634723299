"""Which reader a file needs."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from config.feed import FEEDS, FeedProfile, ReaderFormat
from nowcast.field.errors import FormatError, MissingFramesError, UsageError
from nowcast.field.units import ZR
from nowcast.ingest import decode

RAIN = np.ones((20, 30), np.float32)


def test_every_format_and_every_feed_has_a_reader() -> None:
    for name in get_args(ReaderFormat):
        profile = FEEDS.named("odim").model_copy(
            update={"reader": FEEDS.named("odim").reader.model_copy(update={"format": name})}
        )
        reader = decode.reader_of(profile)
        assert callable(reader.read)
        assert callable(reader.matches)
    for profile in FEEDS.all().values():
        decode.reader_of(profile)


def test_a_profile_sets_its_reader_up() -> None:
    from nowcast.ingest.readers.knmi import KnmiHdf5
    from nowcast.ingest.readers.odim import Odim
    from nowcast.ingest.readers.pgm import FmiPgm

    knmi = decode.reader_of(FEEDS.named("knmi"))
    assert isinstance(knmi, KnmiHdf5)
    assert (knmi.accumulation_minutes, knmi.zr) == (5, ZR(200, 1.6))
    fmi = decode.reader_of(FEEDS.named("fmi"))
    assert isinstance(fmi, FmiPgm)
    assert fmi.zr == ZR(223, 1.53)
    cirrus = decode.reader_of(FEEDS.named("opera-cirrus"))
    assert isinstance(cirrus, Odim)
    assert cirrus.quantity == "DBZH"


def test_an_option_that_the_reader_does_not_take_is_refused(little: FeedProfile) -> None:
    profile = little.model_copy(
        update={"reader": little.reader.model_copy(update={"gain": 0.5, "variable": "R"})}
    )
    with pytest.raises(UsageError) as caught:
        decode.reader_of(profile)
    assert str(caught.value).startswith(
        "feed little: reader odim takes no gain, variable; it takes"
    )


def test_one_feed_does_not_load_the_libraries_of_another() -> None:
    code = (
        "import sys; from config.feed import FEEDS; from nowcast.ingest import archive, decode; "
        "decode.reader_of(FEEDS.named('knmi')); "
        "print([m for m in ('rasterio', 'eccodes', 'wradlib', 'PIL', 'pysteps', 'torch', "
        "'matplotlib', 'cfgrib') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    )
    assert done.stdout.strip() == "[]"


def test_a_missing_library_is_named_with_the_extra_that_brings_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """None in sys.modules is how Python itself marks a module that cannot be imported."""
    path = tmp_path / "raa01-yw2017.002_10000-1708160055-dwd---bin"
    path.write_bytes(b"YW160055100000817BY  1980156VS 5SW  P200004HPR E-02")
    for name, library, extra in (
        ("mrms", "eccodes", "grib"),
        ("fmi-geotiff", "rasterio", "geo"),
        ("dwd-radolan", "wradlib", "radolan"),
    ):
        monkeypatch.setitem(sys.modules, library, None)
        with pytest.raises(UsageError, match=rf"needs {library}, .*mim-nowcast\[{extra}\]"):
            decode.reader_of(FEEDS.named(name))
    for profiles in ([], [FEEDS.named("dwd-radolan")]):
        with pytest.raises(UsageError, match="format radolan needs wradlib"):
            decode.open_frames(path, profiles=profiles)


def test_a_known_name_gives_the_time_and_the_feeds_settings(
    little: FeedProfile, write_frame: Callable[..., Path], tmp_path: Path
) -> None:
    path = write_frame(tmp_path, "2020-05-01T00:05", RAIN * 30, quantity="DBZH")
    late = path.rename(path.with_name("little_202005010010.h5"))
    tuned = little.model_copy(update={"zr": FEEDS.named("fmi").zr})
    frames = decode.open_frames(late, profiles=[FEEDS.named("knmi"), tuned])
    assert frames["time"].values[0] == np.datetime64("2020-05-01T00:10")
    expected = (10**3 / 223) ** (1 / 1.53)
    np.testing.assert_allclose(frames["rainfall_rate"].values, expected, rtol=1e-5)


def test_an_unknown_name_is_known_by_its_content(
    write_frame: Callable[..., Path], tmp_path: Path
) -> None:
    path = write_frame(tmp_path, "2020-05-01T00:05", RAIN, name="mystery.bin")
    frames = decode.open_frames(path, profiles=FEEDS.all().values())
    assert frames["time"].values[0] == np.datetime64("2020-05-01T00:05")
    # Named as one feed, but of another format inside.
    misnamed = path.rename(tmp_path / "RAD_NL25_RAP_5min_202005010010.h5")
    frames = decode.open_frames(misnamed, profiles=FEEDS.all().values())
    assert frames["time"].values[0] == np.datetime64("2020-05-01T00:05")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("anything.h5", b"", "anything.h5: an empty file, expected one of knmi-hdf5, "),
        ("a.h5", b"<html><body>404", r"a.h5: 15 bytes that begin with b'<html><b', expected one"),
        ("RAD_NL25_RAP_5min_202005010010.h5", b"", "202005010010.h5: empty, expected"),
        ("AQC151351825F_00005.801.gif", b"GIF89a", r"AQC151351825F_00005.801.gif: "),
        ("composite_rv_20250923_0855.tar", b"\0" * 2000, r"composite_rv_20250923_0855.tar: "),
        ("PrecipRate_00.00_20190610-010600.grib2", b"GRIB\0\0\0\2", r"010600.grib2: "),
        ("raa01-yw2017.002_10000-1708160055-dwd---bin.gz", b"\x1f\x8b\x08", r"---bin.gz: "),
        ("rainfall_NW_2016_08.3.npz", b"PK\x03\x04", r"rainfall_NW_2016_08.3.npz: "),
        ("66_20201031_131000.prcp-c10.nc", b"CDF\x01", r"prcp-c10.nc: "),
        ("201609281445_FINUTM.tif", b"II*\0", r"FINUTM.tif: "),
    ],
)
def test_a_broken_or_foreign_file_is_named(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(FormatError, match=message):
        decode.open_frames(path, profiles=FEEDS.all().values())


def test_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(MissingFramesError, match=r"absent\.h5: no such file"):
        decode.open_frames(tmp_path / "absent.h5", profiles=[])
    with pytest.raises(FormatError, match="a folder, expected one of"):
        decode.open_frames(tmp_path, profiles=[])
