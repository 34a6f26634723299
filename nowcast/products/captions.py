"""What a map says in words: what it shows, when it holds, who made it, how far to trust it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nowcast.products import style as look

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from nowcast.field.schema import Forecast

_MINUTE = np.timedelta64(1, "m")
# Older than this, a forecast is a case from an archive rather than a stale one.
_ARCHIVED = np.timedelta64(2, "D")


@dataclass(frozen=True)
class Banner:
    """A strip across the map: what must not be overlooked."""

    text: str
    ground: str


@dataclass(frozen=True)
class Caption:
    """The words of one map.

    Attributes:
        title: what is shown.
        valid: the time at which it holds.
        details: issue time and method.
        badge: the lead time, or that it was observed.
        colour: of badge and frame: forecast and observation are told apart by it.
        age: how old the newest data are; empty where unknown.
        age_colour: its colour.
        banners: degraded, simulated.
        source: whose data it is.

    """

    title: str
    valid: str
    details: str
    badge: str
    colour: str
    age: str = ""
    age_colour: str = look.QUIET
    banners: tuple[Banner, ...] = ()
    source: str = ""


def forecast_caption(forecast: Forecast, *, lead: int, now: np.datetime64 | None) -> Caption:
    """The caption of lead number ``lead`` of a forecast, drawn at ``now`` (UTC)."""
    issued = issued_at(forecast)
    leads = forecast["lead_time"].values
    attrs = forecast.attrs
    age, colour = _age(issued, step=leads[0], now=now)
    return Caption(
        title="Rain rate forecast",
        valid=f"valid {utc(issued + leads[lead], weekday=True)}",
        details=f"issued {utc(issued)}  ·  method: {attrs['source']}",
        badge=duration(leads[lead], sign="+"),
        colour=look.FORECAST,
        age=age,
        age_colour=colour,
        banners=_banners(attrs),
        source=source_line(attrs),
    )


def observed_caption(attrs: Mapping[str, Any], *, time: np.datetime64) -> Caption:
    """The caption of an observed frame."""
    return Caption(
        title="Rain rate observed by radar",
        valid=f"at {utc(time, weekday=True)}",
        details="",
        badge="OBSERVED",
        colour=look.OBSERVED,
        banners=_banners({name: attrs[name] for name in attrs if name != "degraded_reason"}),
        source=source_line(attrs),
    )


def issued_at(forecast: Forecast) -> np.datetime64:
    """The issue time of a forecast: that of the newest frame used."""
    issued: np.datetime64 = forecast["forecast_reference_time"].values.reshape(-1)[0]
    return issued


def method_of(forecast: Forecast) -> str:
    """The method that answered, without what it is made of: ``mim``."""
    return str(forecast.attrs["source"]).split(":")[0].strip()


def utc(time: np.datetime64, *, weekday: bool = False) -> str:
    """A time as ``Thu 26 Aug 2010 03:00 UTC``."""
    moment = time.astype("datetime64[s]").item()
    return f"{moment:%a %d %b %Y %H:%M UTC}" if weekday else f"{moment:%d %b %Y %H:%M UTC}"


def duration(span: np.timedelta64, *, sign: str = "") -> str:
    """A time span as ``+35 min`` or ``1 h 15 min``."""
    minutes = round(float(span / _MINUTE))
    hours, rest = divmod(minutes, 60)
    words = [f"{hours} h"] if hours else []
    if rest or not hours:
        words.append(f"{rest} min")
    return sign + " ".join(words)


def source_line(attrs: Mapping[str, Any]) -> str:
    """Whose data, and under which licence."""
    institution = str(attrs.get("institution", "")).strip()
    licence = str(attrs.get("licence", "")).strip()
    if not institution:
        return f"Radar data: licence {licence}" if licence else ""
    return f"Radar data: {institution}" + (f" ({licence})" if licence else "")


def is_simulated(attrs: Mapping[str, Any]) -> bool:
    """Whether the rain was made up rather than observed."""
    told = attrs.get("simulated")
    if told is not None:
        return str(told).lower() not in {"0", "false", "no", ""}
    return "simulated" in str(attrs.get("title", "")).lower()


def _banners(attrs: Mapping[str, Any]) -> tuple[Banner, ...]:
    found = []
    if is_simulated(attrs):
        found.append(Banner("SIMULATED STORM, not an observation", look.SIMULATED_GROUND))
    if attrs.get("degraded_reason"):
        found.append(Banner(f"DEGRADED: {attrs['degraded_reason']}", look.WARNING_GROUND))
    return tuple(found)


def _age(
    issued: np.datetime64, *, step: np.timedelta64, now: np.datetime64 | None
) -> tuple[str, str]:
    """How old the newest frame is, amber from two time steps on and red from four."""
    if now is None:
        return "", look.QUIET
    age = now - issued
    if age > _ARCHIVED:
        return f"archived case, {_long(age)} old", look.QUIET
    colour = look.ALARM if age > 4 * step else look.FORECAST if age > 2 * step else look.QUIET
    return f"newest radar frame {duration(max(age, np.timedelta64(0, 'm')))} old", colour


def _long(span: np.timedelta64) -> str:
    days = int(span / np.timedelta64(1, "D"))
    return f"{days} days" if days < 730 else f"{days // 365} years"
