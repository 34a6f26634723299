"""Timelines as files: the strict CF checker, and readers that are not ours."""

from __future__ import annotations

import json
from pathlib import Path

import cf_xarray  # noqa: F401 - gives datasets their accessor cf
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from cf_checker import findings
from forecast_samples import NOON, clock, file_size_limit, forecast, grid_of, past

from nowcast.field import schema
from nowcast.field.errors import MissingFramesError, ProductError
from nowcast.products.points import FORMS, Points
from nowcast.products.timelines import PointSettings
from stations.station import Station

GRID = grid_of("knmi")
# In the middle; where the forecasts have NaN; outside.
PLACES = (
    Station("A1", *GRID.lonlat_of(4, 4), name="Ærø, the isle", elevation_m=3),
    Station("B2", *GRID.lonlat_of(7, 2)),
    Station("C3", lon=-120.0, lat=10.0, name="far off"),
)


def newest(issued: np.datetime64) -> schema.Radar:
    assert issued == NOON
    return past(GRID)


@pytest.mark.parametrize("kind", ["plain", "ensemble", "probability", "full"])
def test_the_strict_checker_finds_nothing(tmp_path: Path, kind: str) -> None:
    product = Points(PLACES, newest=newest, attrs={"institution": "Météo"}, clock=clock)
    path = product.write(forecast(kind=kind), into=tmp_path)
    assert path.name == "20150515T1200Z.points.nc"
    assert findings(path) == []


def test_the_checker_would_find_a_fault(tmp_path: Path) -> None:
    path = Points(PLACES, clock=clock).write(forecast(), into=tmp_path)
    with xr.open_dataset(path, decode_cf=False) as good:
        bad = good.load()
    bad["rainfall_rate"].attrs["units"] = "bananas"
    bad["lon"].attrs["standard_name"] = "longitud"
    bad.to_netcdf(tmp_path / "bad.nc")
    faults = " ".join(findings(tmp_path / "bad.nc"))
    assert "bananas" in faults
    assert "longitud" in faults


def test_cf_xarray_finds_the_series_and_the_places(tmp_path: Path) -> None:
    made = forecast(kind="full")
    path = Points(PLACES, newest=newest, clock=clock).write(made, into=tmp_path)
    with xr.open_dataset(path, decode_timedelta=True) as raw:
        assert raw.attrs["featureType"] == "timeSeries"
        assert raw.attrs["source"] == "persistence"
        assert raw.attrs["input_sha256"] == "ab" * 32
        assert raw.cf.cf_roles == {"timeseries_id": ["station_id"]}
        series = raw["rainfall_rate"]
        assert series.cf["longitude"].values == pytest.approx([p.lon for p in PLACES])
        assert series.cf["latitude"].values == pytest.approx([p.lat for p in PLACES])
        assert series.cf["time"].dims == ("time",)
        assert raw["station_name"].values.tolist() == ["Ærø, the isle", "B2", "far off"]
        assert raw["elevation"].values.tolist()[0] == 3
        leads = raw["lead_time"].values / np.timedelta64(1, "m")
        assert leads.tolist() == [0, 5, 10, 15]
        assert raw["time"].values[0] == NOON
        expected = made["rainfall_rate"].values[:, 4, 4]
        np.testing.assert_array_equal(series.values[0, 1:], expected)
        assert series.values[0, 0] == past(GRID)["rainfall_rate"].values[-1, 4, 4]
        assert np.isnan(series.values[2]).all()
        assert raw["rain_said"].values[2].tolist() == [-1] * 4
        chance = raw["probability_of_exceedance"].sel(threshold=10, method="nearest")
        np.testing.assert_array_equal(
            chance.values[0, 1:], made["probability_of_exceedance"].values[2, :, 4, 4]
        )
        members = made["rainfall_rate_member"].values[:, :, 4, 4]
        np.testing.assert_allclose(
            raw["rainfall_rate_quantile"].sel(quantile=0.9).values[0, 1:],
            np.quantile(members, 0.9, axis=0),
            rtol=1e-6,
        )


