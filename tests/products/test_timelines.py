"""What is said of rain at places: on paper, by law, and a band that drifts over three places."""

from __future__ import annotations

import numpy as np
import pytest
from forecast_samples import NOON, forecast, grid_of
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from nowcast.field import schema
from nowcast.field.accumulation import accumulated_mm, amount_mm
from nowcast.field.errors import GridMismatchError, SchemaError
from nowcast.field.places import around_cells, at_cells, cells_of
from nowcast.products.chances import quantiles_of
from nowcast.products.outlook import DRY, RAIN, UNKNOWN, outlook
from nowcast.products.point_words import sentence, sentences
from nowcast.products.timelines import PointSettings, outlooks, timelines
from stations.station import Station

NAN = np.nan
GRID = grid_of("openmrg", height=2, width=3)


def place(row: float, column: float, name: str = "") -> Station:
    lon, lat = GRID.lonlat_of(row, column)
    return Station(id=name or f"{row},{column}", lon=lon, lat=lat)


def frame(rate: list[list[float]], *, at: np.datetime64 = NOON) -> schema.Radar:
    """One observed frame on GRID; 5 min to the next."""
    made = schema.frames_dataset(
        [rate], times=[at], grid=GRID, attrs={"cadence_minutes": 5.0, "feed": "test"}
    )
    return schema.as_radar(made)


def forecast_of(rates: list[list[list[float]]], **more: object) -> schema.Forecast:
    past = frame([[0, 0, 0], [0, 0, 0]])
    return schema.forecast_dataset(rates, past=past, source="by hand", **more)  # type: ignore[arg-type]


NEWEST = frame([[0, 1, 2], [3, NAN, 5]])
RATES = [
    [[0, 6, 0.1], [12, 7, NAN]],
    [[1.2, 0, 0], [12, NAN, 8]],
    [[2.4, 0, 3], [12, 9, 10]],
]


# By hand.


def test_each_place_has_the_rain_of_its_cell() -> None:
    places = [place(0, 1), place(1, 0), place(1, 2), Station("far", lon=-120, lat=10)]
    found = timelines(forecast_of(RATES), places, newest=NEWEST)
    expected = [[1, 6, 0, 0], [3, 12, 12, 12], [5, NAN, 8, 10], [NAN] * 4]
    np.testing.assert_allclose(found["rainfall_rate"].values, np.float32(expected))
    assert (found["time"].values == NOON + np.arange(4) * np.timedelta64(5, "m")).all()
    np.testing.assert_allclose(
        found["rainfall_amount"].values,
        [[0, 1 / 12, 7 / 12, 7 / 12], [0, 0.25, 1.25, 2.25], [0, 5 / 12, NAN, NAN], [NAN] * 4],
    )
    said = [[1, 1, 0, 0], [1, 1, 1, 1], [1, -1, 1, 1], [-1] * 4]
    assert found["rain_said"].values.tolist() == said
    assert "rain_probability" not in found


def test_without_a_frame_they_begin_with_the_first_lead() -> None:
    found = timelines(forecast_of(RATES), [place(0, 0), place(1, 0)])
    assert found["rainfall_rate"].values.tolist() == [
        [0, np.float32(1.2), np.float32(2.4)],
        [12, 12, 12],
    ]
    assert found["onset"].values.tolist() == [7.5, 5.0]
    assert found["rain_state"].values.tolist() == [3, 3]
    assert sentences(found)[1] == (
        "Rain in 5 min (12:05 UTC), on until 12:15 UTC at least, up to 12.0 mm/h."
    )


def test_the_cell_and_those_around_it() -> None:
    newest = frame([[0, 1, 2], [3, 8, 5]])
    settings = [PointSettings(around=around) for around in ("cell", "mean", "p90")]
    at_first = [
        timelines(forecast_of(RATES), [place(0, 0), place(0, 1)], newest=newest, settings=one)
        for one in settings
    ]
    rates = [one["rainfall_rate"].values[:, 0].tolist() for one in at_first]
    # Around the corner lie 0, 1, 3 and 8; around the middle all six.
    assert rates[0] == [0, 1]
    assert rates[1] == pytest.approx([3, 19 / 6])
    assert rates[2] == pytest.approx([np.quantile([0, 1, 3, 8], 0.9), 6.5])


def test_what_is_unseen_around_is_left_out_and_an_unseen_cell_is_unknown() -> None:
    field = np.array([[0, 1, 2], [3, NAN, 5]])
    cells = np.array([[0, 0], [1, 1], [-1, -1]])
    values = around_cells(field, cells)
    assert sorted(values[0][np.isfinite(values[0])]) == [0, 1, 3]
    assert np.isnan(values[2]).all()
    assert at_cells(field, cells, around="mean") == pytest.approx([4 / 3, NAN, NAN], nan_ok=True)


