"""MeteoNet npz: against numpy, and by hand."""

from __future__ import annotations

import datetime as dt
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nowcast.field.errors import FormatError, UnsafeFileError
from nowcast.field.schema import Frames, grid_of
from nowcast.ingest.readers.meteonet import MeteonetNpz

FOLDER = "radar/meteonet"


@pytest.fixture(scope="module", params=["NW", "SE"])
def real(request: pytest.FixtureRequest, shared_data: Path) -> Path:
    return shared_data / FOLDER / f"rainfall_{request.param}_2016_08.3.npz"


@pytest.fixture(scope="module")
def frames(real: Path) -> Frames:
    return MeteonetNpz().read(real)


def maps(folder: Path, data: Any, *, minutes: list[int]) -> Path:
    """A file of these maps, and beside it the grid they lie on."""
    data = np.asarray(data, dtype=np.int16)
    start = dt.datetime(2016, 8, 28, 10)  # noqa: DTZ001 - as MeteoNet stores them
    dates = [start + dt.timedelta(minutes=minute) for minute in minutes]
    path = folder / "rainfall_XX_2016_08.3.npz"
    np.savez_compressed(path, data=data, dates=np.array(dates, dtype=object))
    height, width = data.shape[1:]
    lons, lats = np.meshgrid(2 + 0.01 * np.arange(width), 46 - 0.01 * np.arange(height))
    np.savez_compressed(folder / "radar_coords_XX.npz", lats=lats, lons=lons)
    return path


def test_numbers_by_hand(tmp_path: Path) -> None:
    # Out of order, which is put right: 25 hundredths of a millimetre in 5 min are 3 mm/h.
    path = maps(tmp_path, [[[1, 2], [3, 4]], [[0, -1], [25, 100]]], minutes=[5, 0])
    frames = MeteonetNpz().read(path)
    rate = frames["rainfall_rate"]
    np.testing.assert_allclose(rate.values[0], np.array([[0, np.nan], [3, 12]]), rtol=1e-6)
    np.testing.assert_allclose(rate.values[1], [[0.12, 0.24], [0.36, 0.48]], rtol=1e-6)
    assert list(rate["y"].values) == pytest.approx([46, 45.99])
    assert list(rate["x"].values) == pytest.approx([2, 2.01])
    assert list(MeteonetNpz().times(path)) == [
        np.datetime64("2016-08-28T10:05"),
        np.datetime64("2016-08-28T10:00"),
    ]


def test_values_are_those_of_numpy(real: Path, frames: Frames) -> None:
    with np.load(real) as file:
        stored = file["data"][::5]
    rate = frames["rainfall_rate"].values[::5]
    assert np.isnan(rate).sum() == (stored == -1).sum() > 0
    assert (rate == 0).sum() == (stored == 0).sum() > 0
    expected = np.where(stored == -1, np.nan, stored * 0.12)
    np.testing.assert_allclose(rate, expected, rtol=1e-5)


def test_times_are_the_scattered_ones(real: Path, frames: Frames) -> None:
    times = MeteonetNpz().times(real)
    assert times.size == frames.sizes["time"] == 45
    np.testing.assert_array_equal(frames["time"].values, times)
    minute = np.timedelta64(1, "m")
    morning = np.datetime64("2016-08-28T10:00") + 5 * minute * np.arange(15)
    noon = np.datetime64("2016-08-28T13:00") + 5 * minute * np.arange(12)
    assert np.isin(morning, times).all()
    assert np.isin(noon, times).all()
    assert times[-1] == np.datetime64("2016-08-31T00:30")


def test_places_lie_in_the_right_cells(real: Path, frames: Frames) -> None:
    grid = grid_of(frames)
    if "NW" in real.name:  # Brest: (51.896 - 48.39) / 0.01 down, (5.842 - 4.49) / 0.01 across
        assert grid.shape == (565, 784)
        assert grid.cell(lon=-4.4861, lat=48.3904) == (350, 135)
        assert grid.cell(lon=5.37, lat=43.3) is None
    else:  # Marseille
        assert grid.shape == (515, 784)
        assert grid.cell(lon=5.3698, lat=43.2965) == (295, 336)
    assert grid.crs.to_epsg() == 4326


def test_the_zones_are_known_without_their_grid_files(
    real: Path, frames: Frames, tmp_path: Path
) -> None:
    alone = tmp_path / real.name
    shutil.copyfile(real, alone)
    assert grid_of(MeteonetNpz().read(alone)).same_as(grid_of(frames))


def test_the_stamp_counts_where_there_is_one_map(tmp_path: Path) -> None:
    stamp = np.datetime64("2020-01-01")
    one = maps(tmp_path, [[[1, 2], [3, 4]]], minutes=[0])
    assert MeteonetNpz().read(one, stamp=stamp)["time"].values == stamp
    two = maps(tmp_path, [[[1, 2], [3, 4]]] * 2, minutes=[0, 5])
    assert (MeteonetNpz().read(two, stamp=stamp)["time"].values != stamp).all()


def test_files_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    path = maps(tmp_path, [[[1, 2], [3, 4]]] * 2, minutes=[0, 0])
    with pytest.raises(FormatError, match="not strictly ascending"):
        MeteonetNpz().read(path)
    path = maps(tmp_path, [[[1, 2], [3, 4]]] * 2, minutes=[0])
    with pytest.raises(FormatError, match=r"data of shape \(2, 2, 2\) for 1 dates"):
        MeteonetNpz().read(path)
    path = maps(tmp_path, [[[1, 2], [3, 4]]], minutes=[0])
    (tmp_path / "radar_coords_XX.npz").unlink()
    with pytest.raises(FormatError, match="maps of 2x2 cells, expected 565x784 and 515x784, or a"):
        MeteonetNpz().read(path)
    with pytest.raises(UnsafeFileError, match="data declares 8 bytes, expected at most 4"):
        MeteonetNpz(byte_limit=4).read(path)


def test_damaged_and_foreign_files_are_refused(real: Path, tmp_path: Path) -> None:
    whole = real.read_bytes()
    assert MeteonetNpz().matches(real)
    assert not MeteonetNpz().matches(real.with_name("radar_coords_NW.npz"))
    path = tmp_path / "bad.npz"
    for data in (b"", whole[:50_000], b"GIF89a" + bytes(99)):
        path.write_bytes(data)
        assert not MeteonetNpz().matches(path)
        with pytest.raises(FormatError, match=r"bad\.npz: array .* cannot be read"):
            MeteonetNpz().read(path)
        with pytest.raises(FormatError, match=r"bad\.npz: array dates cannot be read"):
            MeteonetNpz().times(path)
