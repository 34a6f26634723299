"""Films of maps that are already drawn: animated GIF and MP4."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from nowcast.field.atomic import written_beside
from nowcast.field.errors import UsageError
from nowcast.products.colours import PROBABILITY, RAIN_RATE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray


def animate(
    pictures: Sequence[Path], *, path: Path, seconds: float = 0.3, hold: float = 1.5
) -> Path:
    """Write a film of ``pictures``, each shown for ``seconds`` and the last one for ``hold``.

    The suffix of ``path`` tells the kind: ``.gif`` (endless) or ``.mp4`` (H.264 in yuv420p, which
    every browser plays). Give the observed maps first and then those of the forecast: their words
    and frames tell them apart. Raises UsageError for no pictures, for pictures of different sizes,
    other suffixes, and MP4 without ``imageio-ffmpeg``; ProductError where it cannot be written.
    """
    if not pictures:
        raise UsageError(f"{path}: no pictures to make a film of")
    writers = {".gif": _write_gif, ".mp4": _write_mp4}
    if path.suffix not in writers:
        raise UsageError(f"{path}: films of kind {path.suffix!r}, expected .gif or .mp4")
    with written_beside(path) as beside:
        writers[path.suffix](pictures, beside, seconds, hold)
    return path


def pictures_in(*folders: Path) -> list[Path]:
    """The PNG pictures of some folders, each in the order of time."""
    return [path for folder in folders for path in sorted(folder.glob("*.png"))]


def _write_gif(pictures: Sequence[Path], path: Path, seconds: float, hold: float) -> None:
    palette = _palette(pictures)
    frames = [
        frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in _frames(pictures)
    ]
    shown = [round(seconds * 1000)] * (len(frames) - 1) + [round(hold * 1000)]
    frames[0].save(
        path,
        format="GIF",
        save_all=True,
        append_images=frames[1:],
        duration=shown,
        loop=0,
        optimize=False,
    )


def _write_mp4(pictures: Sequence[Path], path: Path, seconds: float, hold: float) -> None:
    try:
        import imageio_ffmpeg  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise UsageError(
            "MP4 needs imageio-ffmpeg, which is not installed: "
            "pip install 'mim-nowcast[animation]', or ask for a GIF"
        ) from error
    with Image.open(pictures[0]) as first:
        width, height = first.size
    even = width + width % 2, height + height % 2
    writer = imageio_ffmpeg.write_frames(
        str(path),
        even,
        fps=1 / seconds,
        codec="libx264",
        pix_fmt_out="yuv420p",
        quality=None,
        macro_block_size=2,
        ffmpeg_log_level="error",
        # The name that is written to does not tell the kind; a player can start before the end.
        output_params=["-crf", "20", "-preset", "fast", "-movflags", "+faststart", "-f", "mp4"],
    )
    writer.send(None)
    try:
        for frame in _frames(pictures):
            writer.send(_padded(frame, even))
        for _ in range(round(hold / seconds) - 1):
            writer.send(_padded(frame, even))
    finally:
        writer.close()


def _frames(pictures: Sequence[Path]) -> Iterator[Image.Image]:
    size = None
    for path in pictures:
        with Image.open(path) as picture:
            frame = picture.convert("RGB")
        size = size or frame.size
        if frame.size != size:
            raise UsageError(f"{path}: {frame.size} pixels, expected {size} as in {pictures[0]}")
        yield frame


def _padded(frame: Image.Image, size: tuple[int, int]) -> NDArray[np.uint8]:
    if frame.size == size:
        return np.ascontiguousarray(frame)
    whole = Image.new("RGB", size, "white")
    whole.paste(frame)
    return np.ascontiguousarray(whole)


def _palette(pictures: Sequence[Path]) -> Image.Image:
    """A palette for all pictures: the colours of our scales, then those that are met most.

    One for the whole film: with a palette a frame the same rain rate would change its colour.
    """
    counts: dict[int, int] = {}
    for frame in _frames(pictures):
        pixels = np.asarray(frame, dtype=np.uint32)[::2, ::2]
        packed = (pixels[..., 0] << 16) | (pixels[..., 1] << 8) | pixels[..., 2]
        for colour, count in zip(*np.unique(packed, return_counts=True), strict=True):
            counts[int(colour)] = counts.get(int(colour), 0) + int(count)
    fixed = [int(colour[1:], 16) for scale in (RAIN_RATE, PROBABILITY) for colour in scale.colours]
    met = [colour for colour in sorted(counts, key=lambda c: -counts[c]) if colour not in fixed]
    chosen = [*fixed, *met][:256]
    holder = Image.new("P", (1, 1))
    holder.putpalette([part for colour in chosen for part in colour.to_bytes(3, "big")])
    return holder