@pytest.mark.parametrize(
    ("said", "state", "spells", "known_until", "is_cut"),
    [
        ("....", "dry", [], 15, False),
        ("RRRR", "raining", [(None, None)], 15, False),
        ("RR..", "raining", [(None, 7.5)], 15, False),
        ("..R.", "expected", [(7.5, 12.5)], 15, False),
        ("...R", "expected", [(12.5, None)], 15, False),
        ("R.R.", "raining", [(None, 2.5), (7.5, 12.5)], 15, False),
        ("????", "unknown", [], None, False),
        ("?RRR", "unknown", [], None, False),
        ("..?R", "dry", [], 5, True),
        (".R?.", "expected", [(2.5, None)], 5, True),
    ],
)
def test_outlooks_on_paper(
    said: str,
    state: str,
    spells: list[tuple[float | None, float | None]],
    known_until: float | None,
    is_cut: bool,  # noqa: FBT001
) -> None:
    codes = np.array([{"?": UNKNOWN, ".": DRY, "R": RAIN}[letter] for letter in said])
    found = outlook([0, 5, 10, 15], codes)
    assert (found.state, found.known_until, found.is_cut) == (state, known_until, is_cut)
    assert [(spell.onset, spell.cessation) for spell in found.spells] == spells


@pytest.mark.parametrize(
    ("said", "probability", "words"),
    [
        ("?...", NAN, "Unknown: outside what the radar sees."),
        ("....", NAN, "Dry until 12:15 UTC."),
        ("....", 0.2, "Dry until 12:15 UTC, probability of rain at most 20 %."),
        ("..?.", NAN, "Dry until 12:05 UTC; unknown after that."),
        ("R...", NAN, "Raining now, until 12:02 UTC, up to 1.0 mm/h."),
        ("R..R", NAN, "Raining now, until 12:02 UTC, up to 1.0 mm/h; again from 12:12 UTC."),
        (
            ".RR.",
            0.8,
            "Rain in 2 min (12:02 UTC), until 12:12 UTC, probability 80 %, up to 3.0 mm/h.",
        ),
        (".RRR", NAN, "Rain in 2 min (12:02 UTC), on until 12:15 UTC at least, up to 4.0 mm/h."),
    ],
)
def test_words(said: str, probability: float, words: str) -> None:
    codes = np.array([{"?": UNKNOWN, ".": DRY, "R": RAIN}[letter] for letter in said])
    one = outlook([0, 5, 10, 15], codes)
    rate = np.array([1.0, 2.0, 3.0, 4.0])
    assert sentence(one, issued=NOON, rate=rate, probability=probability) == words


def test_members_say_quantiles_and_probabilities() -> None:
    members = np.array([0, 0, 0.1, 0.5, 1, 1, 2, 3, 10, 40])
    field = np.broadcast_to(members[:, None, None, None], (10, 1, 2, 3)).copy()
    field[0, 0, 0, 0] = NAN
    made = forecast_of(
        [[[1, 1, 1], [1, 1, 1]]],
        extra={"rainfall_rate_member": (("realization", "lead_time", "y", "x"), field)},
        coords={"realization": np.arange(10)},
    )
    found = timelines(made, [place(1, 1), place(0, 0)], newest=NEWEST)
    chance = found["probability_of_exceedance"].sel(station=0).isel(time=1)
    assert chance["threshold"].values.tolist() == [0.1, 0.3, 1, 3, 10, 30]
    assert chance.values == pytest.approx([0.8, 0.7, 0.6, 0.3, 0.2, 0.1])
    quantiles = found["rainfall_rate_quantile"].isel(station=0, time=1).values
    assert quantiles == pytest.approx(np.quantile(members, [0.1, 0.5, 0.9]))
    assert found["probability_of_exceedance"].isel(station=1, time=1).isnull().all()
    # The newest frame is certain: dry in the corner, unseen in the middle of the second row.
    first = found["probability_of_exceedance"].isel(time=0).values
    assert np.isnan(first[:, 0]).all()
    assert first[:, 1].tolist() == [0] * 6
    # The middle is unknown now, so nothing is said; of the corner the probability is unknown.
    assert np.isnan(found["rain_probability"].values).all()


