"""What a feed is: which files belong to it, how they are read, under which licence they come."""

from __future__ import annotations

import datetime as dt
import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from config.load import Profiles

UNKNOWN = "unknown"
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
ReaderFormat = Literal[
    "cf",
    "fmi-pgm",
    "geotiff",
    "knmi-hdf5",
    "mch-gif",
    "meteonet",
    "mrms-grib",
    "nimrod",
    "odim",
    "odim-tar",
    "radolan",
]


class _Profile(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)


class ZRelation(_Profile):
    """The relation Z = a R**b that turns the feed's reflectivity into rain rate."""

    a: Positive = 200.0
    b: Positive = 1.6


class ReaderProfile(_Profile):
    """The file format, and what its files do not say themselves."""

    format: ReaderFormat
    accumulation_minutes: Positive | None = None
    quantity: str | None = None
    variable: str | None = None
    units: str | None = None
    gain: float | None = None
    offset: float | None = None
    nodata: float | None = None
    undetect: float | None = None

    @property
    def options(self) -> dict[str, Any]:
        """The settings that the profile gives, without the format."""
        return self.model_dump(exclude={"format"}, exclude_none=True)


class FeedProfile(_Profile):
    """One radar feed.

    Attributes:
        name: what ``--feed`` takes.
        title, institution, licence, references: what the products made of it say.
        pattern: regular expressions, one of which a whole file name must match; the group ``time``
            holds the valid time, other groups tell one series from another (radar, zone, product).
            Empty for a generic feed, whose files are known by their content.
        time_format: the strptime formats of the group ``time``, tried in turn; empty where the
            times come from inside the files.
        cadence_minutes: the time between frames; None where the files found decide.
        unit, grid: what the files hold, in words.
        zr: the Z-R relation of files that hold reflectivity.
        maximum_rate_mm_h: rates above it are taken for it; None keeps them.
        reader: the file format and its options.

    """

    name: Annotated[str, Field(pattern=r"[a-z0-9]+(-[a-z0-9]+)*")]
    title: Annotated[str, Field(min_length=1)]
    institution: str = UNKNOWN
    licence: str = UNKNOWN
    references: str = ""
    pattern: tuple[str, ...] = ()
    time_format: tuple[str, ...] = ()
    cadence_minutes: Positive | None = None
    unit: str
    grid: str
    zr: ZRelation = ZRelation()
    maximum_rate_mm_h: Positive | None = 200.0
    reader: ReaderProfile

    @field_validator("pattern", "time_format", mode="before")
    @classmethod
    def _one_or_several(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value

    @field_validator("pattern")
    @classmethod
    def _compiles(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for expression in value:
            try:
                re.compile(expression)
            except re.error as error:
                raise ValueError(f"a regular expression; {expression!r}: {error}") from error
        return value

    @model_validator(mode="after")
    def _time_and_format_go_together(self) -> FeedProfile:
        expressions = self.pattern or ("",)
        if any(("time" in re.compile(e).groupindex) != bool(self.time_format) for e in expressions):
            raise ValueError(
                "a group (?P<time>...) in pattern and a time_format go together: give both, "
                "or neither where the times come from inside the files"
            )
        return self

    @property
    def is_generic(self) -> bool:
        """Whether files are known by content alone."""
        return not self.pattern

    def match(self, file_name: str) -> re.Match[str] | None:
        """The match of a whole file name, None for a foreign one and for a generic feed."""
        matches = (re.fullmatch(expression, file_name) for expression in self.pattern)
        return next((match for match in matches if match), None)

    def series(self, match: re.Match[str]) -> str:
        """What tells the file's series from others of the feed: the groups besides ``time``."""
        others = {name: text for name, text in match.groupdict().items() if name != "time"}
        return " ".join(f"{name} {text}" for name, text in sorted(others.items()) if text)

    def time(self, match: re.Match[str]) -> dt.datetime | None:
        """The valid time (UTC) in the name, or None where none of the formats fits exactly."""
        for form in self.time_format:
            try:
                found = dt.datetime.strptime(match["time"], form).replace(tzinfo=dt.UTC)
            except ValueError:
                continue
            # strptime takes "0115" for 01:01:05; only what comes back the same was meant.
            if found.strftime(form) == match["time"]:
                return found
        return None


FEEDS = Profiles(
    kind="feed",
    model=FeedProfile,
    shipped=Path(__file__).parent / "feeds",
    users_folder="NOWCAST_FEEDS",
)
