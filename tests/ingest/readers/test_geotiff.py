"""GeoTIFF: against rasterio, and against the PGM of the same minute."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyproj
import pytest
import rasterio
from rasterio.transform import Affine

from nowcast.field.errors import FormatError, UnsafeFileError, UsageError
from nowcast.field.schema import Frames, grid_of
from nowcast.field.units import ZR
from nowcast.ingest.readers.geotiff import GeoTiff
from nowcast.ingest.readers.pgm import FmiPgm

NAME = "radar/fmi/geotiff/201609281445_FINUTM.tif"
PGM = "radar/fmi/pgm/20160928/201609281445_fmi.radar.composite.lowest_FIN_SUOMI1.pgm.gz"
STAMP = np.datetime64("2020-01-01T00:00")


@pytest.fixture(scope="module")
def real(shared_data: Path) -> Path:
    return shared_data / NAME


@pytest.fixture(scope="module")
def frames(real: Path) -> Frames:
    return GeoTiff().read(real)


@pytest.fixture(scope="module")
def stored(real: Path) -> Any:
    with rasterio.open(real) as tiff:
        return tiff.read(1)


def written(folder: Path, values: Any, **changes: Any) -> Path:
    """A GeoTIFF of EPSG:3067 with 1 km cells whose north-western corner is at (100 km, 7000 km)."""
    bands = np.atleast_3d(values) if changes.get("count") else np.asarray(values)[..., np.newaxis]
    height, width, count = bands.shape
    profile = {
        "driver": "GTiff",
        "height": height,
        "width": width,
        "count": count,
        "dtype": bands.dtype.name,
        "crs": "EPSG:3067",
        "transform": Affine(1000, 0, 100_000, 0, -1000, 7_000_000),
    } | changes
    path = folder / "small.tif"
    with rasterio.open(path, "w", **profile) as tiff:
        tiff.write(np.moveaxis(bands, -1, 0))
    return path


def test_every_value_is_that_of_rasterio(frames: Frames, stored: Any) -> None:
    rate = frames["rainfall_rate"].values[0]
    assert rate.shape == (7316, 4963)
    np.testing.assert_array_equal(np.isnan(rate), stored == 255)
    np.testing.assert_array_equal(rate == 0, stored == 0)
    echo = (stored > 0) & (stored < 255)
    dbz = 0.5 * stored[echo].astype(float) - 32
    np.testing.assert_allclose(rate[echo], (10 ** (dbz / 10) / 223) ** (1 / 1.53), rtol=1e-5)


def test_cells_lie_where_rasterio_says(real: Path, frames: Frames) -> None:
    grid = grid_of(frames)
    assert grid.crs.to_epsg() == 3067
    with rasterio.open(real) as tiff:
        x, y = pyproj.Proj("EPSG:3067")(24.9384, 60.1699)  # Helsinki
        assert grid.cell(lon=24.9384, lat=60.1699) == tiff.index(x, y)
        assert grid.geotransform == pytest.approx(tiff.transform.to_gdal())


def test_the_pgm_of_the_same_minute_shows_the_same_rain(shared_data: Path, frames: Frames) -> None:
    # Another grid, another projection, the same radars: both are right, or neither is.
    other = FmiPgm().read(shared_data / PGM)
    grid, rate = grid_of(frames), frames["rainfall_rate"].values[0]
    x, y = pyproj.Transformer.from_crs(4326, grid.crs, always_xy=True).transform(
        *grid_of(other).lonlat()
    )
    rows, columns = (grid.north - y) // grid.dy, (x - grid.west) // grid.dx
    inside = (rows >= 0) & (rows < grid.height) & (columns >= 0) & (columns < grid.width)
    ours = rate[rows[inside].astype(int), columns[inside].astype(int)]
    theirs = other["rainfall_rate"].values[0][inside]
    seen = np.isfinite(ours) & np.isfinite(theirs)
    assert seen.mean() > 0.5
    wet, also_wet = ours[seen] > 0.1, theirs[seen] > 0.1
    assert (wet & also_wet).sum() / (wet | also_wet).sum() > 0.85
    logs = [np.log10(side[seen][wet & also_wet]) for side in (ours, theirs)]
    assert np.corrcoef(*logs)[0, 1] > 0.85


def test_the_time_is_fmi_s_unless_stamped(real: Path, frames: Frames) -> None:
    assert GeoTiff().times(real) == np.datetime64("2016-09-28T14:45")
    assert frames["time"].values == np.datetime64("2016-09-28T14:45")


def test_numbers_by_hand(tmp_path: Path) -> None:
    path = written(tmp_path, np.array([[0, 255, 64], [111, 1, 84]], dtype=np.uint8))
    rate = GeoTiff().read(path, stamp=STAMP)["rainfall_rate"]
    expected = [[0, np.nan, (1 / 223) ** (1 / 1.53)], [(10**2.35 / 223) ** (1 / 1.53)]]
    np.testing.assert_allclose(rate.values[0, 0], expected[0], rtol=1e-5)
    assert rate.values[0, 1, 0] == pytest.approx(expected[1][0])
    assert list(rate["y"].values) == [6_999_500, 6_998_500]
    assert list(rate["x"].values) == [100_500, 101_500, 102_500]
    assert GeoTiff().times(path).size == 0


def test_rates_in_two_bytes_or_as_numbers_with_a_fraction(tmp_path: Path) -> None:
    reader = GeoTiff(gain=0.01, offset=0, nodata=65535, undetect=None, quantity="rate")
    path = written(tmp_path, np.array([[0, 65535], [150, 7]], dtype=np.uint16))
    rate = reader.read(path, stamp=STAMP)["rainfall_rate"].values[0]
    np.testing.assert_allclose(rate, np.array([[0, np.nan], [1.5, 0.07]]), rtol=1e-6)
    path = written(tmp_path, np.array([[-9999, 0], [2.5, -1]], dtype=np.float32))
    reader = GeoTiff(gain=1, offset=0, nodata=-9999, undetect=-1, quantity="rate")
    rate = reader.read(path, stamp=STAMP)["rainfall_rate"].values[0]
    np.testing.assert_allclose(rate, np.array([[np.nan, 0], [2.5, 0]]))


def test_what_the_file_states_wins(tmp_path: Path) -> None:
    path = written(tmp_path, np.array([[10, 20], [30, 40]], dtype=np.uint8), nodata=40)
    with rasterio.open(path, "r+") as tiff:
        tiff.scales, tiff.offsets = (2.0,), (1.0,)
    reader = GeoTiff(quantity="rate", nodata=10, undetect=None)
    rate = reader.read(path, stamp=STAMP)["rainfall_rate"].values[0]
    np.testing.assert_allclose(rate, np.array([[21, 41], [61, np.nan]]))
    with rasterio.open(path, "r+") as tiff:
        tiff.update_tags(
            GDAL_METADATA='<GDALMetadata><Item name="Observation time">202001020304</Item>'
            '<Item name="Gain">0.5</Item><Item name="Offset">0</Item>'
            '<Item name="Nodata">20</Item><Item name="Undetect">30</Item></GDALMetadata>'
        )
    frames = reader.read(path)
    values = frames["rainfall_rate"].values[0]
    np.testing.assert_allclose(values, np.array([[5, np.nan], [0, 20]]))
    assert frames["time"].values == np.datetime64("2020-01-02T03:04")


def test_south_first_files_are_turned(tmp_path: Path) -> None:
    north_first = np.arange(1, 7, dtype=np.uint8).reshape(3, 2)
    reader = GeoTiff(gain=1, offset=0, quantity="rate")
    upright = reader.read(written(tmp_path, north_first), stamp=STAMP)
    turned = written(
        tmp_path, north_first[::-1], transform=Affine(1000, 0, 100_000, 0, 1000, 6_997_000)
    )
    assert reader.read(turned, stamp=STAMP).identical(upright)


def test_another_relation_gives_other_rates(tmp_path: Path) -> None:
    path = written(tmp_path, np.full((2, 2), 100, dtype=np.uint8))
    rate = GeoTiff(zr=ZR()).read(path, stamp=STAMP)["rainfall_rate"].values
    assert rate == pytest.approx((10**1.8 / 200) ** (1 / 1.6))


def test_an_unknown_quantity_is_refused() -> None:
    with pytest.raises(UsageError, match="quantity 'DBZH', expected dbz or rate"):
        GeoTiff(quantity="DBZH")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"crs": None}, "no projection in the file"),
        ({"transform": Affine(1000, 50, 0, 50, -1000, 0)}, "a rotated or mirrored grid"),
        ({"crs": "EPSG:2263"}, "a projection in .*foot, expected metres"),
    ],
)
@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_grids_that_cannot_be_used_are_refused(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    path = written(tmp_path, np.zeros((2, 2), dtype=np.uint8), **changes)
    with pytest.raises(FormatError, match=f"small.tif: {message}"):
        GeoTiff().read(path, stamp=STAMP)


def test_damaged_and_foreign_files_are_refused(tmp_path: Path) -> None:
    path = written(tmp_path, np.random.default_rng(1).integers(0, 255, (99, 99), dtype=np.uint8))
    whole = path.read_bytes()
    assert GeoTiff().matches(path)
    for data in (b"", whole[: len(whole) // 2], b"GIF89a" + bytes(99), whole[:8]):
        path.write_bytes(data)
        with pytest.raises(FormatError, match=r"small\.tif: cannot be read .*expected a GeoTIFF"):
            GeoTiff().read(path, stamp=STAMP)
    assert not GeoTiff().matches(path)
    assert not GeoTiff().matches(tmp_path / "absent.tif")
    path.unlink()
    path = written(tmp_path, np.zeros((2, 2, 3), dtype=np.uint8), count=3)
    with pytest.raises(FormatError, match="3 bands, expected a GeoTIFF of one band"):
        GeoTiff().times(path)


def test_a_file_that_leads_to_another_one_is_not_followed(tmp_path: Path) -> None:
    secret = written(tmp_path, np.full((2, 2), 100, dtype=np.uint8))
    path = tmp_path / "virtual.tif"
    path.write_text(
        '<VRTDataset rasterXSize="2" rasterYSize="2"><SRS>EPSG:3067</SRS>'
        '<GeoTransform>0,1000,0,0,0,-1000</GeoTransform><VRTRasterBand dataType="Byte" band="1">'
        f"<SimpleSource><SourceFilename>{secret}</SourceFilename><SourceBand>1</SourceBand>"
        "</SimpleSource></VRTRasterBand></VRTDataset>"
    )
    with rasterio.open(path) as followed:  # what would happen without care
        assert (followed.read(1) == 100).all()
    with pytest.raises(FormatError, match=r"virtual\.tif: cannot be read"):
        GeoTiff().read(path, stamp=STAMP)


def test_a_bomb_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bomb.tif"
    profile = {"width": 200_000, "height": 200_000, "count": 1, "dtype": "uint8", "tiled": True}
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        crs="EPSG:3067",
        sparse_ok=True,
        transform=Affine(2, 0, 0, 0, -2, 0),
        blockxsize=2048,
        blockysize=2048,
        **profile,
    ):
        pass
    assert path.stat().st_size < 1_000_000
    with pytest.raises(UnsafeFileError, match="declares 200000x200000 cells"):
        GeoTiff().read(path, stamp=STAMP)
