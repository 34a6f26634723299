"""Rain gauges: real files against netCDF4 and csv, and what is wrong with a file by hand."""

from __future__ import annotations

import csv
from pathlib import Path

import netCDF4
import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from nowcast.field.errors import FormatError, SchemaError, SourceError, UsageError
from nowcast.field.gauges import amounts_between, gauges_dataset, places_of
from nowcast.field.places import at_cells, cells_of
from nowcast.field.schema import grid_of
from nowcast.ingest.gauges import matches, read_gauges
from nowcast.ingest.readers.cf import CfFile
from stations.station import Station

CITY = "radar/openmrg/20150827/openMRG_city_gauges_20150827.nc"
REAL = {
    CITY: (10, 1440, 1.0),
    "radar/openmrg/20150827/openMRG_smhi_gauge_20150827.nc": (1, 96, 15.0),
    "radar/openmrg/20150725/openmrg_municp_gauge.nc": (10, 31, 5.0),
    "radar/openmrg/20150725/openmrg_smhi_gauge.nc": (1, 31, 5.0),
}
DWD = "radar/dwd/radolan_rain_gauge_data.csv"
ONE = Station("A", 10.0, 50.0)
MORNING = np.datetime64("2021-08-23T08:00", "ns")


def after(*minutes: float) -> np.ndarray:
    return np.array([MORNING + np.timedelta64(round(minute * 60), "s") for minute in minutes])


@pytest.mark.parametrize("name", REAL)
def test_openmrg_by_netcdf4(shared_data: Path, name: str) -> None:
    path = shared_data / name
    found = read_gauges(path)
    stations, times, interval = REAL[name]
    assert dict(found.sizes) == {"station": stations, "time": times}
    assert found.attrs["interval_minutes"] == interval
    with netCDF4.Dataset(path) as file:
        stored = np.asarray(file["rainfall_amount"][:])
        if file["rainfall_amount"].dimensions[0] == "time":
            stored = stored.T
        np.testing.assert_array_equal(found["rainfall_amount"].values, stored)
        np.testing.assert_array_equal(found["lon"].values, file["lon"][:])
        assert found["station_name"].values.tolist() == list(file["location"][:])
        day = netCDF4.num2date(file["time"][0], file["time"].units)
        assert str(found["time"].values[0])[:16] == day.isoformat()[:16]


def test_openmrg_station_names_and_ids(shared_data: Path) -> None:
    found = read_gauges(shared_data / CITY)
    assert found["station_id"].values[:2].tolist() == ["Jarn", "Torp"]
    assert found["station_name"].values[0] == "Järnbrottsmotet"


def test_the_dwd_by_csv(shared_data: Path) -> None:
    found = read_gauges(shared_data / DWD, interval_minutes=60)
    with (shared_data / DWD).open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert dict(found.sizes) == {"station": 1142, "time": 1}
    assert found["time"].values[0] == np.datetime64("2021-08-23T09:50")
    by_id = {row["station_id"]: row for row in rows}
    for place, name in enumerate(found["station_id"].values.tolist()):
        row = by_id[name]
        assert found["rainfall_amount"].values[place, 0] == float(row["rainfall_amount"])
        assert places_of(found)[place] == (float(row["longitude"]), float(row["latitude"]))
    with pytest.raises(UsageError, match=r"readings of one time.*--interval MINUTES"):
        read_gauges(shared_data / DWD)


def test_the_radar_of_the_hour_agrees_with_the_dwds_gauges(shared_data: Path) -> None:
    found = read_gauges(shared_data / DWD, interval_minutes=60)
    frames = CfFile().read(shared_data / "radar/dwd/radolan_ry_data_compressed.nc")
    assert frames.sizes["time"] == 12
    cells = cells_of(grid_of(frames), places_of(found))
    hour = at_cells(frames["rainfall_rate"].values, cells).sum(axis=0) / 12
    assert np.corrcoef(hour, found["rainfall_amount"].values[:, 0])[0, 1] > 0.85


def test_the_engine_opens_gauges(shared_data: Path) -> None:
    with xr.open_dataset(shared_data / CITY, engine="nowcast") as found:
        assert found["rainfall_amount"].dims == ("station", "time")
        assert found["rainfall_amount"].attrs["units"] == "mm"


def test_what_is_no_gauge(shared_data: Path, tmp_path: Path) -> None:
    radar = shared_data / "radar/openmrg/20150827/openMRG_example_rad.nc"
    assert not matches(radar)
    with pytest.raises(FormatError, match="expected rainfall_amount of stations and times"):
        read_gauges(radar)
    with pytest.raises(SourceError, match="there is no such file"):
        read_gauges(tmp_path / "none.nc")
    cut = tmp_path / "cut.nc"
    cut.write_bytes((shared_data / CITY).read_bytes()[:5000])
    with pytest.raises(FormatError, match=r"cut\.nc"):
        read_gauges(cut)


# Tables by hand.

