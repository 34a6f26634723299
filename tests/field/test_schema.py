from __future__ import annotations

import numpy as np
import pyproj
import pytest
import xarray as xr

from nowcast.field import schema
from nowcast.field.errors import SchemaError
from nowcast.field.grid import Grid

GRID = Grid(pyproj.CRS.from_epsg(3035), 4_000_000, 3_000_000, 1000, 1000, 2, 3)
TIMES = np.array(["2026-06-01T12:00", "2026-06-01T12:05"], dtype="datetime64[ns]")


def radar(count: int = 2, **attrs: object) -> schema.Radar:
    frames = schema.frames_dataset(
        np.zeros((count, 2, 3)), times=TIMES[:count], grid=GRID, attrs=attrs
    )
    return schema.as_radar(frames)


def test_frames_are_sorted_by_time() -> None:
    rate = np.stack([np.full((2, 3), 2.0), np.full((2, 3), 1.0)])
    frames = schema.frames_dataset(rate, times=TIMES[::-1], grid=GRID)
    assert frames["rainfall_rate"].values[:, 0, 0].tolist() == [1, 2]
    assert frames["time"].values.tolist() == TIMES.tolist()


def test_the_grid_survives_the_dataset() -> None:
    assert schema.grid_of(radar()).same_as(GRID)


def test_a_polar_stereographic_grid_names_its_pole() -> None:
    crs = pyproj.CRS("+proj=stere +lat_0=90 +lon_0=0 +lat_ts=60 +a=6378137 +b=6356752")
    attrs = schema.crs_attrs(Grid(crs, 0, 0, 1000, 1000, 2, 2))
    assert attrs["latitude_of_projection_origin"] == 90
    assert attrs["GeoTransform"] == "0 1000 0 0 0 -1000"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda ds: ds.rename(rainfall_rate="rain"), "no rainfall_rate among"),
        (lambda ds: ds.transpose("y", "x", "time"), "has dimensions"),
        (lambda ds: ds.astype(np.float64), "of type float64, expected float32"),
        (lambda ds: ds.isel(y=slice(None, None, -1)), "y must descend"),
        (lambda ds: ds.isel(x=slice(None, None, -1)), "x must ascend"),
        (lambda ds: ds.drop_vars("crs"), "no variable crs"),
        (lambda ds: ds.drop_vars("y"), "no coordinate y"),
        (lambda ds: ds.isel(time=slice(0, 0)), "no frames"),
        (lambda ds: ds.isel(time=[0, 0]), "not strictly ascending"),
        (lambda ds: ds.assign_coords(time=[0, 1]), "expected datetime64"),
        (lambda ds: ds.assign(rainfall_rate=ds.rainfall_rate - 1), "negative or infinite"),
        (lambda ds: ds.assign(rainfall_rate=ds.rainfall_rate + np.inf), "negative or infinite"),
    ],
)
def test_what_breaks_the_conventions_is_refused_by_name(change, message: str) -> None:  # type: ignore[no-untyped-def]
    with xr.set_options(keep_attrs=True):
        broken = change(radar())
    with pytest.raises(SchemaError, match=message):
        schema.as_frames(broken)


def test_wrong_units_are_refused() -> None:
    wrong = radar()
    wrong["rainfall_rate"].attrs["units"] = "mm"
    with pytest.raises(SchemaError, match="units 'mm', expected 'mm h-1'"):
        schema.as_radar(wrong)


def test_radar_is_evenly_spaced() -> None:
    times = np.concatenate([TIMES, TIMES[1:] + np.timedelta64(10, "m")])
    frames = schema.frames_dataset(np.zeros((3, 2, 3)), times=times, grid=GRID)
    with pytest.raises(SchemaError, match=r"frames \[5.0, 10.0\] min apart"):
        schema.as_radar(frames)


def test_the_cadence_of_a_single_frame_is_its_attribute() -> None:
    assert schema.cadence(radar(1, cadence_minutes=10)) == np.timedelta64(10, "m")
    with pytest.raises(SchemaError, match="cadence_minutes"):
        schema.cadence(radar(1))


def test_a_forecast_follows_its_past() -> None:
    past = radar(institution="KNMI")
    forecast = schema.forecast_dataset(
        np.ones((3, 2, 3)),
        past=past,
        source="persistence",
        extra={
            "probability_of_exceedance": (
                ("threshold", "lead_time", "y", "x"),
                np.zeros((2, 3, 2, 3)),
            ),
            "quality_flag": (("y", "x"), np.zeros((2, 3))),
        },
        coords={"threshold": [0.1, 1.0]},
    )
    assert (forecast["lead_time"] / np.timedelta64(1, "m")).values.tolist() == [5, 10, 15]
    assert forecast["time"].values[0] == np.datetime64("2026-06-01T12:10")
    assert forecast["forecast_reference_time"].values == TIMES[1]
    assert forecast.attrs["institution"] == "KNMI"
    assert forecast["quality_flag"].dtype == np.int8


def test_a_forecast_without_source_or_with_odd_variables_is_refused() -> None:
    rate = np.zeros((3, 2, 3))
    with pytest.raises(SchemaError, match="no attribute source"):
        schema.forecast_dataset(rate, past=radar(), source="")
    with pytest.raises(SchemaError, match="hail is not part of a forecast"):
        schema.forecast_dataset(
            rate, past=radar(), source="x", extra={"hail": (("y", "x"), rate[0])}
        )
    forecast = schema.forecast_dataset(rate, past=radar(), source="x")
    with pytest.raises(SchemaError, match="step, 2 step"):
        schema.as_forecast(forecast.isel(lead_time=[0, 2]))
