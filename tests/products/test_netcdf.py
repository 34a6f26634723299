"""Forecasts and frames as CF NetCDF: the bytes on disk, and the way back."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path

import h5py
import netCDF4
import numpy as np
import pytest
import xarray as xr
from forecast_samples import NOON, clock, file_size_limit, forecast, grid_of, past
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from nowcast.field import schema
from nowcast.field.errors import FormatError, ProductError, SchemaError, SourceError
from nowcast.products.netcdf import NetCdf, write_frames
from nowcast.products.reading import read_forecast

GRIDS = {name: grid_of(name, height=2, width=3) for name in ("knmi", "mch", "mrms")}


@pytest.fixture
def full(tmp_path):
    """A forecast with all optional variables, and its file."""
    made = forecast("knmi", kind="full")
    return made, NetCdf(clock=clock).write(made, into=tmp_path)


def assert_comes_back(made, folder):
    read = read_forecast(NetCdf(clock=clock).write(made, into=folder))
    xr.testing.assert_equal(read, made)
    for name, variable in made.variables.items():
        assert read[name].dtype == variable.dtype, name
        assert read.variables[name].dims == variable.dims, name
        assert set(read[name].attrs) == set(variable.attrs), name
    assert {key: read.attrs[key] for key in made.attrs if key != "history"} == made.attrs
    assert set(read.coords) == set(made.coords)
    assert schema.grid_of(read).same_as(schema.grid_of(made))


# By hand.


def test_the_file_is_named_for_the_issue_time_and_stands_alone(full):
    _, path = full
    assert [file.name for file in path.parent.iterdir()] == ["20150515T1200Z.nc"]


def test_times_on_disk_are_the_integers_of_the_schema(full):
    _, path = full
    seconds = int((NOON - np.datetime64(0, "s")) / np.timedelta64(1, "s"))
    with h5py.File(path) as file:  # a reader of bytes, that knows no CF
        assert file["lead_time"].dtype == np.int32
        assert file["lead_time"][:].tolist() == [5, 10, 15]
        assert file["lead_time"].attrs["units"] == b"minutes"
        assert file["lead_time"].attrs["standard_name"] == b"forecast_period"
        for name, expected in (
            ("time", [seconds + 300, seconds + 600, seconds + 900]),
            ("forecast_reference_time", seconds),
        ):
            assert file[name].dtype == np.int64
            assert np.asarray(file[name]).tolist() == expected
            assert file[name].attrs["units"] == b"seconds since 1970-01-01 00:00:00"
            assert file[name].attrs["units_metadata"] == b"leap_seconds: utc"


def test_fields_are_chunked_by_lead_compressed_and_checksummed(full):
    _, path = full
    with netCDF4.Dataset(path) as file:
        for name, chunks in (
            ("rainfall_rate", [1, 8, 9]),
            ("rainfall_rate_member", [1, 1, 8, 9]),
            ("probability_of_exceedance", [1, 1, 8, 9]),
            ("quality_flag", [8, 9]),
            ("lat", [8, 9]),
        ):
            assert file[name].chunking() == chunks
            filters = file[name].filters()
            assert (filters["zlib"], filters["shuffle"], filters["fletcher32"]) == (True,) * 3


def test_data_have_nan_for_missing_and_coordinates_have_no_fill_value(full):
    made, path = full
    with netCDF4.Dataset(path) as file:
        for name, variable in file.variables.items():
            is_data = name in made.data_vars and name not in ("crs", "quality_flag")
            assert ("_FillValue" in variable.ncattrs()) == is_data, name
            if is_data:
                assert np.isnan(variable._FillValue)
                assert variable.dtype == np.float32


def test_every_field_names_its_coordinates_and_its_projection(full):
    _, path = full
    with netCDF4.Dataset(path) as file:
        rate = file["rainfall_rate"]
        assert rate.coordinates == "time forecast_reference_time lat lon"
        assert rate.ancillary_variables == "quality_flag"
        assert file["motion_x"].coordinates == "forecast_reference_time lat lon"
        assert file["decision_probability"].coordinates == "time forecast_reference_time"
        for name in ("rainfall_rate", "growth", "motion_x", "quality_flag"):
            assert file[name].grid_mapping == "crs"
        grid = grid_of("knmi")
        assert file["crs"].GeoTransform == "300000 1000 0 -3900000 0 -1000"
        lon, lat = grid.lonlat()
        np.testing.assert_allclose(file["lon"][:], lon, atol=1e-5)
        np.testing.assert_allclose(file["lat"][:], lat, atol=1e-5)


def test_a_lat_lon_grid_has_no_second_lat_and_lon(tmp_path):
    path = NetCdf(clock=clock).write(forecast("mrms"), into=tmp_path)
    with netCDF4.Dataset(path) as file:
        assert {"lat", "lon"}.isdisjoint(file.variables)
        assert file["rainfall_rate"].dimensions == ("lead_time", "y", "x")
        assert file["y"].standard_name == "latitude"


def test_global_attributes_say_what_was_done_when_by_whom(full):
    _, path = full
    with netCDF4.Dataset(path) as file:
        said = {name: file.getncattr(name) for name in file.ncattrs()}
    assert said["Conventions"] == "CF-1.11, ACDD-1.3"
    assert said["source"] == "persistence"
    assert said["institution"] == "Test service"
    assert said["license"] == "CC0-1.0"
    assert said["history"].startswith("2024-02-29T23:59:58Z written by mim-nowcast ")
    assert said["input_sha256"] == "ab" * 32
    assert said["model_sha256"] == said["config_sha256"] == said["degraded_reason"] == ""
    assert said["time_coverage_start"] == "2015-05-15T12:05:00Z"
    assert said["time_coverage_end"] == "2015-05-15T12:15:00Z"
    assert said["time_coverage_resolution"] == "PT5M"
    assert said["geospatial_lat_min"] < said["geospatial_lat_max"] < 60
    assert all(said[name] for name in ("title", "summary", "comment", "references"))


def test_a_fallback_is_told_in_the_file(tmp_path):
    made = forecast().assign_attrs(
        source="extrapolation", degraded_reason="mim: no weights", history="2015 composed"
    )
    path = NetCdf(clock=clock).write(schema.as_forecast(made), into=tmp_path)
    with netCDF4.Dataset(path) as file:
        assert file.source == "extrapolation"
        assert file.degraded_reason == "mim: no weights"
        assert file.history.splitlines()[0] == "2015 composed"
        assert len(file.history.splitlines()) == 2


def test_the_users_attributes_go_before_ours(tmp_path):
    product = NetCdf(clock=clock, attrs={"institution": "Me", "title": "Mine", "run": 7})
    with netCDF4.Dataset(product.write(forecast(), into=tmp_path)) as file:
        assert (file.institution, file.title, file.run) == ("Me", "Mine", 7)
        assert file.creator_name == "Me"


def test_xarray_decodes_without_being_asked(full):
    made, path = full
    with xr.open_dataset(path, engine="netcdf4") as raw:
        assert raw["lead_time"].dtype == np.dtype("timedelta64[ns]")
        np.testing.assert_array_equal(raw["lead_time"], made["lead_time"])
        np.testing.assert_array_equal(raw["time"], made["time"])
        np.testing.assert_array_equal(raw["rainfall_rate"], made["rainfall_rate"])
        assert set(raw.coords) >= {"lat", "lon", "time", "forecast_reference_time"}


def test_the_referee_reads_our_files(shared_data, tmp_path):
    tool = shared_data.parent / "tools" / "referee.py"
    specification = importlib.util.spec_from_file_location("referee", tool)
    referee = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(referee)
    made = forecast("mch", kind="full", leads=12)
    path = NetCdf(clock=clock).write(made, into=tmp_path)
    issued, rate, beside, _ = referee.read_forecast(path, flip=False, step=5)
    assert issued == datetime(2015, 5, 15, 12, 0)  # noqa: DTZ001 - as the referee has it
    np.testing.assert_array_equal(rate, made["rainfall_rate"])
    np.testing.assert_array_equal(beside["members"], made["rainfall_rate_member"])
    probability = made["probability_of_exceedance"].sel(threshold=1.0)
    np.testing.assert_array_equal(beside["chances"][1.0], probability)
    assert beside["decided"][1.0].shape == rate.shape


# By law.


@pytest.mark.parametrize("kind", ["plain", "full", "ensemble", "probability"])
@pytest.mark.parametrize("projection", ["mch", "mrms", "bom"])
def test_what_is_written_comes_back(tmp_path, projection, kind):
    assert_comes_back(forecast(projection, kind=kind), tmp_path)


@given(data=st.data())
@settings(max_examples=25)
def test_any_forecast_comes_back(tmp_path_factory, data):
    projection = data.draw(st.sampled_from(sorted(GRIDS)))
    leads = data.draw(st.integers(1, 4))
    minutes = data.draw(st.sampled_from([0.5, 2, 5, 7.5, 15, 60]))
    issued = data.draw(st.datetimes(datetime(1960, 1, 1), datetime(2200, 1, 1)))  # noqa: DTZ001
    grid = GRIDS[projection]
    rates = st.one_of(
        st.just(np.float32(np.nan)), st.floats(0, 2.0**15, width=32), st.just(np.float32(1e-40))
    )
    rate = data.draw(arrays.arrays(np.float32, (leads, *grid.shape), elements=rates))
    times = np.datetime64(issued.replace(microsecond=0), "ns")
    start = past(grid, minutes=minutes)
    start = schema.as_radar(start.assign_coords(time=start["time"] - NOON + times))
    flags = {"quality_flag": (("y", "x"), np.full(grid.shape, 2))}
    extra = flags if data.draw(st.booleans()) else {}
    made = schema.forecast_dataset(rate, past=start, source="any", extra=extra)
    assert_comes_back(made, tmp_path_factory.mktemp("law"))


def test_a_step_that_is_not_of_whole_minutes_is_stored_in_seconds(tmp_path):
    made = schema.forecast_dataset(
        np.zeros((2, 8, 9)), past=past(grid_of("knmi"), minutes=2.5), source="any"
    )
    path = NetCdf(clock=clock).write(made, into=tmp_path)
    with netCDF4.Dataset(path) as file:
        assert file["lead_time"].units == "seconds"
        assert file["lead_time"][:].tolist() == [150, 300]


def test_times_between_seconds_are_refused(tmp_path):
    made = forecast()
    late = made.assign_coords(
        forecast_reference_time=made["forecast_reference_time"] + np.timedelta64(1, "ms")
    )
    with pytest.raises(SchemaError, match=r"forecast_reference_time holds .*, expected whole sec"):
        NetCdf(clock=clock).write(schema.as_forecast(late), into=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_same_input_gives_the_same_bytes_and_the_clock_changes_the_history_alone(tmp_path):
    folders = [tmp_path / name for name in "abc"]
    later = lambda: datetime(2030, 1, 1, tzinfo=UTC)  # noqa: E731
    for folder, at in zip(folders, (clock, clock, later), strict=True):
        folder.mkdir()
        NetCdf(clock=at).write(forecast(kind="full"), into=folder)
    one, same, other = (folder / "20150515T1200Z.nc" for folder in folders)
    assert one.read_bytes() == same.read_bytes()
    first, last = read_forecast(one), read_forecast(other)
    xr.testing.assert_equal(first, last)
    changed = {name for name in first.attrs if first.attrs[name] != last.attrs[name]}
    assert changed == {"history", "date_created", "date_modified", "date_metadata_modified"}


def test_a_forecast_that_is_still_in_its_file_can_be_written(full, tmp_path):
    made, path = full
    again = tmp_path / "again"
    again.mkdir()
    with xr.open_dataset(path, cache=False) as lazy:
        inside = made.assign(rainfall_rate=lazy["rainfall_rate"].variable)
        # Reading takes the lock that writing holds: a thread, so that a deadlock fails the test.
        writer = threading.Thread(target=NetCdf().write, args=(inside,), kwargs={"into": again})
        writer.daemon = True
        writer.start()
        writer.join(30)
        assert not writer.is_alive()
    xr.testing.assert_equal(read_forecast(again / path.name), made)


def test_writing_changes_nothing_in_the_forecast(tmp_path):
    made = forecast(kind="full")
    before = made.copy(deep=True)
    NetCdf(clock=clock).write(made, into=tmp_path)
    xr.testing.assert_identical(made, before)


@pytest.mark.parametrize("projection", ["knmi", "meteonet"])
def test_frames_come_back_through_any_reader(tmp_path, projection):
    infilled = np.array([False, True, False])
    frames = past(grid_of(projection), frames=3).assign_coords(infilled=("time", infilled))
    path = write_frames(schema.as_radar(frames), tmp_path / "frames.nc", clock=clock)
    with xr.open_dataset(path, engine="netcdf4") as raw:
        read = schema.as_radar(raw.load())
        assert raw.attrs["source"] == "weather radar"
    assert schema.grid_of(read).same_as(grid_of(projection))
    np.testing.assert_array_equal(read["rainfall_rate"], frames["rainfall_rate"])
    np.testing.assert_array_equal(read["time"], frames["time"])
    np.testing.assert_array_equal(read["infilled"], infilled)
    with netCDF4.Dataset(path) as file:
        assert file["rainfall_rate"].chunking() == [1, 8, 9]
        assert file["infilled"].flag_meanings == "observed infilled"


# Bad files.


@pytest.mark.parametrize("kept", [0.0, 0.001, 0.2, 0.5, 0.9, 0.999])
def test_a_file_cut_short_is_told_by_name(full, kept):
    _, path = full
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * kept)])
    with pytest.raises(FormatError, match=r"20150515T1200Z\.nc: no readable NetCDF .*cut short"):
        read_forecast(path)


def test_a_damaged_chunk_is_told(tmp_path):
    made = forecast("knmi", grid=grid_of("knmi", height=64, width=64), leads=2)
    path = NetCdf(clock=clock).write(made, into=tmp_path)
    with h5py.File(path) as file:
        chunk = file["rainfall_rate"].id.get_chunk_info(1)
    content = bytearray(path.read_bytes())
    content[chunk.byte_offset + chunk.size // 2] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(FormatError, match="cut short or damaged"):
        read_forecast(path)


def test_a_file_of_another_kind_and_no_file_are_told(tmp_path):
    (tmp_path / "text.nc").write_text("rain")
    with pytest.raises(FormatError, match=r"text\.nc: no readable NetCDF"):
        read_forecast(tmp_path / "text.nc")
    with pytest.raises(SourceError, match=r"absent\.nc: there is no such file"):
        read_forecast(tmp_path / "absent.nc")


def test_a_netcdf_that_is_no_forecast_is_told(tmp_path):
    path = write_frames(past(grid_of("knmi")), tmp_path / "frames.nc", clock=clock)
    with pytest.raises(SchemaError, match=r"frames\.nc: rainfall_rate has dimensions"):
        read_forecast(path)
    xr.Dataset({"a": 1}).to_netcdf(tmp_path / "else.nc", engine="netcdf4")
    with pytest.raises(SchemaError, match=r"else\.nc: no rainfall_rate among \['a'\]"):
        read_forecast(tmp_path / "else.nc")


# Bad places, and bad moments.


def test_a_folder_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ProductError, match="its folder is a file"):
        NetCdf().write(forecast(), into=tmp_path / "file")
    with pytest.raises(ProductError, match="there is no such folder"):
        NetCdf().write(forecast(), into=tmp_path / "absent")


@pytest.mark.parametrize("limit", [100, 10_000, 60_000, 150_000])
def test_without_space_the_old_file_stays_and_nothing_else(tmp_path, limit):
    old = NetCdf(clock=clock).write(forecast(), into=tmp_path)
    content = old.read_bytes()
    large = forecast(kind="full", grid=grid_of("knmi", height=96, width=96))
    words = r"20150515T1200Z\.nc: could not be written: the file would exceed the size limit"
    with file_size_limit(limit), pytest.raises(ProductError, match=words):
        NetCdf().write(large, into=tmp_path)
    assert old.read_bytes() == content
    assert list(tmp_path.iterdir()) == [old]
    # The library is none the worse for it.
    xr.testing.assert_equal(read_forecast(NetCdf().write(large, into=tmp_path)), large)


WRITING = """
import sys
from pathlib import Path
from forecast_samples import forecast, grid_of
from nowcast.products.netcdf import NetCdf
made = forecast(kind="full", grid=grid_of("knmi", height=96, width=96))
print("ready", flush=True)
while True:
    NetCdf().write(made, into=Path(sys.argv[1]))
"""


def test_a_reader_never_sees_half_a_forecast_nor_does_a_killed_writer_leave_one(tmp_path):
    path = NetCdf(clock=clock).write(forecast(kind="full"), into=tmp_path)
    code = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n{WRITING}"
    command = [sys.executable, "-W", "error", "-c", code, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        try:
            assert child.stdout.readline() == "ready\n"
            shapes = [read_forecast(path)["rainfall_rate"].shape for _ in range(30)]
            while read_forecast(path).sizes["y"] != 96:
                assert child.poll() is None
        finally:
            child.kill()
    assert set(shapes) <= {(3, 8, 9), (3, 96, 96)}
    expected = forecast(kind="full", grid=grid_of("knmi", height=96, width=96))
    xr.testing.assert_equal(read_forecast(path), expected)
    assert list(tmp_path.glob("*.nc")) == [path]