def test_quantiles_between_thresholds() -> None:
    # Of four places: never 0.1; half of the time between 1 and 3; always 30; unknown.
    chances = np.array([[0.05, 0.95, 1, 0.9], [0, 0.6, 1, NAN], [0, 0.4, 1, 0.2], [0, 0, 1, 0.1]])
    found = quantiles_of(chances, [0.1, 1.0, 3.0, 30.0])
    tenth = np.exp(np.interp(0.05 / 0.35, [0, 1], np.log([0.1, 1.0])))
    ninetieth = np.exp(np.interp(0.75, [0, 1], np.log([3.0, 30.0])))
    expected = [[0, tenth, 30, NAN], [0, np.sqrt(3), 30, NAN], [0, ninetieth, 30, NAN]]
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_the_forecasts_own_probabilities_and_decisions_count() -> None:
    chances = np.zeros((2, 2, 2, 3))
    chances[0] = [[[0.3, 0.3, 0.3]] * 2, [[0.2, 0.6, 0.9]] * 2]
    dims = ("threshold", "lead_time")
    made = forecast_of(
        [[[0, 0, 0], [0, 0, 0]]] * 2,
        extra={
            "probability_of_exceedance": ((*dims, "y", "x"), chances),
            "decision_probability": (dims, [[0.4, 0.5], [NAN, NAN]]),
        },
        coords={"threshold": [0.1, 1.0]},
    )
    found = timelines(made, [place(0, 0), place(0, 1), place(0, 2)], newest=NEWEST)
    assert found["rain_said"].values.tolist() == [[0, 0, 0], [1, 0, 1], [1, 0, 1]]
    assert found["rain_probability"].values == pytest.approx([0.3, NAN, NAN], nan_ok=True)
    ahead = timelines(made, [place(0, 0), place(0, 2)])
    assert ahead["rain_probability"].values == pytest.approx([0.3, 0.9])
    strong = PointSettings(rain_from_mm_h=1.0)  # no decision was fixed: the rate decides
    assert (timelines(made, [place(0, 2)], settings=strong)["rain_said"].values == DRY).all()


def test_a_frame_of_another_time_or_grid_is_refused() -> None:
    late = frame([[0, 1, 2], [3, 4, 5]], at=NOON - np.timedelta64(5, "m"))
    with pytest.raises(SchemaError, match=r"newest frame is of .*11:55.*, expected .*12:00"):
        timelines(forecast_of(RATES), [place(0, 0)], newest=late)
    with pytest.raises(GridMismatchError, match="the newest frame lies on 2x3"):
        timelines(forecast("openmrg"), [place(0, 0)], newest=NEWEST)


def test_amounts_on_paper() -> None:
    rate, minutes = [[6.0, 0], [12, NAN], [0, 3], [60, 60]], [0, 5, 10, 20]
    inside = amount_mm(rate, minutes=minutes, hold=5, start=0, end=10)
    np.testing.assert_allclose(inside, [1.5, NAN])
    np.testing.assert_allclose(amount_mm(rate, minutes=minutes, hold=5, start=2, end=6), [0.5, NAN])
    np.testing.assert_allclose(
        amount_mm(rate, minutes=minutes, hold=5, start=10, end=15), [0, 0.25]
    )
    # From 15 to 20 no frame stands; before the first and after the last one neither.
    for start, end in ((10, 20), (-1, 5), (20, 26)):
        assert np.isnan(amount_mm(rate, minutes=minutes, hold=5, start=start, end=end)).all()
    np.testing.assert_allclose(
        accumulated_mm(np.transpose(rate), minutes=minutes),
        [[0, 0.5, 1.5, 1.5], [0, 0, NAN, NAN]],
    )


# By law.


@given(
    rate=st.floats(0, 150, width=32),
    leads=st.integers(1, 6),
    around=st.sampled_from(["cell", "mean", "p90"]),
)
def test_a_uniform_field_is_the_same_everywhere(rate: float, leads: int, around: str) -> None:
    made = forecast_of(np.full((leads, 2, 3), rate).tolist())
    newest = frame(np.full((2, 3), rate).tolist())
    settings = PointSettings(around=around)  # type: ignore[arg-type]
    found = timelines(made, [place(0, 0), place(1, 1)], newest=newest, settings=settings)
    np.testing.assert_allclose(found["rainfall_rate"].values, np.float32(rate), rtol=1e-6)
    assert found["rainfall_amount"].values[:, -1] == pytest.approx(rate * leads / 12, rel=1e-6)
    wet = rate >= 0.1 * (1 - 1e-5)
    assert [one.state for one in outlooks(found)] == ["raining" if wet else "dry"] * 2


