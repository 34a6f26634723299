"""Maps: the right colour in the right place, unseen told from dry, and words that tell."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta

import numpy as np
import pyproj
import pytest
from forecast_samples import NOON, PROJECTIONS, forecast, grid_of, past
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from nowcast.field import schema
from nowcast.field.errors import ProductError, UsageError
from nowcast.field.grid import Grid
from nowcast.products import style as look
from nowcast.products.captions import Caption, forecast_caption, observed_caption
from nowcast.products.colours import LAND, PROBABILITY, RAIN_RATE
from nowcast.products.map_data import MapData
from nowcast.products.pixels import coverage_edge, to_pixels
from nowcast.products.render import (
    RenderMaps,
    draw_map,
    draw_observed,
    draw_probability,
    observed_area,
    write_observed,
)
from nowcast.products.sheet import sheet_of
from nowcast.products.style import MapStyle

BARE = MapStyle(longest_side=240, map_data=MapData())
FIVE_PAST = NOON + np.timedelta64(5, "m")


def made(rate: np.ndarray, grid: Grid, **attrs: str) -> schema.Forecast:
    """A forecast of two leads, each ``rate`` (y, x)."""
    return schema.forecast_dataset(
        np.stack([rate, rate]), past=past(grid), source="persistence: test", attrs=attrs
    )


def rgb(colour: str) -> tuple[int, ...]:
    return tuple(bytes.fromhex(colour[1:]))


def pixel_of(grid: Grid, style: MapStyle, *, lon: float, lat: float) -> tuple[int, int]:
    """Column and row of a place, by pyproj and the outer edges of the grid alone."""
    x, y = pyproj.Transformer.from_crs(4326, grid.crs, always_xy=True).transform(lon, lat)
    west, east, south, north = grid.extent
    layout = sheet_of(grid, style).layout
    left, top = layout.map_corner
    across, down = (x - west) / (east - west), (north - y) / (north - south)
    return int(left + across * layout.map_width), int(top + down * layout.map_height)


def the_map(picture: Image.Image, grid: Grid, style: MapStyle = BARE) -> np.ndarray:
    """The pixels of the map alone, within its frame: (rows, columns, 3)."""
    layout = sheet_of(grid, style).layout
    left, top = layout.map_corner
    whole = np.asarray(picture)
    return whole[top + 2 : top + layout.map_height - 2, left + 2 : left + layout.map_width - 2]


def share(pixels: np.ndarray, colour: str, *, within: int = 3) -> float:
    """The part of ``pixels`` that have a colour."""
    away = np.abs(pixels.reshape(-1, 3).astype(int) - rgb(colour)).max(axis=1)
    return float((away <= within).mean())


@pytest.mark.parametrize("name", PROJECTIONS)
def test_a_place_has_the_colour_of_its_cell(name):
    grid = grid_of(name, height=31, width=43)
    row, column = 9, 30
    rate = np.zeros(grid.shape, np.float32)
    rate[row - 1 : row + 2, column - 1 : column + 2] = 12.0
    lon, lat = grid.lonlat_of(row, column)
    assert grid.cell(lon=lon, lat=lat) == (row, column)
    picture = draw_map(made(rate, grid), lead=0, style=BARE)
    assert picture.getpixel(pixel_of(grid, BARE, lon=lon, lat=lat)) == rgb(RAIN_RATE.colours[7])
    # Two cells beyond the shower, on each side, it is dry.
    for down, across in ((-3, 0), (3, 0), (0, -3), (0, 3)):
        lon, lat = grid.lonlat_of(row + down, column + across)
        seen = picture.getpixel(pixel_of(grid, BARE, lon=lon, lat=lat))
        assert seen != rgb(RAIN_RATE.colours[7])


def test_cartopy_agrees_where_a_place_lies():
    import cartopy.crs as ccrs
    from matplotlib.figure import Figure

    from nowcast.products.axes import add_map_axes

    grid = grid_of("opera", height=50, width=80)
    axes = add_map_axes(Figure(figsize=(8, 5), dpi=100), (0, 0, 1, 1), grid=grid)
    lon, lat = grid.lonlat_of(20, 61)
    x, y = axes.projection.transform_point(lon, lat, ccrs.PlateCarree())
    column, row = axes.transData.transform((x, y))
    assert (column, 500 - row) == pytest.approx((615.0, 205.0), abs=0.3)


def test_the_thing_itself_lies_on_the_basemap():
    # Rain over the whole of Switzerland but one window about Zürich: there, land shows.
    grid = Grid(pyproj.CRS("EPSG:21781"), 480e3, 300e3, 5000.0, 5000.0, 46, 72)
    rate = np.full(grid.shape, 1.5, np.float32)
    row, column = grid.cell(lon=8.72, lat=47.5)  # Winterthur: no lake, no river
    rate[row - 1 : row + 2, column - 1 : column + 2] = 0
    style = MapStyle(longest_side=360, places=0)
    picture = draw_map(made(rate, grid), lead=0, style=style)
    column, row = pixel_of(grid, style, lon=8.72, lat=47.5)
    window = np.asarray(picture)[row - 4 : row + 5, column - 4 : column + 5]
    assert share(window, LAND) > 0.5
    assert share(the_map(picture, grid, style), RAIN_RATE.colours[4]) < 0.01
    assert share(the_map(picture, grid, style), RAIN_RATE.colours[3]) > 0.8


def test_unseen_is_hatched_and_dry_is_not():
    grid = grid_of("mch", height=40, width=40)
    rate = np.zeros(grid.shape, np.float32)
    rate[:, 20:] = np.nan
    pixels = the_map(draw_map(made(rate, grid), lead=0, style=BARE), grid)
    middle = pixels.shape[1] // 2
    dry, unseen = pixels[:, : middle - 4], pixels[:, middle + 4 :]
    assert share(dry, look.NO_LAND) > 0.9
    assert share(unseen, look.NO_LAND) < 0.05
    # Stripes: along any row dark and light follow each other.
    for row in (10, 50, 120):
        line = unseen[row].astype(int).sum(axis=1)
        changes = np.abs(np.diff((line > line.mean()).astype(int))).sum()
        assert changes >= 2 * (line.size // 12)


def test_all_dry_and_all_unseen_are_two_pictures():
    grid = grid_of("mch", height=20, width=20)
    dry = draw_map(made(np.zeros(grid.shape), grid), lead=0, style=BARE)
    nothing = draw_map(made(np.full(grid.shape, np.nan), grid), lead=0, style=BARE)
    assert share(the_map(dry, grid), look.NO_LAND) > 0.9
    assert share(the_map(nothing, grid), look.NO_LAND) < 0.05


def test_a_line_follows_the_edge_of_coverage():
    seen = np.zeros((8, 9), bool)
    seen[2:6, 3:7] = True
    edge = coverage_edge(seen, (8, 9))
    expected = seen.copy()
    expected[3:5, 4:6] = False
    np.testing.assert_array_equal(edge, expected)
    # The frame of the picture is no edge, and twice the pixels make the line no thicker.
    assert not coverage_edge(np.ones((4, 4), bool), (8, 8)).any()
    assert coverage_edge(seen, (16, 18)).sum() == 4 * 7

    grid = grid_of("mch", height=30, width=30)
    rate = np.full(grid.shape, np.nan, np.float32)
    rate[10:20, 10:20] = 0
    picture = draw_map(made(rate, grid), lead=0, style=BARE)
    lon, lat = grid.lonlat_of(9.52 + 0.02, 14.0)  # just within the northern edge
    column, _ = pixel_of(grid, BARE, lon=lon, lat=lat)
    dark = [picture.getpixel((column, row)) for row in range(84, 324)]
    assert sum(max(colour) < 90 for colour in dark) == 2  # entering and leaving


def test_the_quality_flag_tells_what_was_observed():
    grid = grid_of("mch")
    full = forecast("mch", kind="full")
    np.testing.assert_array_equal(observed_area(full), full["quality_flag"].values == 0)
    plain = forecast("mch")
    np.testing.assert_array_equal(
        observed_area(plain), np.isfinite(plain["rainfall_rate"].values[0])
    )
    assert observed_area(plain).shape == grid.shape


def test_to_pixels_by_hand():
    values = np.array([[1, np.nan, 3, 4], [0, 5, np.nan, np.nan]], np.float32)
    np.testing.assert_array_equal(to_pixels(values, (2, 2)), [[1, 4], [5, np.nan]])
    np.testing.assert_array_equal(to_pixels(values, (1, 2)), [[5, 4]])
    np.testing.assert_array_equal(to_pixels(values[:, :2], (2, 4))[1], [0, 0, 5, 5])


@given(
    values=arrays(
        np.float32,
        st.tuples(st.integers(1, 9), st.integers(1, 9)),
        elements=st.floats(0, 99, width=32) | st.just(float("nan")),
    ),
    shape=st.tuples(st.integers(1, 12), st.integers(1, 12)),
)
def test_no_core_is_lost_and_nothing_is_made_up(values, shape):
    shown = to_pixels(values, shape)
    assert shown.shape == shape
    if np.isnan(values).all():
        assert np.isnan(shown).all()
    elif shape[0] <= values.shape[0] and shape[1] <= values.shape[1]:
        assert np.nanmax(shown) == np.nanmax(values)
    assert set(shown[~np.isnan(shown)]) <= set(values[~np.isnan(values)])


def test_a_large_grid_keeps_its_worst_cell():
    grid = Grid(pyproj.CRS(4326), -130.0, 55.0, 0.025, 0.025, 1400, 2800)
    rate = np.zeros(grid.shape, np.float32)
    rate[567, 2345] = 160.0
    picture = draw_map(made(rate, grid), lead=0, style=BARE)
    lon, lat = grid.lonlat_of(567, 2345)
    assert picture.getpixel(pixel_of(grid, BARE, lon=lon, lat=lat)) == rgb(RAIN_RATE.colours[-1])
    assert picture.size[0] < 500


def test_a_map_without_map_data_says_what_is_missing():
    grid = grid_of("mch", height=30, width=30)
    dry = made(np.zeros(grid.shape), grid)
    foot = np.asarray(draw_map(dry, lead=0, style=BARE))[-45:-30]
    with_all = MapStyle(longest_side=240)
    foot_of_all = np.asarray(draw_map(dry, lead=0, style=with_all))[-45:-30]
    assert share(foot, look.ALARM, within=60) > 0.01
    assert share(foot_of_all, look.ALARM, within=60) == 0
    words = [text.get_text() for text in sheet_of(grid, BARE)._figure.texts]
    assert (
        "No map data on this machine for: coastlines, borders, lakes, land, rivers, places" in words
    )


def test_graticule_and_its_labels_are_there_without_map_data():
    grid = grid_of("mch", height=200, width=200)
    picture = draw_map(made(np.zeros(grid.shape), grid), lead=0, style=BARE)
    lines = the_map(picture, grid)
    assert share(lines, look.GRATICULE, within=60) > 0.003
    layout = sheet_of(grid, BARE).layout
    below = np.asarray(picture)[layout.map_corner[1] + layout.map_height + 4 :][:18]
    assert (below.min(axis=2) < 150).any()


def test_frames_tell_forecast_from_observation():
    grid = grid_of("mch", height=30, width=30)
    left, top = sheet_of(grid, BARE).layout.map_corner
    on_the_frame = (left - 1, top + 50)
    told = draw_map(made(np.zeros(grid.shape), grid), lead=0, style=BARE)
    seen = draw_observed(past(grid), index=0, style=BARE)
    assert told.size == seen.size
    assert told.getpixel(on_the_frame) == pytest.approx(rgb(look.FORECAST), abs=40)
    assert seen.getpixel(on_the_frame) == pytest.approx(rgb(look.OBSERVED), abs=40)


def test_the_caption_of_a_forecast():
    made_of = forecast("mch")
    caption = forecast_caption(made_of, lead=2, now=FIVE_PAST)
    assert caption == Caption(
        title="Rain rate forecast",
        valid="valid Fri 15 May 2015 12:15 UTC",
        details="issued 15 May 2015 12:00 UTC  ·  method: persistence",
        badge="+15 min",
        colour=look.FORECAST,
        age="newest radar frame 5 min old",
        age_colour=look.QUIET,
        source="Radar data: Test service (CC0-1.0)",
    )
    assert forecast_caption(made_of, lead=0, now=None).age == ""


@pytest.mark.parametrize(
    ("minutes", "age", "colour"),
    [
        (10, "newest radar frame 10 min old", look.QUIET),
        (11, "newest radar frame 11 min old", look.FORECAST),
        (20, "newest radar frame 20 min old", look.FORECAST),
        (21, "newest radar frame 21 min old", look.ALARM),
        (75, "newest radar frame 1 h 15 min old", look.ALARM),
        (3 * 1440, "archived case, 3 days old", look.QUIET),
        (10 * 365 * 1440, "archived case, 10 years old", look.QUIET),
    ],
)
def test_the_age_turns_amber_after_two_steps_and_red_after_four(minutes, age, colour):
    now = NOON + np.timedelta64(minutes, "m")
    caption = forecast_caption(forecast("mch"), lead=0, now=now)
    assert (caption.age, caption.age_colour) == (age, colour)


def test_degraded_and_simulated_are_written_across_the_map():
    grid = grid_of("mch", height=60, width=60)
    dry = np.zeros(grid.shape)
    strips = {look.WARNING_GROUND: {"degraded_reason": "1 frame missing"}}
    strips[look.SIMULATED_GROUND] = {"simulated": "true"}
    plain = the_map(draw_map(made(dry, grid), lead=0, style=BARE), grid)[:18]
    for ground, attrs in strips.items():
        strip = the_map(draw_map(made(dry, grid, **attrs), lead=0, style=BARE), grid)[:18]
        assert share(plain, ground) == 0
        assert share(strip, ground) > 0.5
    both = forecast_caption(
        made(dry, grid, degraded_reason="no weights", title="A simulated storm"), lead=0, now=None
    )
    assert [banner.text for banner in both.banners] == [
        "SIMULATED STORM, not an observation",
        "DEGRADED: no weights",
    ]
    honest = forecast_caption(made(dry, grid, simulated="false"), lead=0, now=None)
    assert honest.banners == ()


def test_the_caption_of_an_observation():
    caption = observed_caption({"institution": "X", "degraded_reason": "y"}, time=NOON)
    assert caption.badge == "OBSERVED"
    assert caption.valid == "at Fri 15 May 2015 12:00 UTC"
    assert caption.source == "Radar data: X"
    assert caption.banners == ()


def test_long_words_are_made_to_fit():
    grid = grid_of("mch", height=60, width=20)  # as narrow as a sheet gets
    wordy = made(np.zeros(grid.shape), grid, source="a method of many words " * 12)
    picture = np.asarray(draw_map(wordy, lead=0, style=BARE))
    assert (picture[58:74, -8:] > 250).all()
    assert (picture[58:74, 12:200].min(axis=2) < 180).any()


def test_arrows_show_the_motion_where_it_was_observed():
    grid = grid_of("mch", height=64, width=64)
    rate = np.zeros((2, *grid.shape), np.float32)
    rate[:, :, 32:] = np.nan
    motion = {"motion_x": (("y", "x"), np.full(grid.shape, 15.0))}
    motion["motion_y"] = (("y", "x"), np.zeros(grid.shape))
    moving = schema.forecast_dataset(rate, past=past(grid), source="test", extra=motion)
    style = MapStyle(longest_side=240, map_data=MapData(), motion_arrows=True)
    without = the_map(draw_map(moving, lead=0, style=BARE), grid).astype(int)
    with_arrows = the_map(draw_map(moving, lead=0, style=style), grid, style).astype(int)
    drawn = np.abs(with_arrows - without).max(axis=2) > 60
    left, right = np.array_split(drawn[: int(drawn.shape[0] * 0.9)], 2, axis=1)
    assert left.mean() > 0.01
    assert right[:, 40:].mean() == 0
    # They lie along the rows: eastward motion makes them wide and low.
    rows, columns = drawn[:20, :40].any(axis=1).sum(), drawn[:20, :40].any(axis=0).sum()
    assert columns > 2 * rows


def test_a_probability_has_its_own_scale():
    grid = grid_of("mch", height=31, width=43)
    likely = forecast("mch", kind="probability", grid=grid)
    likely["probability_of_exceedance"].values[1, 0] = 0.65
    picture = draw_probability(likely, lead=0, threshold_mm_h=1.0, style=BARE)
    assert share(the_map(picture, grid), PROBABILITY.colours[5]) > 0.8
    with pytest.raises(UsageError, match=r"no probability of 5 mm/h .* holds \[0.1, 1.0, 10.0\]"):
        draw_probability(likely, lead=0, threshold_mm_h=5.0, style=BARE)
    with pytest.raises(UsageError, match=r"holds \[\]"):
        draw_probability(forecast("mch"), lead=0, threshold_mm_h=5.0, style=BARE)


def test_one_picture_a_lead(tmp_path):
    def clock() -> datetime:
        return datetime(2015, 5, 15, 14, 7, tzinfo=UTC) + timedelta(0)

    maps = RenderMaps(style=BARE, clock=clock)
    folder = maps.write(forecast("mch", leads=3), into=tmp_path)
    assert folder == tmp_path / "20150515T1200Z_maps"
    assert sorted(path.name for path in folder.iterdir()) == [
        "20150515T1200Z_+005.png",
        "20150515T1200Z_+010.png",
        "20150515T1200Z_+015.png",
    ]
    with Image.open(folder / "20150515T1200Z_+010.png") as picture:
        assert picture.text["Author"] == "Test service"
        assert picture.text["Source"] == "persistence"
        assert picture.size == (
            sheet_of(grid_of("mch"), BARE).layout.width,
            sheet_of(grid_of("mch"), BARE).layout.height,
        )
    maps.write(forecast("mch", leads=2), into=tmp_path)  # again, and shorter: it is replaced
    assert len(list(folder.iterdir())) == 2
    assert [path.name for path in tmp_path.iterdir()] == [folder.name]


def test_the_same_forecast_gives_the_same_bytes(tmp_path):
    maps = RenderMaps(style=BARE, clock=lambda: datetime(2015, 5, 15, 13, tzinfo=UTC))
    one, other = tmp_path / "one", tmp_path / "other"
    for folder in (one, other):
        folder.mkdir()
        maps.write(forecast("mch", kind="full", leads=1), into=folder)
    name = "20150515T1200Z_maps/20150515T1200Z_+005.png"
    assert (one / name).read_bytes() == (other / name).read_bytes()


def test_observed_frames_are_drawn_one_by_one(tmp_path):
    folder = write_observed(past(grid_of("mch"), frames=3), into=tmp_path, style=BARE)
    assert sorted(path.name for path in folder.iterdir()) == [
        "20150515T1150Z_observed.png",
        "20150515T1155Z_observed.png",
        "20150515T1200Z_observed.png",
    ]


def test_a_folder_that_is_not_there_is_a_sentence(tmp_path):
    with pytest.raises(ProductError, match="there is no such folder"):
        RenderMaps(style=BARE).write(forecast("mch"), into=tmp_path / "nowhere")
    assert list(tmp_path.iterdir()) == []


def test_a_silly_size_is_refused():
    with pytest.raises(ValueError, match="a map of 20 pixels, expected 100 to 4000"):
        MapStyle(longest_side=20)


@pytest.mark.parametrize(("height", "width"), [(2, 2), (48, 37), (300, 20), (20, 300)])
def test_sheets_of_any_shape_have_even_sides(height, width):
    grid = grid_of("openmrg", height=height, width=width)
    picture = draw_map(made(np.zeros(grid.shape), grid), lead=0, style=BARE)
    assert picture.size[0] % 2 == 0
    assert picture.size[1] % 2 == 0


def test_reading_the_modules_loads_neither_cartopy_nor_matplotlib():
    names = ("render", "comparison", "curves", "animation", "captions", "colours", "map_data")
    code = (
        f"import sys; {'; '.join(f'import nowcast.products.{name}' for name in names)}; "
        "print(sorted({'cartopy', 'matplotlib', 'torch'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
