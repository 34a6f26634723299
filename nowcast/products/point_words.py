"""A sentence for each place: "Rain in 17 min (07:52 UTC), until 09:40 UTC"."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nowcast.products.timelines import outlooks

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import NDArray

    from nowcast.products.outlook import Outlook


def sentences(dataset: xr.Dataset) -> list[str]:
    """What is said of rain at each station of the timelines, in words."""
    issued: np.datetime64 = dataset["forecast_reference_time"].values.reshape(-1)[0]
    rates = dataset["rainfall_rate"].values
    chances = np.full(len(rates), np.nan)
    if "rain_probability" in dataset:
        chances = dataset["rain_probability"].values
    return [
        sentence(one, issued=issued, rate=rate, probability=float(chance))
        for one, rate, chance in zip(outlooks(dataset), rates, chances, strict=True)
    ]


def sentence(
    one: Outlook, *, issued: np.datetime64, rate: NDArray[np.floating], probability: float = np.nan
) -> str:
    """The outlook in words; ``rate`` (time,) is the place's timeline, a NaN probability is none."""
    if one.known_until is None:
        return "Unknown: outside what the radar sees."

    def hour(minutes: float) -> str:
        return f"{clock(issued, minutes).item():%H:%M} UTC"

    chance = "" if np.isnan(probability) else f" {100 * probability:.0f} %"
    after = "; unknown after that" if one.is_cut else ""
    if not one.spells:
        chance = chance and f", probability of rain at most{chance}"
        return f"Dry until {hour(one.known_until)}{chance}{after}."
    first = one.spells[0]
    begin = "Raining now"
    if first.onset is not None:
        begin = f"Rain in {int(first.onset)} min ({hour(first.onset)})"
    end = f", on until {hour(one.known_until)} at least"
    if first.cessation is not None:
        end = f", until {hour(first.cessation)}"
    chance = chance and f", probability{chance}"
    strength = f", up to {rate[first.first : first.last + 1].max():.1f} mm/h"
    again = one.spells[1].onset if len(one.spells) > 1 else None
    more = "" if again is None else f"; again from {hour(again)}"
    return f"{begin}{end}{chance}{strength}{more}{after}."


def clock(issued: np.datetime64, minutes: float) -> np.datetime64:
    """The time (UTC) so many minutes after issue, to the minute before it: rather early than late.

    An onset lies between two frames, so that its middle often falls on half a minute.
    """
    moment = issued.astype("datetime64[s]") + np.timedelta64(round(minutes * 60), "s")
    whole: np.datetime64 = moment.astype("datetime64[m]")
    return whole