TABLE = """time,station_id,name,longitude,latitude,precipitation
2021-08-23T08:10Z,B,Süd,11,48,0.2
2021-08-23 10:05+02:00,A,Nord,10,54,0
2021-08-23T08:05,B,Süd,11,48,-999
2021-08-23T08:10,A,Nord,10,54,
"""


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "latin-1"])
def test_a_table_in_any_order(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "gauges.csv"
    path.write_bytes(TABLE.encode(encoding))
    assert matches(path)
    found = read_gauges(path)
    assert found["station_id"].values.tolist() == ["B", "A"]
    assert found["station_name"].values.tolist() == ["Süd", "Nord"]
    assert (found["time"].values == after(5, 10)).all()
    np.testing.assert_array_equal(found["rainfall_amount"].values, [[np.nan, 0.2], [0, np.nan]])
    assert found.attrs["interval_minutes"] == 5
    started = read_gauges(path, stamp="start")
    assert (started["time"].values == after(10, 15)).all()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("0.2", "wet", "line 2: amount 'wet', no number"),
        (",54,0\n", ",x,0\n", "line 3: latitude 'x', no number"),
        ("2021-08-23T08:10Z", "yesterday", "a time that is none"),
        ("08:05,B", "08:10,B", "two readings of station B at 2021-08-23 08:10:00"),
        ("B,Süd,11,48,-999", "B,Süd,11,49,-999", "station B stands at more than one place"),
        ("48", "148", "latitude 148, expected -90 to 90"),
        ("0.2", "-0.3", "an amount of -0.3 mm, expected NaN"),
        ("0.2", "120", "an amount of 120 mm in 5 min, expected 58 at most"),
        ("station_id,name", "x,y", "none says which station"),
        ("precipitation", "temperature", "expected rainfall_amount|holds|NetCDF"),
        (TABLE.partition("\n")[2], "", "holds no readings"),
    ],
)
def test_what_is_wrong_with_a_table(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = tmp_path / "gauges.csv"
    path.write_text(TABLE.replace(old, new), encoding="utf-8")
    with pytest.raises(FormatError, match=message):
        read_gauges(path)


def test_cf_time_series_in_other_units(tmp_path: Path) -> None:
    rain = (("time", "station"), [[0.001], [0.0]])
    dataset = xr.Dataset(
        {"rain": (*rain, {"standard_name": "thickness_of_rainfall_amount", "units": "m"})},
        coords={"time": after(10, 20), "lon": ("station", [10.0]), "lat": ("station", [50.0])},
    )
    path = tmp_path / "series.nc"
    dataset.to_netcdf(path)
    found = read_gauges(path)
    np.testing.assert_allclose(found["rainfall_amount"].values, [[1.0, 0.0]])
    assert (found["time"].values == after(10, 20)).all()
    dataset["rain"].attrs["units"] = "inch"
    dataset.to_netcdf(tmp_path / "inch.nc")
    with pytest.raises(FormatError, match="rain in 'inch', expected mm"):
        read_gauges(tmp_path / "inch.nc")


# Amounts over windows.


def test_amounts_over_windows_on_paper() -> None:
    found = gauges_dataset(
        [[1, 2, 4, np.nan, 8, 16]],
        times=after(5, 10, 15, 20, 25, 35),
        stations=[ONE],
        interval_minutes=5,
    )

    def between(*minutes: float) -> list[float]:
        return amounts_between(found, after(*minutes))[:, 0].tolist()

    assert between(0, 15) == [7]
    assert between(0, 5, 10, 15) == [1, 2, 4]
    # A missing reading, one that is not there, and windows that cut one.
    for window in ((15, 25), (25, 35), (2, 12), (0, 7), (-5, 5)):
        assert np.isnan(between(*window)).all()


@given(st.lists(st.floats(0, 3), min_size=12, max_size=12), st.sampled_from([1, 2, 3, 4, 6, 12]))
def test_windows_of_any_width_hold_all_the_rain(amounts: list[float], width: int) -> None:
    found = gauges_dataset(
        [amounts], times=after(*range(1, 13)), stations=[ONE], interval_minutes=1
    )
    windows = amounts_between(found, after(*range(0, 13, width)))
    assert windows.sum() == pytest.approx(sum(amounts))
    assert windows.shape == (12 // width, 1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"amount_mm": [[1.0]]}, r"amounts of shape \(1, 1\), expected \(1, 2\)"),
        ({"interval_minutes": 7}, "times 5 min apart, but amounts of 7 min: intervals overlap"),
        ({"interval_minutes": 0}, "interval_minutes 0, expected more than 0"),
        ({"times": after(5, 5)}, "times 0 min apart"),
        ({"amount_mm": [[1.0, np.inf]]}, "expected NaN"),
        ({"amount_mm": [[]], "times": after()}, "expected some"),
    ],
)
def test_what_gauges_cannot_be(change: dict[str, object], message: str) -> None:
    good = {
        "amount_mm": [[1.0, 2.0]],
        "times": after(5, 10),
        "stations": [ONE],
        "interval_minutes": 5,
    }
    with pytest.raises(SchemaError, match=message):
        gauges_dataset(**{**good, **change})  # type: ignore[arg-type]
