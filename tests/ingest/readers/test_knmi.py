"""KNMI HDF5: against pysteps and bare h5py, and by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nowcast.field.errors import FormatError
from nowcast.field.grid import Grid
from nowcast.field.schema import grid_of
from nowcast.field.units import ZR
from nowcast.ingest.readers.knmi import KnmiHdf5

RAIN = "radar/knmi/2010/08/RAD_NL25_RAP_5min_201008260500.h5"
REFLECTIVITY = "radar/knmi/RAD_NL25_PCP_CM_202106222000.h5"


def grid_and_rate(path: Path, **settings: Any) -> tuple[Grid, np.ndarray]:
    frames = KnmiHdf5(**settings).read(path)
    return grid_of(frames), frames["rainfall_rate"].values[0]


def test_rain_as_pysteps_reads_it(shared_data: Path) -> None:
    from pysteps.io.importers import import_knmi_hdf5

    depth, _, _ = import_knmi_hdf5(str(shared_data / RAIN), qty="ACRR", accutime=5.0)
    _, rate = grid_and_rate(shared_data / RAIN)
    np.testing.assert_array_equal(np.isnan(rate), np.isnan(depth))
    np.testing.assert_allclose(rate, depth * 12, rtol=1e-6, equal_nan=True)
    assert (rate == 0).sum() == (depth == 0).sum() > 50_000
    assert np.isfinite(rate).mean() == pytest.approx(0.2563, abs=1e-4)


def test_reflectivity_as_pysteps_reads_it(shared_data: Path) -> None:
    from pysteps.io.importers import import_knmi_hdf5

    dbz, _, _ = import_knmi_hdf5(str(shared_data / REFLECTIVITY), qty="DBZH")
    _, rate = grid_and_rate(shared_data / REFLECTIVITY)
    np.testing.assert_array_equal(np.isnan(rate), np.isnan(dbz))
    echo = dbz > -32  # pysteps leaves cells without an echo at the lowest step of the scale
    np.testing.assert_allclose(rate[echo], (10 ** (dbz[echo] / 10) / 200) ** (1 / 1.6), rtol=1e-5)
    with h5py.File(shared_data / REFLECTIVITY) as file:
        numbers = file["image1/image_data"][()]
    np.testing.assert_array_equal(rate == 0, numbers == 0)
    np.testing.assert_array_equal(np.isnan(rate), numbers == 255)
    _, finnish = grid_and_rate(shared_data / REFLECTIVITY, zr=ZR(223.0, 1.53))
    np.testing.assert_allclose(finnish[echo], ZR(223.0, 1.53).rate_mm_h(dbz[echo]), rtol=1e-6)


@pytest.mark.parametrize("name", [RAIN, REFLECTIVITY])
def test_amsterdam_lies_where_it_should(shared_data: Path, name: str) -> None:
    grid, _ = grid_and_rate(shared_data / name)
    assert grid.cell(lon=4.85, lat=52.37) == (398, 343)
    assert grid.crs.axis_info[0].unit_name == "metre"
    assert grid.crs.ellipsoid is not None
    assert grid.crs.ellipsoid.semi_major_metre == pytest.approx(6378137, abs=4)
    with h5py.File(shared_data / name) as file:
        corners = file["geographic"].attrs["geo_product_corners"].reshape(4, 2)
    for (lon, lat), row, column in zip(
        corners, (764.5, -0.5, -0.5, 764.5), (-0.5, -0.5, 699.5, 699.5), strict=True
    ):
        assert grid.lonlat_of(row, column) == pytest.approx((lon, lat), abs=2e-3)


def test_times_are_those_of_the_names(shared_data: Path) -> None:
    for path in sorted((shared_data / RAIN).parent.glob("*.h5"))[::30]:
        digits = path.stem[-12:]
        named = f"{digits[:4]}-{digits[4:6]}-{digits[6:8]}T{digits[8:10]}:{digits[10:]}"
        assert KnmiHdf5().times(path) == [np.datetime64(named, "ns")]
    stamp = np.datetime64("2010-08-26T06:00", "ns")
    frames = KnmiHdf5().read(shared_data / RAIN, stamp=stamp)
    assert frames["time"].values == [stamp]
    assert frames.attrs["accumulation_minutes"] == 5


def test_every_file_is_its_own(shared_data: Path) -> None:
    assert KnmiHdf5().matches(shared_data / RAIN)
    assert KnmiHdf5().matches(shared_data / REFLECTIVITY)
    odim = shared_data / "radar/odim/odim_RAD_NL25_ETH_NA_202506030910.h5"
    assert not KnmiHdf5().matches(odim)
    with pytest.raises(FormatError, match="holds no image, expected one image in MM, MM/H, DBZ"):
        KnmiHdf5().read(odim)


def small(folder: Path, **changes: Any) -> Path:
    """Two rows and three columns, 1 km each, as KNMI lays them out."""
    values: dict[str, Any] = {
        "formula": "GEO=0.01*PV+0.0",
        "missing": 65534,
        "outside": 65535,
        "unit": "ACCUMULATED_PRECIPITATION_[MM]",
        "numbers": np.array([[0, 100, 65535], [65534, 1, 2]], dtype=np.uint16),
        "start": "25-AUG-2010;23:55:00.000",
        "end": "26-AUG-2010;00:00:00.000",
        "images": 1,
        "rows": 2,
        "dimensions": "KM,KM",
        "projection": "+proj=stere +lat_0=90 +lon_0=0 +lat_ts=60 +a=6378.14 +b=6356.75 y_0=0",
    } | changes
    path = folder / "small.h5"
    with h5py.File(path, "w") as file:
        overview, place = file.create_group("overview"), file.create_group("geographic")
        overview.attrs["product_datetime_start"] = np.bytes_(values["start"])
        overview.attrs["product_datetime_end"] = np.bytes_(values["end"])
        place.attrs["geo_dim_pixel"] = np.bytes_(values["dimensions"])
        place.attrs["geo_number_rows"] = np.array([values["rows"]])
        place.attrs["geo_number_columns"] = np.array([3])
        place.attrs["geo_column_offset"], place.attrs["geo_row_offset"] = 0.0, 3650.0
        place.attrs["geo_pixel_size_x"], place.attrs["geo_pixel_size_y"] = 1.0, -1.0
        mapping = place.create_group("map_projection")
        mapping.attrs["projection_proj4_params"] = np.bytes_(values["projection"])
        for index in range(values["images"]):
            image = file.create_group(f"image{index + 1}")
            image.attrs["image_geo_parameter"] = np.bytes_(values["unit"])
            image["image_data"] = values["numbers"]
            calibration = image.create_group("calibration")
            calibration.attrs["calibration_formulas"] = np.bytes_(values["formula"])
            calibration.attrs["calibration_missing_data"] = np.array([values["missing"]])
            calibration.attrs["calibration_out_of_image"] = np.array([values["outside"]])
    return path


def test_by_hand(tmp_path: Path) -> None:
    grid, rate = grid_and_rate(small(tmp_path))
    expected = np.array([[0, 12, np.nan], [np.nan, 0.12, 0.24]])
    np.testing.assert_allclose(rate, expected, rtol=1e-6)
    assert grid.extent == (0, 3000, -3652000, -3650000)
    _, hourly = grid_and_rate(small(tmp_path), accumulation_minutes=60)
    np.testing.assert_allclose(hourly[0, 1], 1.0)


def test_reflectivity_and_rate_by_hand(tmp_path: Path) -> None:
    numbers = np.array([[0, 110, 255], [1, 64, 128]], dtype=np.uint8)
    dbz = {"unit": "REFLECTIVITY_[DBZ]", "formula": "GEO = 0.500000 * PV + -32.000000"}
    _, rate = grid_and_rate(small(tmp_path, numbers=numbers, missing=0, outside=255, **dbz))
    expected = ZR().rate_mm_h(np.array([[-np.inf, 23, np.nan], [-31.5, 0, 32]]))
    np.testing.assert_allclose(rate, expected, rtol=1e-6)
    assert rate[0, 0] == 0
    # Where one code stands for both, nobody can tell: unseen is never dry.
    _, rate = grid_and_rate(small(tmp_path, numbers=numbers, missing=0, outside=0, **dbz))
    assert np.isnan(rate[0, 0])
    _, rate = grid_and_rate(
        small(tmp_path, numbers=numbers, unit="RAIN_RATE_[MM/H]", formula="geo=2*pv", outside=255)
    )
    np.testing.assert_allclose(rate, np.array([[0, 220, np.nan], [2, 128, 256]]))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"formula": "GEO=__import__('os').getpid()"}, "calibration .*, expected 'GEO=a\\*PV"),
        ({"formula": "GEO=0.01*PV+-5.0"}, "cells hold impossible rates, -60 mm/h"),
        ({"unit": "HEIGHT_[KM]"}, r"holds HEIGHT_\[KM\], expected one image in MM, MM/H, DBZ"),
        ({"images": 2}, "holds ACCUMULATED_.*, ACCUMULATED_.*, expected one image"),
        ({"images": 0}, "holds no image"),
        (
            {"start": "26-AUG-2010;00:00:00.000"},
            "accumulation over 0 min, .*: set accumulation_minutes",
        ),
        ({"end": "26-XXX-2010;00:00:00.000"}, "product_datetime_end '26-XXX.*, expected a time"),
        ({"end": "31-FEB-2010;00:00:00.000"}, "product_datetime_end '31-FEB.*, expected a time"),
        ({"rows": 3}, r"an image of shape \(2, 3\), expected \(3, 3\)"),
        ({"dimensions": "DEG,DEG"}, "pixels measured in DEG,DEG"),
        ({"projection": "+proj=nowhere +a=1"}, "an unknown projection"),
        ({"projection": "+proj=stere +a=big"}, "projection with 'big', expected a number"),
        ({"numbers": np.array([[b"a"] * 3] * 2)}, "no numbers in /image1/image_data"),
    ],
)
def test_what_makes_no_sense_is_refused(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(FormatError, match=rf"small\.h5: .*{message}"):
        KnmiHdf5().read(small(tmp_path, **changes))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small(tmp_path_factory.mktemp("whole"))


@given(st.data())
def test_truncated_anywhere(whole: Path, data: st.DataObject) -> None:
    content, path = whole.read_bytes(), whole.with_name("cut.h5")
    path.write_bytes(content[: data.draw(st.integers(0, len(content) - 1))])
    with pytest.raises(FormatError, match=r"cut\.h5: "):
        KnmiHdf5().read(path)
