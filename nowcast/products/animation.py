"""Films of maps that are already drawn: animated GIF and MP4."""

from __future__ import annotations

import errno
import signal
import subprocess
from collections import Counter
from contextlib import suppress
from tempfile import TemporaryFile
from typing import IO, TYPE_CHECKING, cast

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
    frames = [_indexed(frame, palette) for frame in _frames(pictures)]
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
    with Image.open(pictures[0]) as first:
        width, height = first.size
    even = width + width % 2, height + height % 2
    command = [
        *(_encoder(), "-loglevel", "error", "-y"),
        *("-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{even[0]}x{even[1]}"),
        *("-r", f"{1 / seconds:.4f}", "-i", "-"),
        *("-c:v", "libx264", "-preset", "fast", "-crf", "20", "-pix_fmt", "yuv420p"),
        # A player can start before the end; the name written to does not tell the kind.
        *("-movflags", "+faststart", "-f", "mp4", str(path)),
    ]
    with (
        TemporaryFile() as said,
        subprocess.Popen(command, stdin=subprocess.PIPE, stderr=said) as encoder,
    ):
        frame = b""
        # An encoder that gave up closes the pipe; why it did is read below.
        with suppress(BrokenPipeError), cast("IO[bytes]", encoder.stdin) as pipe:
            for picture in _frames(pictures):
                frame = _padded(picture, even)
                pipe.write(frame)
            for _ in range(round(hold / seconds) - 1):
                pipe.write(frame)
        encoder.wait()
        said.seek(0)
        lines = said.read().decode(errors="replace").strip().splitlines()
        _check_encoder(encoder.returncode, path, complaint=lines[-1] if lines else "")


def _encoder() -> str:
    """The path of ffmpeg, which lies in the package ``imageio-ffmpeg``."""
    try:
        import imageio_ffmpeg  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise UsageError(
            "MP4 needs imageio-ffmpeg, which is not installed: "
            "pip install 'mim-nowcast[animation]', or ask for a GIF"
        ) from error
    return str(imageio_ffmpeg.get_ffmpeg_exe())


def _check_encoder(code: int, path: Path, *, complaint: str) -> None:
    """Raise the OSError that ended ffmpeg, which published nothing then."""
    if code == 0:
        return
    if code == -signal.SIGXFSZ:
        raise OSError(errno.EFBIG, "ffmpeg: file too large", path)
    full = "No space left" in complaint
    raise OSError(errno.ENOSPC if full else errno.EIO, f"ffmpeg ended with {code}: {complaint}")


def _frames(pictures: Sequence[Path]) -> Iterator[Image.Image]:
    size = None
    for path in pictures:
        with Image.open(path) as picture:
            frame = picture.convert("RGB")
        size = size or frame.size
        if frame.size != size:
            raise UsageError(f"{path}: {frame.size} pixels, expected {size} as in {pictures[0]}")
        yield frame


def _padded(frame: Image.Image, size: tuple[int, int]) -> bytes:
    """The red, green and blue bytes of a frame, white where ``size`` is larger."""
    if frame.size != size:
        whole = Image.new("RGB", size, "white")
        whole.paste(frame)
        frame = whole
    return frame.tobytes()


def _palette(pictures: Sequence[Path]) -> NDArray[np.int32]:
    """A palette (256, 3) for all pictures: the colours of our scales, then those met most.

    One for the whole film: with a palette a frame the same rain rate would change its colour.
    """
    counts: Counter[int] = Counter()
    for frame in _frames(pictures):
        colours, met = np.unique(_packed(frame)[::2, ::2], return_counts=True)
        counts.update(dict(zip(colours.tolist(), met.tolist(), strict=True)))
    fixed = [int(colour[1:], 16) for scale in (RAIN_RATE, PROBABILITY) for colour in scale.colours]
    for colour in fixed:
        counts.pop(colour, None)
    chosen = np.array([*fixed, *(colour for colour, _ in counts.most_common(256 - len(fixed)))])
    return _unpacked(chosen)


def _indexed(frame: Image.Image, palette: NDArray[np.int32]) -> Image.Image:
    """The frame in the nearest colours of the palette; Pillow's own search is off by a few."""
    colours, places = np.unique(_packed(frame), return_inverse=True)
    away = ((_unpacked(colours)[:, None] - palette) ** 2).sum(axis=2)
    nearest = away.argmin(axis=1).astype(np.uint8)
    picture = Image.fromarray(nearest[places.reshape(frame.height, frame.width)])
    picture.putpalette(palette.astype(np.uint8).tobytes())
    return picture


def _packed(frame: Image.Image) -> NDArray[np.int32]:
    """Each pixel as one number."""
    red, green, blue = np.moveaxis(np.asarray(frame, dtype=np.int32), -1, 0)
    packed: NDArray[np.int32] = (red << 16) | (green << 8) | blue
    return packed


def _unpacked(colours: NDArray[np.int32]) -> NDArray[np.int32]:
    parts: NDArray[np.int32] = np.stack([colours >> 16, colours >> 8 & 255, colours & 255], axis=-1)
    return parts
