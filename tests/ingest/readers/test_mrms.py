"""MRMS GRIB2: against eccodes' and Pillow's decoding, and by hand."""

from __future__ import annotations

import gzip
import io
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from nowcast.field.errors import FormatError, UnsafeFileError
from nowcast.field.schema import Frames, grid_of
from nowcast.ingest.readers.mrms import MrmsGrib

RATE = "radar/mrms/2019/06/10/PrecipRate_00.00_20190610-000200.grib2"
DBZ = "radar/mrms/MRMS_ReflectivityAtLowestAltitude_00.50_20230406-120039.grib2.gz"


@pytest.fixture(scope="module")
def rate_file(shared_data: Path) -> Path:
    return shared_data / RATE


@pytest.fixture(scope="module")
def rate(rate_file: Path) -> Frames:
    return MrmsGrib().read(rate_file)


def message(folder: Path, values: Any, *, as_image: bool = True, **changes: Any) -> Path:
    """An MRMS message of tenths (mm/h or dBZ) on 1 degree cells from 45 N, 265 E."""
    import eccodes

    field = np.asarray(values, dtype=float)
    keys = {
        "Ni": field.shape[1],
        "Nj": field.shape[0],
        "latitudeOfFirstGridPointInDegrees": 45.0,
        "longitudeOfFirstGridPointInDegrees": 265.0,
        "latitudeOfLastGridPointInDegrees": 45.0 - (field.shape[0] - 1),
        "longitudeOfLastGridPointInDegrees": 265.0 + field.shape[1] - 1,
        "iDirectionIncrementInDegrees": 1.0,
        "jDirectionIncrementInDegrees": 1.0,
        "dataDate": 20190610,
        "hour": 3,
        "minute": 4,
        "second": 39,
        "bitsPerValue": 16,
        "parameterCategory": 6,
        "parameterNumber": 1,
    } | changes
    handle = eccodes.codes_grib_new_from_samples("regular_ll_sfc_grib2")
    for key, value in keys.items():
        eccodes.codes_set(handle, key, value)
    eccodes.codes_set_values(handle, field.ravel())
    data = eccodes.codes_get_message(handle)
    eccodes.codes_release(handle)
    if as_image:
        data = with_image(data, field)
    path = folder / "message.grib2"
    # eccodes knows no parameters of MRMS's discipline, and refuses to set them.
    path.write_bytes(data[:6] + bytes([209]) + data[7:])
    return path


def with_image(data: bytes, field: Any) -> bytes:
    """The message with its values packed as MRMS does: template 5.41, a PNG in section 7."""
    start, sections = 16, b""
    while data[start + 4] < 5:  # keep identification, grid and product
        length = int.from_bytes(data[start : start + 4], "big")
        sections += data[start : start + length]
        start += length
    numbers = np.round((field - field.min()) * 10).astype(np.uint16)
    stream = io.BytesIO()
    Image.fromarray(numbers).save(stream, format="PNG")
    image = stream.getvalue()
    packing = struct.pack(">IBIHfhhBB", 21, 5, field.size, 41, field.min() * 10, 0, 1, 16, 0)
    sections += packing + struct.pack(">IBB", 6, 6, 255)
    sections += struct.pack(">IB", 5 + len(image), 7) + image + b"7777"
    return data[:8] + struct.pack(">Q", 16 + len(sections)) + sections


@pytest.mark.parametrize("as_image", [True, False])
def test_rates_by_hand(tmp_path: Path, *, as_image: bool) -> None:
    path = message(tmp_path, [[-3, -1, 0], [1.5, 0.2, 80]], as_image=as_image)
    frames = MrmsGrib().read(path)
    values = frames["rainfall_rate"].values[0]
    np.testing.assert_allclose(values, [[np.nan, np.nan, 0], [1.5, 0.2, 80]], atol=2e-3)
    assert list(frames["y"].values) == [45, 44]
    assert list(frames["x"].values) == [-95, -94, -93]
    assert frames["time"].values == np.datetime64("2019-06-10T03:04:39")


def test_reflectivity_by_hand(tmp_path: Path) -> None:
    path = message(
        tmp_path,
        [[-999, -99, 0], [23.0, 40, -30]],
        parameterCategory=10,
        parameterNumber=0,
    )
    values = MrmsGrib().read(path)["rainfall_rate"].values[0]
    assert np.isnan(values[0, 0])
    assert values[0, 1] == 0
    assert values[0, 2] == pytest.approx((1 / 200) ** (1 / 1.6))
    assert values[1, 0] == pytest.approx(1, rel=2e-3)  # Z = 200 is 1 mm/h, at 23.01 dBZ
    assert 0 < values[1, 2] < 1e-3


def test_south_first_messages_are_turned(tmp_path: Path) -> None:
    upright = MrmsGrib().read(message(tmp_path, [[1, 2], [3, 4], [5, 6]]))
    turned = message(
        tmp_path,
        [[5, 6], [3, 4], [1, 2]],
        jScansPositively=1,
        latitudeOfFirstGridPointInDegrees=43.0,
        latitudeOfLastGridPointInDegrees=45.0,
    )
    assert MrmsGrib().read(turned).identical(upright)


def test_every_rate_is_that_of_eccodes(rate_file: Path, rate: Frames) -> None:
    import eccodes

    handle = eccodes.codes_new_from_message(rate_file.read_bytes())
    theirs = eccodes.codes_get_array(handle, "values").reshape(3500, 7000)
    eccodes.codes_release(handle)
    ours = rate["rainfall_rate"].values[0]
    np.testing.assert_array_equal(np.isnan(ours), theirs == -3)
    np.testing.assert_array_equal(ours == 0, theirs == 0)
    np.testing.assert_allclose(ours[theirs > 0], theirs[theirs > 0], rtol=1e-6)
    assert np.isnan(ours).sum() > 8_000_000
    assert (theirs > 10).sum() > 1000


