"""Maps of forecasts and observations, one picture a time step."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from nowcast.field.atomic import written_beside
from nowcast.field.schema import QUALITY_OBSERVED, grid_of
from nowcast.products import description
from nowcast.products.captions import forecast_caption, issued_at, observed_caption
from nowcast.products.colours import PROBABILITY
from nowcast.products.probabilities import threshold_index
from nowcast.products.style import MapStyle

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray
    from PIL.Image import Image

    from nowcast.field.schema import Forecast, Frames, Radar
    from nowcast.products.sheet import MapSheet

_MINUTE = np.timedelta64(1, "m")
# Pillow's zlib level: a quarter of the time of its default at a tenth more bytes.
_PNG_LEVEL = 4


def utc_now() -> datetime:
    """The time of the clock."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class RenderMaps:
    """One PNG a lead time, in a folder of their own.

    ``clock`` gives the time against which the age of the data is counted.
    """

    style: MapStyle = field(default_factory=MapStyle)
    clock: Callable[[], datetime] = utc_now

    def write(self, forecast: Forecast, *, into: Path) -> Path:
        """Write ``into/20100826T0300Z_maps/20100826T0300Z_+005.png`` and so on; returns the folder.

        Raises ProductError where they cannot be written.
        """
        now = np.datetime64(self.clock().astimezone(UTC).replace(tzinfo=None), "ns")
        stamp = description.stamp(issued_at(forecast))
        folder = into / f"{stamp}_maps"
        shared = _Shared.of(forecast, self.style)
        with written_beside(folder) as beside:
            beside.mkdir()
            for lead, span in enumerate(forecast["lead_time"].values):
                picture = shared.draw(forecast, lead=lead, now=now)
                name = f"{stamp}_+{round(float(span / _MINUTE)):03d}.png"
                _save(picture, beside / name, attrs=forecast.attrs)
        return folder


def write_observed(frames: Frames | Radar, *, into: Path, style: MapStyle | None = None) -> Path:
    """Write ``into/20100826T0300Z_observed/20100826T0255Z_observed.png`` and so on, one a frame.

    The folder, which is returned, bears the time of the newest frame. Raises ProductError.
    """
    times = frames["time"].values
    folder = into / f"{description.stamp(times[-1])}_observed"
    with written_beside(folder) as beside:
        beside.mkdir()
        for index, time in enumerate(times):
            picture = draw_observed(frames, index=index, style=style)
            _save(picture, beside / f"{description.stamp(time)}_observed.png", attrs=frames.attrs)
    return folder


def draw_map(
    forecast: Forecast,
    *,
    lead: int,
    style: MapStyle | None = None,
    now: np.datetime64 | None = None,
) -> Image:
    """The map of lead number ``lead`` (0 is the first) of a forecast.

    ``now`` (UTC) is the time against which the age of the data is counted; None leaves the age out.
    """
    return _Shared.of(forecast, style or MapStyle()).draw(forecast, lead=lead, now=now)


@dataclass(frozen=True)
class _Shared:
    """What the maps of all leads of a forecast have in common."""

    sheet: MapSheet
    edge: NDArray[np.bool_]
    arrows: Image | None

    @classmethod
    def of(cls, forecast: Forecast, style: MapStyle) -> _Shared:
        from nowcast.products.sheet import sheet_of  # noqa: PLC0415 - loads cartopy

        sheet = sheet_of(grid_of(forecast), style)
        observed = observed_area(forecast)
        arrows = None
        if style.motion_arrows and "motion_x" in forecast:
            x, y = (forecast[name].values for name in ("motion_x", "motion_y"))
            arrows = sheet.arrows(np.where(observed, x, np.nan), np.where(observed, y, np.nan))
        return cls(sheet, sheet.edge_of(observed), arrows)

    def draw(self, forecast: Forecast, *, lead: int, now: np.datetime64 | None) -> Image:
        """The map of one lead."""
        rate = forecast["rainfall_rate"].values[lead]
        caption = forecast_caption(forecast, lead=lead, now=now)
        return self.sheet.draw(rate, caption, edge=self.edge, over=self.arrows)


def draw_probability(
    forecast: Forecast,
    *,
    lead: int,
    threshold_mm_h: float,
    style: MapStyle | None = None,
    now: np.datetime64 | None = None,
) -> Image:
    """The map of the probability that the rain rate reaches a threshold that the forecast holds."""
    from nowcast.products.sheet import sheet_of  # noqa: PLC0415 - loads cartopy

    near = threshold_index(forecast, threshold_mm_h)
    style = replace(style or MapStyle(), scale=PROBABILITY)
    sheet = sheet_of(grid_of(forecast), style)
    caption = forecast_caption(forecast, lead=lead, now=now)
    return sheet.draw(
        forecast["probability_of_exceedance"].values[near, lead],
        replace(caption, title=f"Probability of at least {threshold_mm_h:g} mm h⁻¹"),
        edge=sheet.edge_of(observed_area(forecast)),
    )


def draw_observed(frames: Frames | Radar, *, index: int, style: MapStyle | None = None) -> Image:
    """The map of one observed frame."""
    from nowcast.products.sheet import sheet_of  # noqa: PLC0415 - loads cartopy

    sheet = sheet_of(grid_of(frames), style or MapStyle())
    rate = frames["rainfall_rate"].values[index]
    caption = observed_caption(frames.attrs, time=frames["time"].values[index])
    return sheet.draw(rate, caption, edge=sheet.edge_of(np.isfinite(rate)))


def observed_area(forecast: Forecast) -> NDArray[np.bool_]:
    """Where a radar looked (y, x): the quality flag, or else where the first lead has a value."""
    if "quality_flag" in forecast:
        return np.asarray(forecast["quality_flag"].values == QUALITY_OBSERVED)
    return np.asarray(np.isfinite(forecast["rainfall_rate"].values[0]))


def _save(picture: Image, path: Path, *, attrs: dict[str, Any]) -> None:
    from PIL.PngImagePlugin import PngInfo  # noqa: PLC0415

    told = PngInfo()
    for key, name in (("Source", "source"), ("Copyright", "licence"), ("Author", "institution")):
        if attrs.get(name):
            told.add_itxt(key, str(attrs[name]))
    picture.save(path, format="PNG", compress_level=_PNG_LEVEL, pnginfo=told)