def test_pandas_reads_the_table(tmp_path: Path) -> None:
    made = forecast(kind="probability")
    path = Points(PLACES, form="csv", newest=newest).write(made, into=tmp_path)
    found = pd.read_csv(path, parse_dates=["time"])
    assert list(found.columns) == [
        *("station_id", "name", "lon", "lat", "elevation_m", "time", "lead_minutes", "said"),
        *("rain_mm_h", "amount_mm", "p10", "p50", "p90"),
        *("probability_0.1", "probability_1", "probability_10"),
    ]
    assert len(found) == 3 * 4
    first = found[found["station_id"] == "A1"]
    assert str(first["time"].iloc[1]) == "2015-05-15 12:05:00+00:00"
    np.testing.assert_allclose(
        first["rain_mm_h"].values[1:], made["rainfall_rate"].values[:, 4, 4], atol=6e-4
    )
    far = found[found["station_id"] == "C3"]
    assert far["rain_mm_h"].isna().all()
    assert set(far["said"]) == {"unknown"}


def test_json_holds_words_outlook_and_numbers(tmp_path: Path) -> None:
    made = forecast(kind="plain")
    path = Points(PLACES, form="json").write(made, into=tmp_path)
    found = json.loads(path.read_text())
    assert found["issued"] == "2015-05-15T12:00:00Z"
    assert (found["source"], found["rain_from_mm_h"]) == ("persistence", 0.1)
    assert found["lead_minutes"] == [5, 10, 15]
    first, unseen, far = found["places"]
    assert (first["id"], first["name"], first["elevation_m"]) == ("A1", "Ærø, the isle", 3)
    np.testing.assert_allclose(first["rain_mm_h"], made["rainfall_rate"].values[:, 4, 4], atol=6e-4)
    assert "probability_1" not in first
    assert first["probability"] is None
    for place in (unseen, far):
        assert place["state"] == "unknown"
        assert place["sentence"] == "Unknown: outside what the radar sees."
        assert place["rain_mm_h"] == [None] * 3
        assert (place["spells"], place["known_until"]) == ([], None)


def test_rain_that_comes_and_goes_as_json(tmp_path: Path) -> None:
    rate = np.zeros((4, *GRID.shape), dtype=np.float32)
    rate[1:3, 4, 4] = 2, 6
    made = schema.forecast_dataset(rate, past=past(GRID), source="by hand")
    path = Points(PLACES[:1], form="json").write(made, into=tmp_path)
    (place,) = json.loads(path.read_text())["places"]
    assert place["spells"] == [
        {
            "onset": "2015-05-15T12:07:00Z",
            "cessation": "2015-05-15T12:17:00Z",
            "onset_minutes": 7.5,
            "cessation_minutes": 17.5,
            "peak_mm_h": 6.0,
        }
    ]
    assert place["amount_mm"] == [0, 0, 0.167, 0.667]
    assert place["sentence"] == "Rain in 7 min (12:07 UTC), until 12:17 UTC, up to 6.0 mm/h."


def test_places_outside_may_be_left_out_and_a_frame_may_be_missing() -> None:
    def none(issued: np.datetime64) -> schema.Radar:
        raise MissingFramesError(f"no frame at {issued}")

    product = Points(PLACES, inside_only=True, newest=none, settings=PointSettings(around="mean"))
    found = product.timelines(forecast())
    assert found["station_id"].values.tolist() == ["A1", "B2"]
    assert found.sizes["time"] == 3
    assert found.attrs["around"] == "mean"


@pytest.mark.parametrize("form", FORMS)
def test_nowhere_a_half_file(tmp_path: Path, form: str) -> None:
    places = tuple(Station(str(i), *GRID.lonlat_of(4, 4)) for i in range(400))
    product = Points(places, form=form, clock=clock)  # type: ignore[arg-type]
    with file_size_limit(4096), pytest.raises(ProductError, match=r"points\..*file"):
        product.write(forecast(kind="full"), into=tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert product.write(forecast(kind="full"), into=tmp_path).stat().st_size > 4096


def test_no_place_at_all(tmp_path: Path) -> None:
    for form in FORMS:
        path = Points(PLACES[2:], form=form, inside_only=True).write(forecast(), into=tmp_path)
        assert path.is_file()
