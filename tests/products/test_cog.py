"""Forecasts as cloud-optimised GeoTIFF. (Places on fifteen projections: test_compliance.)"""

from __future__ import annotations

import numpy as np
import pytest
import rasterio
from forecast_samples import clock, file_size_limit, forecast, grid_of
from rio_cogeo import cog_info, cog_validate

from nowcast.field import schema
from nowcast.field.errors import ProductError
from nowcast.products.cog import Cog


@pytest.fixture(scope="module")
def large():
    """A forecast of more than one tile, dry but for a shower."""
    grid = grid_of("knmi", height=530, width=1100)
    made = forecast(grid=grid, leads=4)
    made["rainfall_rate"].values[:, 2:, 200:] = 0
    return made


@pytest.mark.parametrize("compression", ["deflate", "zstd"])
def test_it_is_cloud_optimised_and_holds_the_same_values(tmp_path, large, compression):
    path = Cog(compression=compression, clock=clock).write(large, into=tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["20150515T1200Z.tif"]
    assert cog_validate(path, strict=True) == (True, [], [])
    with rasterio.open(path) as seen:
        assert seen.profile["compress"] == compression
        assert seen.interleaving == rasterio.enums.Interleaving.band
        assert seen.block_shapes == [(512, 512)] * 4
        assert np.isnan(seen.nodata)
        np.testing.assert_array_equal(seen.read(), large["rainfall_rate"].values)


def test_overviews_are_means_of_what_was_seen(tmp_path, large):
    path = Cog(clock=clock).write(large, into=tmp_path)
    levels = [(level.Width, level.Height) for level in cog_info(path).IFD]
    assert levels == [(1100, 530), (550, 265), (275, 133)]
    rate = large["rainfall_rate"].values[0]
    with rasterio.open(path, overview_level=0) as half:
        seen = half.read(1)
    cells = rate[:530, :].reshape(265, 2, 550, 2)
    # The last row of the sample was not seen: the mean is that of the row above.
    np.testing.assert_allclose(seen, np.nanmean(cells, axis=(1, 3)), rtol=1e-5)


def test_a_small_grid_needs_no_overviews(tmp_path):
    path = Cog(clock=clock).write(forecast(), into=tmp_path)
    with rasterio.open(path) as seen:
        assert seen.overviews(1) == []


def test_bands_and_tags_say_what_they_are(tmp_path):
    made = forecast().assign_attrs(degraded_reason="mim: no weights", licence="CC BY 4.0, Météo")
    path = Cog(clock=clock).write(schema.as_forecast(made), into=tmp_path)
    with rasterio.open(path) as seen:
        assert seen.descriptions == ("+005 min", "+010 min", "+015 min")
        assert seen.units == ("mm h-1",) * 3
        tags = seen.tags()
        assert seen.tags(2)["time"] == "2015-05-15T12:10:00Z"
        assert seen.tags(2)["lead_minutes"] == "10"
    assert tags["forecast_reference_time"] == "2015-05-15T12:00:00Z"
    assert tags["source"] == "persistence"
    assert tags["degraded_reason"] == "mim: no weights"
    assert tags["licence"] == "CC BY 4.0, Météo"
    assert tags["input_sha256"] == "ab" * 32
    assert tags["units"] == "mm h-1"
    assert tags["AREA_OR_POINT"] == "Area"
    assert tags["TIFFTAG_DATETIME"] == "2024:02:29 23:59:58"


def test_same_input_gives_the_same_bytes(tmp_path):
    contents = []
    for name in "ab":
        (tmp_path / name).mkdir()
        contents.append(Cog(clock=clock).write(forecast(), into=tmp_path / name).read_bytes())
    assert contents[0] == contents[1]


def test_a_folder_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ProductError, match=r"20150515T1200Z\.tif: .* its folder is a file"):
        Cog().write(forecast(), into=tmp_path / "file")


def test_without_space_the_old_file_stays_and_nothing_else(tmp_path):
    old = Cog(clock=clock).write(forecast(), into=tmp_path)
    content = old.read_bytes()
    large = forecast(grid=grid_of("knmi", height=200, width=200))
    with file_size_limit(2000), pytest.raises(ProductError, match="would exceed the size limit"):
        Cog().write(large, into=tmp_path)
    assert old.read_bytes() == content
    assert list(tmp_path.iterdir()) == [old]
