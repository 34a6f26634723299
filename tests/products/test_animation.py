"""Films: as many frames as pictures, of their size, in the colours of the scale."""

from __future__ import annotations

import re
import subprocess
import sys

import imageio_ffmpeg
import numpy as np
import pytest
from forecast_samples import file_size_limit, forecast, grid_of, past
from PIL import Image

from nowcast.field.errors import ProductError, UsageError
from nowcast.products.animation import animate, pictures_in
from nowcast.products.colours import RAIN_RATE
from nowcast.products.map_data import MapData
from nowcast.products.render import RenderMaps, write_observed
from nowcast.products.style import MapStyle

BARE = MapStyle(longest_side=160, map_data=MapData())


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Two observed maps and the three of the forecast that follows."""
    folder = tmp_path_factory.mktemp("maps")
    observed = write_observed(past(grid_of("mch")), into=folder, style=BARE)
    return pictures_in(observed, RenderMaps(style=BARE).write(forecast("mch"), into=folder))


def test_observed_pictures_come_first(pictures):
    assert [path.name for path in pictures] == [
        "20150515T1155Z_observed.png",
        "20150515T1200Z_observed.png",
        "20150515T1200Z_+005.png",
        "20150515T1200Z_+010.png",
        "20150515T1200Z_+015.png",
    ]


def test_a_gif_holds_every_picture(tmp_path, pictures):
    path = animate(pictures, path=tmp_path / "film.gif", seconds=0.25, hold=2.0)
    with Image.open(path) as film, Image.open(pictures[0]) as first:
        assert film.n_frames == 5
        assert film.size == first.size
        assert film.info["loop"] == 0
        shown = []
        for number in range(5):
            film.seek(number)
            shown.append(film.info["duration"])
    assert shown == [250, 250, 250, 250, 2000]
    assert list(tmp_path.iterdir()) == [path]


def test_a_gif_keeps_the_colours_of_the_scale(tmp_path, pictures):
    path = animate(pictures, path=tmp_path / "film.gif")
    classes = {tuple(bytes.fromhex(colour[1:])) for colour in RAIN_RATE.colours}
    seen = set()
    with Image.open(path) as film:
        for number, picture in enumerate(pictures):
            film.seek(number)
            kept = np.asarray(film.convert("RGB")).astype(int)
            with Image.open(picture) as drawn:
                wanted = np.asarray(drawn.convert("RGB")).astype(int)
            for colour in classes:
                here = (wanted == colour).all(axis=2)
                seen |= {colour} if here.any() else set()
                assert (kept[here] == colour).all()
            assert np.abs(kept - wanted).max(axis=2).mean() < 2
    assert seen == classes


def decoded(path) -> tuple[str, np.ndarray]:
    """What ffmpeg says of a film, and its frames (time, y, x, 3)."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-i", path, "-f", "rawvideo", "-pix_fmt", "rgb24"]
    done = subprocess.run([*command, "-"], capture_output=True, check=True)
    told = next(line for line in done.stderr.decode().splitlines() if "Video: h264" in line)
    width, height = map(int, re.search(r" (\d+)x(\d+)[ ,]", told).groups())
    return told, np.frombuffer(done.stdout, np.uint8).reshape(-1, height, width, 3)


def test_an_mp4_holds_every_picture(tmp_path, pictures):
    path = animate(pictures, path=tmp_path / "film.mp4", seconds=0.25, hold=1.0)
    about, frames = decoded(path)
    assert "yuv420p" in about
    assert "4 fps" in about
    assert len(frames) == 4 + 4  # the last one stands for a second
    for frame, picture in zip(frames, pictures, strict=False):
        with Image.open(picture) as drawn:
            wanted = np.asarray(drawn.convert("RGB"))
        assert frame.shape == wanted.shape
        assert np.abs(frame.astype(int) - wanted).mean() < 12
    assert list(tmp_path.iterdir()) == [path]


def test_odd_sizes_are_made_even(tmp_path):
    for number in range(2):
        Image.new("RGB", (101, 57), (200, 10 * number, 30)).save(tmp_path / f"{number}.png")
    _, frames = decoded(animate(pictures_in(tmp_path), path=tmp_path / "film.mp4"))
    assert frames.shape[1:] == (58, 102, 3)


def test_what_makes_no_film(tmp_path, pictures):
    with pytest.raises(UsageError, match=r"film\.gif: no pictures"):
        animate([], path=tmp_path / "film.gif")
    with pytest.raises(UsageError, match=r"kind '\.avi', expected \.gif or \.mp4"):
        animate(pictures, path=tmp_path / "film.avi")
    Image.new("RGB", (10, 10)).save(tmp_path / "small.png")
    with pytest.raises(UsageError, match=r"small\.png: \(10, 10\) pixels, expected"):
        animate([*pictures, tmp_path / "small.png"], path=tmp_path / "film.gif")
    with pytest.raises(UsageError, match=r"small\.png: \(10, 10\) pixels, expected"):
        animate([*pictures, tmp_path / "small.png"], path=tmp_path / "film.mp4")
    assert [path.name for path in tmp_path.iterdir()] == ["small.png"]


def test_an_mp4_without_its_encoder_is_a_sentence(tmp_path, pictures, monkeypatch):
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    with pytest.raises(UsageError, match=r"pip install 'mim-nowcast\[animation\]'"):
        animate(pictures, path=tmp_path / "film.mp4")


@pytest.mark.parametrize("kind", ["gif", "mp4"])
def test_a_full_disk_leaves_nothing_behind(tmp_path, pictures, kind):
    with (
        file_size_limit(2000),
        pytest.raises(ProductError, match=rf"film\.{kind}: could not be written"),
    ):
        animate(pictures, path=tmp_path / f"film.{kind}")
    assert list(tmp_path.iterdir()) == []
