"""All the pictures of a forecast: maps, the film of past and future, beside what was observed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nowcast.field.atomic import make_folder
from nowcast.field.schema import Forecast
from nowcast.products.animation import animate, pictures_in
from nowcast.products.comparison import draw_comparison
from nowcast.products.description import issue_name
from nowcast.products.render import RenderMaps, write_observed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from nowcast.field.schema import Frames, Radar

# Leads of a comparison: as parts of the whole forecast, which keeps four columns readable.
COMPARED_PARTS = (0.25, 0.5, 0.75, 1.0)
FILMS = (".gif", ".mp4")


def draw_pictures(
    forecast: Forecast,
    *,
    into: Path,
    past: Radar | None = None,
    films: bool = True,
    heard: Callable[[str], None] = lambda _: None,
) -> Iterator[Path]:
    """A map of every lead, those of ``past`` where it is given, and a GIF and an MP4 of both.

    Yields what has been written, as soon as it is there. Raises ProductError.
    """
    make_folder(into)
    folders = []
    if past is not None:
        folders.append(write_observed(past, into=into))
        yield folders[-1]
    folders.append(RenderMaps().write(forecast, into=into))
    heard("maps")
    yield folders[-1]
    if films:
        shown = pictures_in(*folders)
        for suffix in FILMS:
            yield animate(shown, path=into / f"{issue_name(forecast)}{suffix}")
            heard(suffix)


def draw_beside_observation(forecasts: Sequence[Forecast], observed: Frames, *, path: Path) -> Path:
    """The observation above, a row a forecast below it, at four leads; raises ProductError."""
    minutes = forecasts[0]["lead_time"].values / np.timedelta64(1, "m")
    chosen = sorted({round(part * minutes.size) for part in COMPARED_PARTS} - {0})
    return draw_comparison(
        forecasts,
        observed,
        leads_minutes=[float(minutes[lead - 1]) for lead in chosen],
        path=path,
    )


def shortened(forecast: Forecast, *, leads: int | None) -> Forecast:
    """The first ``leads`` leads of a forecast; all of them for None."""
    return forecast if leads is None else Forecast(forecast.isel(lead_time=slice(leads)))
