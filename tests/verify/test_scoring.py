"""Forecasts against frames: a storm that drifts, what counts, and who is asked what."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from nowcast.field.errors import GridMismatchError, MissingFramesError, SchemaError, UsageError
from nowcast.verify.categorical import contingency
from nowcast.verify.scoring import (
    common_pixels,
    observed_at,
    verify_forecast,
    verify_together,
)

NAN = np.nan
STEP = np.timedelta64(5, "m")


@pytest.fixture(scope="module")
def storm():
    """Frames 0 (the issue time) to 6 of a storm that drifts two columns a frame to the east."""
    row, column = np.mgrid[:40, :60]
    centres = 12 + 2 * np.arange(7)
    frames = [8 * np.exp(-((row - 20) ** 2 + (column - x) ** 2) / 40) for x in centres]
    frames = np.array(frames, dtype=np.float32)
    return np.where(frames < 0.05, 0, frames)


def test_what_drifts_is_foretold_by_extrapolation_and_lost_by_persistence(
    storm, forecast_of, observed_frames
):
    observed = observed_frames(storm[1:])
    perfect = verify_forecast(forecast_of(storm[1:]), observed, scales_cells=(5,))
    still = np.repeat(storm[:1], 6, axis=0)
    lagging = verify_forecast(forecast_of(still, source="persistence"), observed, scales_cells=(5,))
    assert perfect.contingency.csi[:, :3] == pytest.approx(1)
    assert perfect.fractions.fss[:, :3] == pytest.approx(1)
    assert perfect.errors.absolute.sum() == perfect.crps.crps.sum() == 0
    assert perfect.brier.squared.sum() == 0
    # Nothing reached 10 mm/h and nobody said so: undefined, not perfect.
    assert np.isnan(perfect.contingency.csi[:, 4]).all()
    csi = lagging.contingency.csi[:, 1]
    assert (np.diff(csi) < 0).all()
    assert csi[0] > 0.6
    assert csi[-1] < 0.2
    assert (np.diff(lagging.fractions.fss[:, 1, 0]) < 0).all()
    assert (lagging.fractions.fss[:, 1, 0] > csi).all()
    assert lagging.errors.multiplicative_bias == pytest.approx(1, abs=0.01)
    assert lagging.method == "persistence"
    assert lagging.lead_minutes == (5, 10, 15, 20, 25, 30)
    assert lagging.issued == ("2024-05-01T12:00Z",)


def test_a_rate_alone_stands_for_itself(storm, forecast_of, observed_frames):
    tally = verify_forecast(forecast_of(storm[:6]), observed_frames(storm[1:]))
    assert tally.crps.mean_crps == pytest.approx(tally.errors.mae)
    assert np.isnan(tally.crps.mean_fair_crps).all()
    assert tally.brier.brier == pytest.approx(1 - tally.contingency.accuracy)
    best, csi = tally.probabilities.best_csi, tally.contingency.csi
    assert best == pytest.approx(csi, nan_ok=True)
    assert tally.ranks is None
    assert tally.sal is None


def test_what_is_missing_on_either_side_does_not_count(storm, forecast_of, observed_frames):
    rate, truth = storm[:6].copy(), storm[1:].copy()
    rate[:, :, :10] = NAN
    truth[:, :8] = NAN
    counted = xr.DataArray(np.zeros(rate.shape, dtype=bool), dims=("lead_time", "y", "x"))
    counted[:, :, :50] = True
    tally = verify_forecast(forecast_of(rate), observed_frames(truth), counted=counted)
    cover = tally.coverage
    assert cover.asked.tolist() == [40 * 50] * 6
    assert cover.seen.tolist() == [32 * 50] * 6
    assert cover.counted.tolist() == [32 * 40] * 6
    assert cover.counted_fraction == pytest.approx(32 * 40 / 2000)
    assert cover.unsaid_fraction == pytest.approx(0.2)
    cut = contingency(rate[2, 8:, 10:50], truth[2, 8:, 10:50], threshold_mm_h=1.0)
    assert tally.contingency.hits[2, 2] == cut.hits
    assert tally.contingency.total[2, 2] == cut.total == 1280
    assert tally.errors.n[2] == tally.crps.n[2] == tally.brier.n[2, 0] == 1280


def test_masking_half_the_picture_is_cutting_it_off(storm, forecast_of, observed_frames):
    rate, truth = storm[:6], storm[1:].copy()
    truth[:, :, 30:] = NAN
    masked = verify_forecast(forecast_of(rate), observed_frames(truth), scales_cells=(1,))
    cut = verify_forecast(
        forecast_of(rate[:, :, :30]), observed_frames(storm[1:, :, :30]), scales_cells=(1,)
    )
    for name, piece in masked.pieces().items():
        if name != "coverage":
            for field, array in piece.arrays().items():
                expected = getattr(getattr(cut, name), field)
                assert array == pytest.approx(expected, rel=1e-12), (name, field)


def test_a_missing_frame_is_a_lead_without_a_score(storm, forecast_of, observed_frames):
    observed = observed_frames(storm[1:]).isel(time=[0, 1, 3, 5])
    tally = verify_forecast(forecast_of(storm[1:]), observed)
    assert tally.coverage.cycles.tolist() == [1, 1, 0, 1, 0, 1]
    assert tally.coverage.seen.tolist() == [2400, 2400, 0, 2400, 0, 2400]
    assert np.isnan(tally.errors.mae[[2, 4]]).all()
    assert np.isnan(tally.contingency.csi[[2, 4]]).all()
    assert tally.errors.mae[[0, 1, 3, 5]].tolist() == [0, 0, 0, 0]


def test_frames_before_and_after_are_no_matter(storm, forecast_of, observed_frames):
    forecast = forecast_of(storm[:4])
    some, all_of_them = observed_frames(storm[1:5]), observed_frames(storm[1:])
    earlier = observed_frames(storm[:3] + 1, issued=np.datetime64("2024-05-01T11:45", "ns"))
    longer = xr.concat([earlier, all_of_them], dim="time")
    assert verify_forecast(forecast, longer).equals(verify_forecast(forecast, some))


def test_decisions_judge_yes_and_no_and_probabilities_the_rest(forecast_of, observed_frames):
    truth = np.array([[[0.0, 2.0, 2.0], [0.0, 0.0, 2.0]]] * 2)
    rate = np.zeros((2, 2, 3))  # the rate alone would say: never
    chance = np.array([[[0.1, 0.6, 0.4], [0.4, 0.0, 0.9]]] * 2)
    forecast = forecast_of(rate, probability={0.1: chance, 1.0: chance}, decision=[[0.2, 0.5]] * 2)
    tally = verify_forecast(
        forecast, observed_frames(truth), thresholds_mm_h=(0.1, 0.5, 1.0), scales_cells=(1,)
    )
    table = tally.contingency
    # Cut 0.2 at 5 min: yes but at 0.1 and 0.0. Cut 0.5 at 10 min: 0.6 and 0.9 alone.
    assert table.hits[:, 2].tolist() == [3, 2]
    assert table.false_alarms[:, 2].tolist() == [1, 0]
    assert table.misses[:, 2].tolist() == [0, 1]
    # 0.1 mm/h, stored as float32, is found again; 0.5 mm/h has no probability: the rate is asked.
    assert table.hits[:, 0].tolist() == [3, 2]
    assert table.hits[:, 1].tolist() == [0, 0]
    assert tally.fractions.reference[:, 2, 0].tolist() == [4 + 3, 2 + 3]
    squares = 0.1**2 + 0.4**2 + 0.6**2 + 0.4**2 + 0 + 0.1**2
    assert tally.brier.brier[:, 2] == pytest.approx(squares / 6)
    assert tally.brier.brier[:, 1] == pytest.approx(3 / 6)
    assert tally.probabilities.n[0, 2, [0, 2, 8, 12, 18]].tolist() == [1, 1, 2, 1, 1]


def test_one_decision_for_all_leads_and_none_at_all(forecast_of, observed_frames):
    observed = observed_frames(np.full((2, 2, 2), 3.0))
    rate, chance = np.zeros((2, 2, 2)), np.full((2, 2, 2), 0.4)
    asked = {"thresholds_mm_h": (1.0,), "scales_cells": (1,)}
    decided = forecast_of(rate, probability={1.0: chance}, decision=[0.3])
    assert verify_forecast(decided, observed, **asked).contingency.hits.tolist() == [[4], [4]]
    undecided = forecast_of(rate, probability={1.0: chance})
    tally = verify_forecast(undecided, observed, **asked)
    assert tally.contingency.hits.tolist() == [[0], [0]]
    assert tally.brier.brier == pytest.approx(0.36)


def test_members_are_asked_for_spread_and_frequency(forecast_of, observed_frames):
    members = np.zeros((4, 1, 2, 2), dtype=np.float32)
    members[3] = 1.0
    forecast = forecast_of(np.full((1, 2, 2), 0.25), members=members)
    tally = verify_forecast(
        forecast, observed_frames([[[0.0, 2.0], [NAN, NAN]]]), thresholds_mm_h=(0.5,)
    )
    # 0 against 0, 0, 0, 1: 1/16. 2 against them: 7/4 - 3/16.
    assert tally.crps.crps == pytest.approx([1 / 16 + 7 / 4 - 3 / 16])
    assert tally.brier.squared == pytest.approx(np.array([[1 / 16 + 9 / 16]]))
    assert tally.brier.fair == pytest.approx(np.array([[1 / 16 + 9 / 16 - 2 * (3 / 16) / 3]]))
    # The dry pixel has a member that rains: a tie of three with the ground, ranks 0 to 3.
    assert tally.ranks.counts == pytest.approx(np.array([[1 / 4, 1 / 4, 1 / 4, 1 / 4, 1]]))
    assert tally.errors.absolute == pytest.approx([0.25 + 1.75])


def test_members_that_say_nothing_at_all_leave_the_pixel_out(forecast_of, observed_frames):
    members = np.ones((3, 1, 2, 2), dtype=np.float32)
    members[:, 0, 0, 0] = NAN
    members[0, 0, 1, 1] = NAN
    forecast = forecast_of(np.ones((1, 2, 2)), members=members)
    tally = verify_forecast(forecast, observed_frames(np.ones((1, 2, 2))))
    assert tally.coverage.counted == 3
    assert tally.errors.n == 3
    assert tally.crps.n == 3
    assert tally.ranks.n == 2  # a rank among two is another rank


def test_all_methods_on_the_same_pixels(storm, forecast_of, observed_frames):
    truth, first, second = storm[1:].copy(), storm[:6].copy(), storm[:6].copy()
    truth[1, :5] = first[:, :, :7] = second[:, :, -9:] = NAN
    chance = np.full((6, 40, 60), 0.5)
    chance[:, 38:] = NAN
    forecasts = {"one": forecast_of(first), "two": forecast_of(second, probability={1.0: chance})}
    observed = observed_frames(truth)
    common = common_pixels(forecasts, observed)
    assert common.dims == ("lead_time", "y", "x")
    assert common.sum(("y", "x")).values.tolist() == [38 * 44, 33 * 44, *[38 * 44] * 4]
    tallies = verify_together(forecasts, observed)
    for name, tally in tallies.items():
        assert tally.method == name
        assert tally.equals(verify_forecast(forecasts[name], observed, counted=common).named(name))
        assert (tally.coverage.counted == tally.coverage.asked).all()
    assert tallies["one"].errors.equals(tallies["two"].errors)


def test_a_forecast_read_from_its_file_scores_the_same(
    storm, forecast_of, observed_frames, tmp_path
):
    rng = np.random.default_rng(1)
    chance = np.sort(rng.random((2, 6, 40, 60)), axis=0)[::-1].astype(np.float32)
    forecast = forecast_of(
        storm[:6], probability={0.1: chance[0], 1.0: chance[1]}, decision=[0.3, 0.4]
    )
    forecast.to_netcdf(tmp_path / "forecast.nc")
    observed = observed_frames(storm[1:])
    with xr.open_dataset(tmp_path / "forecast.nc", decode_timedelta=True) as read:
        assert verify_forecast(read, observed).equals(verify_forecast(forecast, observed))


def test_sal_where_it_is_asked_for(storm, forecast_of, observed_frames):
    tally = verify_forecast(forecast_of(storm[:2]), observed_frames(storm[1:3]), with_sal=True)
    assert tally.sal.location_n.tolist() == [1, 1]
    # The storm lags by two columns.
    assert tally.sal.mean_location == pytest.approx(2 / np.hypot(40, 60), rel=0.05)


def test_nothing_observed_and_foreign_frames_are_refused(storm, forecast_of, observed_frames):
    forecast = forecast_of(storm[:3])
    with pytest.raises(MissingFramesError, match=r"no frame was observed from 2024-05-01T12:05"):
        verify_forecast(
            forecast, observed_frames(storm, issued=np.datetime64("2024-05-02T12:00", "ns"))
        )
    observed = observed_frames(storm[1:4])
    with pytest.raises(MissingFramesError, match="the sequence is empty"):
        verify_forecast(forecast, observed.isel(time=[]))
    with pytest.raises(GridMismatchError, match="observed has x of 59 cells"):
        verify_forecast(forecast, observed.isel(x=slice(1, None)))
    with pytest.raises(GridMismatchError, match="observed has y of 40 cells from 500"):
        verify_forecast(forecast, observed.assign_coords(y=observed["y"] + 1000.0))
    with pytest.raises(SchemaError, match=r"observed units 'mm', expected 'mm h-1'"):
        verify_forecast(forecast, observed.assign_attrs(units="mm"))
    with pytest.raises(SchemaError, match=r"observed has dimensions \('y', 'x', 'time'\)"):
        verify_forecast(forecast, observed.transpose("y", "x", "time"))
    with pytest.raises(SchemaError, match="a time twice"):
        observed_at(forecast, observed.isel(time=[0, 0, 1]))


def test_odd_questions_are_refused(storm, forecast_of, observed_frames):
    forecast, observed = forecast_of(storm[:3]), observed_frames(storm[1:4])
    for thresholds in ((), (0.0, 1.0)):
        with pytest.raises(UsageError, match="expected rates above 0"):
            verify_forecast(forecast, observed, thresholds_mm_h=thresholds)
    counted = forecast["rainfall_rate"]
    with pytest.raises(SchemaError, match=r"counted float32 .* expected bool"):
        verify_forecast(forecast, observed, counted=counted)
    with pytest.raises(SchemaError, match="two and one differ in lead_time"):
        common_pixels({"one": forecast, "two": forecast_of(storm[:2])}, observed)
    later = forecast_of(storm[:3], issued=np.datetime64("2024-05-01T12:05", "ns"))
    with pytest.raises(SchemaError, match="two and one differ in forecast_reference_time"):
        common_pixels({"one": forecast, "two": later}, observed)
    with pytest.raises(SchemaError, match="no forecasts to compare"):
        common_pixels({}, observed)
    with pytest.raises(GridMismatchError, match="one has y of 40 cells"):
        common_pixels({"one": forecast, "two": forecast_of(storm[:3, :30])}, observed)
