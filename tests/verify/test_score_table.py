"""Tables: every score once, with its sample size, in CSV and NetCDF as in memory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from nowcast.field.errors import ProductError, SchemaError
from nowcast.verify.probability import CUTS
from nowcast.verify.scores import SCORES
from nowcast.verify.scoring import verify_forecast
from nowcast.verify.table import (
    rank_table,
    reliability_table,
    score_table,
    to_dataset,
    write_csv,
    write_netcdf,
)


@pytest.fixture(scope="module")
def tallies(forecast_of, observed_frames):
    """Two methods: a field alone, and an ensemble of 5; 3 leads, of which the last was not seen."""
    rng = np.random.default_rng(3)
    rain = np.maximum(rng.gamma(0.5, 2.0, size=(7, 3, 12, 10)) - 0.5, 0).astype(np.float32)
    rain[0, :, :2] = np.nan
    observed = observed_frames(rain[0]).isel(time=[0, 1])
    asked = {"thresholds_mm_h": (0.1, 1.0), "scales_cells": (3, 5)}
    field = verify_forecast(forecast_of(rain[1], source="mim"), observed, **asked)
    ensemble = forecast_of(rain[1], source="steps", members=rain[2:])
    return [field + field, verify_forecast(ensemble, observed, with_sal=True, **asked)]


def test_a_tidy_table(tallies):
    table = score_table(tallies)
    assert list(table.columns) == [
        "method", "lead_minutes", "score", "threshold_mm_h", "scale_cells", "value", "n", "cycles",
    ]  # fmt: skip
    assert set(table["score"]) == set(SCORES)
    assert not table.duplicated(
        ["method", "lead_minutes", "score", "threshold_mm_h", "scale_cells"]
    ).any()
    fss = table.query("score == 'fss' and method == 'mim'")
    assert len(fss) == 3 * 2 * 2
    row = fss.query("lead_minutes == 10 and threshold_mm_h == 1.0 and scale_cells == 5").iloc[0]
    assert row["value"] == tallies[0].fractions.fss[1, 1, 1]
    assert row["n"] == tallies[0].fractions.windows[1, 1, 1] > 0
    assert row["cycles"] == 2
    mae = table.query("score == 'mae' and method == 'steps'")
    assert mae["threshold_mm_h"].isna().all()
    assert mae["scale_cells"].isna().all()
    assert mae["n"].tolist() == [100, 100, 0]
    assert mae["cycles"].tolist() == [1, 1, 0]
    assert mae["value"].isna().tolist() == [False, False, True]


def test_what_was_not_asked_for_has_no_rows(tallies):
    scores = set(score_table(tallies[:1])["score"])
    assert not {"rank_outliers", "sal_structure", "sal_location"} & scores
    assert {"csi", "crps", "brier", "roc_area"} <= scores


@pytest.mark.parametrize("name", sorted(SCORES))
def test_every_score_has_a_sample_size_of_its_shape(tallies, name):
    score = SCORES[name]
    for tally in tallies:
        assert score.sample_size(tally).shape == score(tally).shape
        assert score(tally).shape[0] == 3
        assert score.long_name


def test_csv_as_in_memory(tallies, tmp_path):
    table = score_table(tallies)
    read = pd.read_csv(write_csv(table, tmp_path / "scores.csv"))
    assert read["value"].tolist() == pytest.approx(table["value"].tolist(), nan_ok=True)
    assert read.loc[read["score"] == "fss", "scale_cells"].dropna().isin([3, 5]).all()
    assert (read["n"] == table["n"]).all()
    assert [path.name for path in tmp_path.iterdir()] == ["scores.csv"]


def test_reliability_and_roc_rows(tallies):
    table = reliability_table(tallies)
    assert len(table) == 2 * 3 * 2 * len(CUTS)
    rows = table.query("method == 'steps' and lead_minutes == 5 and threshold_mm_h == 1.0")
    bins = tallies[1].probabilities
    assert rows["cut"].tolist() == list(CUTS)
    assert rows["n"].sum() == 100
    assert rows["pod"].tolist() == bins.pod[0, 1].tolist()
    filled = rows[rows["n"] > 0]
    assert filled["mean_probability"].tolist() == pytest.approx(filled["cut"].tolist())  # fifths


def test_rank_rows(tallies):
    table = rank_table(tallies)
    assert set(table["method"]) == {"steps"}
    assert len(table) == 3 * 6
    first = table.query("lead_minutes == 5")
    assert first["rank"].tolist() == [0, 1, 2, 3, 4, 5]
    assert first["frequency"].sum() == pytest.approx(1)
    assert rank_table(tallies[:1]).empty
    assert list(rank_table(tallies[:1]).columns) == list(table.columns)


def test_netcdf_as_in_memory(tallies, tmp_path):
    dataset = to_dataset(tallies)
    assert dict(dataset.sizes) == {
        "nowcaster": 2, "lead_time": 3, "threshold": 2, "scale": 2, "cut": 21, "rank": 6,
    }  # fmt: skip
    path = write_netcdf(dataset, tmp_path / "scores.nc")
    with xr.open_dataset(path, decode_timedelta=False) as stored:
        assert stored["method"].values.tolist() == ["mim", "steps"]
        read = stored.set_index(nowcaster="method")
        xr.testing.assert_allclose(read.load(), dataset)
        assert read["lead_time"].attrs["units"] == "min"
        csi = read["csi"].sel(nowcaster="mim", lead_time=10, threshold=1.0)
        assert csi == tallies[0].contingency.csi[1, 1]
        assert read["hits"].sel(nowcaster="mim", lead_time=10, threshold=1.0) > 0
        assert np.isnan(read["sal_location"].sel(nowcaster="mim")).all()
    assert [path.name for path in tmp_path.iterdir()] == ["scores.nc"]


def test_the_netcdf_keeps_the_conventions(tallies, tmp_path):
    path = write_netcdf(to_dataset(tallies, history="scored in a test"), tmp_path / "scores.nc")
    checker = Path(sys.executable).with_name("compliance-checker")
    done = subprocess.run(
        [checker, "--test=cf:1.11", "-c", "strict", path],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    assert "All tests passed" in done.stdout


def test_methods_with_other_leads_stand_beside_each_other(tallies, forecast_of, observed_frames):
    rng = np.random.default_rng(5)
    rain = rng.gamma(0.5, 2.0, size=(5, 12, 10)).astype(np.float32)
    longer = verify_forecast(
        forecast_of(rain, source="anvil"),
        observed_frames(rain),
        thresholds_mm_h=(0.1, 1.0),
        scales_cells=(3, 5),
    )
    dataset = to_dataset([*tallies, longer])
    assert dataset["lead_time"].values.tolist() == [5, 10, 15, 20, 25]
    assert dataset["mae"].sel(nowcaster="anvil").values.tolist() == [0] * 5
    assert np.isnan(dataset["mae"].sel(nowcaster="steps", lead_time=[20, 25])).all()


def test_nothing_and_the_same_twice_are_refused(tallies):
    for tabulate in (score_table, reliability_table, rank_table, to_dataset):
        with pytest.raises(SchemaError, match="not one forecast was scored"):
            tabulate([])
    with pytest.raises(SchemaError, match="first add up the tallies of each method"):
        to_dataset([tallies[0], tallies[0]])


def test_no_folder_no_file(tallies, tmp_path):
    with pytest.raises(ProductError, match="could not be written"):
        write_csv(score_table(tallies), tmp_path / "absent" / "scores.csv")
    with pytest.raises(ProductError, match="could not be written"):
        write_netcdf(to_dataset(tallies), tmp_path / "absent" / "scores.nc")