def test_cells_and_times_of_the_rate(rate_file: Path, rate: Frames) -> None:
    grid = grid_of(rate)
    assert grid.shape == (3500, 7000)
    assert grid.extent == pytest.approx((-130, -60, 20, 55))
    # Oklahoma City: (55 - 35.4676) / 0.01 rows down, (130 - 97.5164) / 0.01 columns across.
    assert grid.cell(lon=-97.5164, lat=35.4676) == (1953, 3248)
    seen = np.isfinite(rate["rainfall_rate"].values[0])
    assert seen[grid.cell(lon=-97.28, lat=35.33)]  # radar KTLX
    assert not seen[grid.cell(lon=-129, lat=21)]  # the Pacific
    assert MrmsGrib().times(rate_file) == np.datetime64("2019-06-10T00:02")
    assert rate["time"].values == np.datetime64("2019-06-10T00:02")


def test_gzipped_reflectivity(shared_data: Path) -> None:
    path = shared_data / DBZ
    frames = MrmsGrib().read(path)
    data = gzip.decompress(path.read_bytes())
    numbers = np.asarray(Image.open(io.BytesIO(data[data.index(b"\x89PNG") :])))
    dbz = (numbers.astype(np.float32) - 9990) / 10  # reference value and decimal scale
    ours = frames["rainfall_rate"].values[0]
    np.testing.assert_array_equal(np.isnan(ours), dbz == -999)
    np.testing.assert_array_equal(ours == 0, dbz == -99)
    echo = dbz > -99
    np.testing.assert_allclose(ours[echo], (10 ** (dbz[echo] / 10) / 200) ** 0.625, rtol=1e-4)
    assert MrmsGrib().matches(path)
    assert frames["time"].values == np.datetime64("2023-04-06T12:00:39")
    assert frames.attrs["title"] == "MRMS ReflectivityAtLowestAltitude"


def test_gzipping_changes_nothing(tmp_path: Path) -> None:
    plain = message(tmp_path, [[-3, 0], [1, 2]])
    packed = tmp_path / "packed.grib2.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    assert MrmsGrib().matches(plain)
    assert MrmsGrib().matches(packed)
    assert MrmsGrib().read(packed).identical(MrmsGrib().read(plain))
    stamp = np.datetime64("2020-01-01")
    assert MrmsGrib().read(packed, stamp=stamp)["time"].values == stamp


def test_other_parameters_are_refused(tmp_path: Path) -> None:
    path = message(tmp_path, [[1, 2], [3, 4]], parameterCategory=3, parameterNumber=28)
    with pytest.raises(FormatError, match=r"message\.grib2: MRMS parameter 3\.28, expected Prec"):
        MrmsGrib().read(path)


def test_other_grib_is_not_mrms(shared_data: Path) -> None:
    path = shared_data / "weather/era5/era5-2mt-2019-03-uk.grib"
    assert not MrmsGrib().matches(path)
    with pytest.raises(FormatError, match=r"begins with b'GRIB.*discipline 209"):
        MrmsGrib().times(path)


def test_damaged_files_are_refused(tmp_path: Path) -> None:
    path = message(tmp_path, np.random.default_rng(1).random((20, 20)) * 50)
    whole = path.read_bytes()
    image = bytearray(whole)
    image[whole.index(b"IDAT") + 20] ^= 255
    for data, said in [
        (b"", "empty, expected one GRIB2"),
        (whole[:-30], "cut short"),
        (whole + whole, "cut short, or more than one"),
        (bytes(image), "damaged image in the GRIB"),
        (b"P5\n" + bytes(99), "begins with b'P5"),
    ]:
        path.write_bytes(data)
        with pytest.raises(FormatError, match=rf"message\.grib2: .*{said}"):
            MrmsGrib().read(path)
    path.write_bytes(b"")
    assert not MrmsGrib().matches(path)


def test_a_message_that_declares_too_much_is_refused(tmp_path: Path) -> None:
    path = message(tmp_path, [[1, 2], [3, 4]])
    data = bytearray(path.read_bytes())
    section = data.index(bytes([0, 0, 0, 72, 3]))  # the grid's: 72 bytes, number 3
    data[section + 30 : section + 38] = (100_000).to_bytes(4, "big") * 2
    path.write_bytes(data)
    with pytest.raises(UnsafeFileError, match="declares 100000x100000 cells"):
        MrmsGrib().read(path)


@pytest.mark.parametrize("scale", ["binary", "decimal"])
def test_scales_beyond_all_numbers_are_refused(tmp_path: Path, scale: str) -> None:
    """Mutant 1833 of the fuzz: 10 to the power of 32767."""
    path = message(tmp_path, [[-3, -1, 0], [1.5, 0.2, 80]], as_image=True)
    data = bytearray(path.read_bytes())
    start = data.rindex(struct.pack(">IB", 21, 5))
    place = start + {"binary": 15, "decimal": 17}[scale]
    # GRIB keeps the sign in the first bit.
    data[place : place + 2] = struct.pack(">H", 0xFFFF if scale == "decimal" else 0x7FFF)
    path.write_bytes(data)
    with pytest.raises(FormatError, match="infinite"):
        MrmsGrib().read(path)


def test_a_picture_of_another_size_than_the_grid_is_not_unpacked(tmp_path: Path) -> None:
    path = message(tmp_path, np.zeros((20, 30)), as_image=True, Ni=60)
    with pytest.raises(FormatError, match="an image of 20x30 in the GRIB, expected 20x60"):
        MrmsGrib().read(path)