@given(
    wet=arrays.arrays(bool, st.integers(1, 12)),
    delay=st.integers(1, 5),
    step=st.sampled_from([1.0, 2.0, 5.0, 15.0]),
)
def test_what_comes_later_starts_and_stops_so_much_later(
    wet: np.ndarray, delay: int, step: float
) -> None:
    wet = np.concatenate([[False], wet, [False]])  # it stops within the timeline
    times = step * np.arange(wet.size + delay)
    early = outlook(times[: wet.size], wet.astype(int))
    late = outlook(times, np.concatenate([np.zeros(delay, dtype=int), wet.astype(int)]))
    assert len(early.spells) == len(late.spells)
    for one, other in zip(early.spells, late.spells, strict=True):
        assert other.onset == pytest.approx(one.onset + delay * step)
        assert other.cessation == pytest.approx(one.cessation + delay * step)


@given(
    arrays.arrays(np.float64, st.tuples(st.integers(2, 8), st.just(2)), elements=st.floats(0, 100)),
    st.data(),
)
def test_amounts_of_parts_add_up_to_the_whole(rate: np.ndarray, data: st.DataObject) -> None:
    minutes = 5.0 * np.arange(len(rate))
    end = 5.0 * len(rate)
    cut = data.draw(st.floats(0, end))
    parts = [
        amount_mm(rate, minutes=minutes, hold=5, start=start, end=stop)
        for start, stop in ((0, cut), (cut, end), (0, end))
    ]
    np.testing.assert_allclose(parts[0] + parts[1], parts[2], atol=1e-9)
    np.testing.assert_allclose(parts[2], rate.sum(axis=0) / 12, atol=1e-9)


@given(arrays.arrays(np.float64, (3, 5), elements=st.floats(0, 1)))
def test_quantiles_ascend_and_stay_within_the_thresholds(chances: np.ndarray) -> None:
    falling = -np.sort(-chances, axis=0)
    found = quantiles_of(falling, [0.1, 1.0, 10.0])
    assert (np.diff(found, axis=0) >= 0).all()
    assert ((found == 0) | ((found >= 0.0999) & (found <= 10.001))).all()


# A story.


def test_a_band_drifts_over_three_places() -> None:
    """A band of 30 km, 20 km/h eastwards, its front 3 km west of the first place at noon."""
    grid = grid_of("lambert", height=20, width=120)
    x = np.arange(120)  # km
    step = 15  # min: 5 km
    past = schema.frames_dataset(
        np.zeros((2, *grid.shape)), times=[NOON - np.timedelta64(step, "m"), NOON], grid=grid
    )
    fields = [
        np.broadcast_to(np.where((x <= 35 + 5 * k) & (x > 5 + 5 * k), 4.0, 0.0), grid.shape)
        for k in range(13)
    ]
    newest = schema.frames_dataset(fields[0][np.newaxis], times=[NOON], grid=grid)
    made = schema.forecast_dataset(
        np.stack(fields[1:]), past=schema.as_radar(past), source="a band"
    )
    places = [Station(str(column), *grid.lonlat_of(10, column)) for column in (38, 58, 118, 20)]
    found = timelines(made, places, newest=schema.Radar(newest))
    onsets = found["onset"].values
    # Reached at 9, 69 and 249 min; frames are 15 min apart.
    assert abs(onsets[0] - 9) <= step / 2
    assert abs(onsets[1] - 69) <= step / 2
    assert np.isnan(onsets[2:]).all()
    assert found["cessation"].values[0] - onsets[0] == 90  # 30 km at 20 km/h
    assert sentences(found) == [
        "Rain in 7 min (12:07 UTC), until 13:37 UTC, up to 4.0 mm/h.",
        "Rain in 67 min (13:07 UTC), until 14:37 UTC, up to 4.0 mm/h.",
        "Dry until 15:00 UTC.",
        "Raining now, until 12:37 UTC, up to 4.0 mm/h.",
    ]
    assert found["rainfall_amount"].values[:2, -1] == pytest.approx([6.0, 6.0])


def test_places_on_the_edge_of_cells() -> None:
    west, east, south, north = GRID.extent
    from_grid = GRID._to_lonlat.transform
    inside = [from_grid(x, y) for x, y in ((west + 1, north - 1), (east - 1, south + 1))]
    outside = [from_grid(x, y) for x, y in ((west - 1, north - 1), (east - 1, south - 1))]
    cells = cells_of(GRID, tuple(map(tuple, inside + outside)))
    assert cells.tolist() == [[0, 0], [1, 2], [-1, -1], [-1, -1]]
