"""The comparison films of the paper's page: what was given, what came, what was forecast."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nowcast.field.atomic import written_beside

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray
    from PIL.Image import Image
    from torch import Tensor

    from nowcast.benchmark.task import Colours, Task

_SECONDS = 0.3
_HOLD_SECONDS = 0.9  # of the last frame
_LEAST_SIDE = 192  # pixels of a panel: smaller frames are enlarged by a whole number
_GAP, _HEADING = 8, 16
_TITLES = ("input", "truth", "forecast")


def film(task: Task, frames: Tensor, forecast: Tensor, *, path: Path) -> Path:
    """A GIF of one sequence, frames (T, C, H, W), and its forecast (leads, C, H, W).

    Three panels side by side; the input runs while truth and forecast do, so that the three can be
    held against each other frame by frame. Raises ProductError where it cannot be written.
    """
    given, truth = frames[: task.input_length], frames[task.input_length :]
    count = max(len(given), len(truth))
    pages = [
        _page(
            [
                _panel(part[min(index, len(part) - 1)], colours=task.colours)
                for part in (given, truth, forecast)
            ],
            note=f"+{min(index, len(truth) - 1) + 1}",
        )
        for index in range(count)
    ]
    milliseconds = [round(1000 * _SECONDS)] * (count - 1) + [round(1000 * _HOLD_SECONDS)]
    with written_beside(path) as beside:
        pages[0].save(
            beside,
            format="GIF",
            save_all=True,
            append_images=pages[1:],
            duration=milliseconds,
            loop=0,
        )
    return path


def _panel(frame: Tensor, *, colours: Colours) -> NDArray[np.uint8]:
    """One frame (C, H, W), 0 to 1, as (H, W, 3) pixels; channels of heat below each other."""
    values = np.clip(np.nan_to_num(frame.numpy()), 0.0, 1.0)
    if colours == "rgb":
        pixels = np.moveaxis(values, 0, -1)
    elif colours == "heat":
        import matplotlib as mpl  # noqa: PLC0415

        pixels = mpl.colormaps["inferno"](np.concatenate(list(values), axis=0))[..., :3]
    else:
        pixels = np.repeat(np.concatenate(list(values), axis=0)[..., None], 3, axis=-1)
    factor = max(1, -(-_LEAST_SIDE // max(pixels.shape[:2])))
    enlarged: NDArray[np.uint8] = np.round(255 * pixels).astype(np.uint8)
    return enlarged.repeat(factor, axis=0).repeat(factor, axis=1)


def _page(panels: list[NDArray[np.uint8]], *, note: str) -> Image:
    from PIL import Image, ImageDraw  # noqa: PLC0415

    height, width = panels[0].shape[:2]
    size = (3 * width + 4 * _GAP, height + _HEADING + 2 * _GAP)
    page = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(page)
    for place, (title, pixels) in enumerate(zip(_TITLES, panels, strict=True)):
        left = _GAP + place * (width + _GAP)
        text = title if place == 0 else f"{title} {note}"
        draw.text((left, _GAP // 2), text, fill="black")
        page.paste(Image.fromarray(pixels), (left, _HEADING + _GAP))
    return page
