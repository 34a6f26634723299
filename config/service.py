"""Settings of the rolling service: one TOML file, every key of it checked."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from config import load

Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Minutes = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1)]
Method = Literal["mim", "extrapolation", "persistence", "sprog", "anvil", "steps"]


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)


class ServiceTable(_Table):
    """Where the service keeps its things, and its pace.

    Attributes:
        data: the folder of ledger, forecasts and maps; one service a folder.
        domain: what the forecasts are for, as manifests and pages show it.
        tick_seconds: how often the feed's folder is listed anew, whatever wakes the service.
        stall_seconds: without a finished tick for so long the process ends (exit 70), to be
            started again.

    """

    data: Path
    domain: Annotated[str, Field(pattern=r"[a-z0-9]+(-[a-z0-9]+)*")] = "domain"
    tick_seconds: Annotated[float, Field(gt=0, le=30)] = 5.0
    stall_seconds: Annotated[float, Field(ge=10)] = 60.0


class FeedTable(_Table):
    """What comes in.

    Attributes:
        name: the feed, see ``nowcast feeds``.
        folder: where its files arrive, at any depth.
        series: a part that tells the wanted series from others; empty takes that of the first file.
        cadence_minutes: of a feed whose profile states none.
        settle_seconds: a file is taken when size and time have not changed for so long.
        patience_seconds: a file that cannot be read is tried again for so long, then refused.
        grace_seconds: how long a cycle waits for frames before its own that are missing.
        late_minutes: how late a frame may come and still get its forecast; older ones are left.
        revision_minutes: how old a published forecast may be to be issued again on new input.
        decode_seconds, decode_gib, file_mib: limits of reading one file.

    """

    name: str
    folder: Path
    series: str = ""
    cadence_minutes: Annotated[float | None, Field(gt=0)] = None
    settle_seconds: Annotated[float, Field(ge=0)] = 1.0
    patience_seconds: Seconds = 60.0
    grace_seconds: Annotated[float, Field(ge=0)] = 30.0
    late_minutes: Minutes = 120.0
    revision_minutes: Minutes = 30.0
    decode_seconds: Seconds = 15.0
    decode_gib: Seconds = 4.0
    file_mib: Seconds = 512.0


class ForecastTable(_Table):
    """How it is forecast.

    Attributes:
        methods: the ladder: each stands in for those before it.
        leads: time steps ahead.
        weights: a checkpoint of MIM in place of the one that ships.
        deadline_seconds: of the first method; after it the next one answers.
        fallback_seconds: of each later one.
        memory_gib: of a forecast.
        attempts: how often a cycle whose process died is tried.

    """

    methods: Annotated[tuple[Method, ...], Field(min_length=1)] = (
        "mim",
        "extrapolation",
        "persistence",
    )
    leads: Annotated[int, Field(ge=1, le=288)] = 24
    weights: Path | None = None
    probabilities: bool = True
    deadline_seconds: Seconds = 120.0
    fallback_seconds: Seconds = 60.0
    memory_gib: Seconds = 12.0
    attempts: Annotated[int, Field(ge=1, le=10)] = 3


class QualityTable(_Table):
    """From where on a frame or a forecast is not to be trusted.

    The defaults let every frame pass of the archives that the project is tested with.

    Attributes:
        wet_mm_h, highest_mm_h, clutter_share, unseen_most, unseen_jump, memory_minutes,
            stuck_cells, header_minutes, raining_share, raining_minutes: see
            ``nowcast.service.quality.Thresholds``.

    """

    wet_mm_h: Positive = 0.1
    highest_mm_h: Positive = 300.0
    clutter_share: Share = 0.001
    unseen_most: Share = 0.995
    unseen_jump: Share = 0.3
    memory_minutes: Minutes = 30.0
    stuck_cells: Annotated[int, Field(ge=1)] = 50
    header_minutes: Minutes = 15.0
    raining_share: Share = 0.01
    raining_minutes: Minutes = 30.0


class ProductsTable(_Table):
    """What is written beside the NetCDF.

    Attributes:
        stations: a registry of places (CSV or GeoJSON), whose rain timelines are published too.
        maps: a map of every lead, drawn after the forecast is out.
        cog, zarr: likewise.

    """

    stations: Path | None = None
    maps: bool = True
    cog: bool = False
    zarr: bool = False


class GaugesTable(_Table):
    """Rain gauges, whose readings the viewer shows beside a place.

    Attributes:
        files: files of gauges, and folders of them; read again when they change.
        interval_minutes: what a reading was gathered in, where a file leaves it open.
        stamp: whether times are those of the end or the start of intervals.
        within_km: gauges farther from a place are not shown beside it.

    """

    files: tuple[Path, ...] = ()
    interval_minutes: Annotated[float | None, Field(gt=0)] = None
    stamp: Literal["end", "start"] = "end"
    within_km: Positive = 10.0


class RetentionTable(_Table):
    """What is kept, and for how long; the newest forecast always is.

    Attributes:
        published_hours: forecasts, their maps and the frames they rest on.
        ledger_days: the rows of cycles and frames.
        quarantine_files: refused files.
        free_gib: below so much free space the oldest go earlier.

    """

    published_hours: Annotated[float, Field(gt=0)] = 48.0
    ledger_days: Annotated[float, Field(gt=0)] = 30.0
    quarantine_files: Annotated[int, Field(ge=0)] = 200
    free_gib: Annotated[float, Field(ge=0)] = 2.0


class FetchTable(_Table):
    """A network source that brings files into the feed's folder: ``nowcast fetch``."""

    source: Annotated[str, Field(min_length=1)]
    since_minutes: Minutes = 120.0


class SkillTable(_Table):
    """How forecasts are verified, and when a simpler method is published in place of MIM.

    Attributes:
        verify: whether every forecast is scored when its truth comes.
        gate: whether MIM gives way to a simpler method that it has lost to.
        thresholds_mm_h: at which it is scored.
        scales_cells: the windows of FSS.
        threshold_mm_h: the rain that the gate asks about.
        window_hours: that the gate looks back on.
        return_hours: that must speak for MIM before it comes back.
        hold_hours: how long a decision stands at the least.
        keep_days: how long sums are kept; tables of days stay.

    """

    verify: bool = True
    gate: bool = True
    thresholds_mm_h: Annotated[tuple[Positive, ...], Field(min_length=1)] = (0.1, 0.5, 1, 5, 10)
    scales_cells: Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(min_length=1)] = (9, 17)
    threshold_mm_h: Positive = 0.5
    window_hours: Positive = 24.0
    return_hours: Positive = 12.0
    hold_hours: Minutes = 3.0
    keep_days: Positive = 40.0


class MonitorTable(_Table):
    """What operators see.

    Attributes:
        port: of /livez, /readyz and /metrics; 0 for none.
        host: where they are listened for; other than loopback in a container alone.
        log: JSON lines, a console's colours, or whichever fits what standard error is.

    """

    port: Annotated[int, Field(ge=0, le=65535)] = 0
    host: Literal["127.0.0.1", "::1", "0.0.0.0"] = "127.0.0.1"
    log: Literal["auto", "json", "console"] = "auto"


class ServiceSettings(_Table):
    """The whole file; paths are relative to it.

    Attributes:
        schema_version: of the settings, 1.

    """

    schema_version: Literal[1]
    service: ServiceTable
    feed: FeedTable
    forecast: ForecastTable = ForecastTable()
    quality: QualityTable = QualityTable()
    products: ProductsTable = ProductsTable()
    gauges: GaugesTable = GaugesTable()
    retention: RetentionTable = RetentionTable()
    skill: SkillTable = SkillTable()
    monitor: MonitorTable = MonitorTable()
    fetch: tuple[FetchTable, ...] = ()

    @model_validator(mode="after")
    def _the_feed_lies_outside(self) -> ServiceSettings:
        if self.service.data.absolute() == self.feed.folder.absolute():
            raise ValueError("service.data and feed.folder are the same folder: give two")
        return self

    @property
    def sha256(self) -> str:
        """What tells these settings from others, wherever the file lies."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()


def read_settings(path: Path) -> ServiceSettings:
    """The settings in a TOML file; raises ConfigError with a line for every wrong key."""
    # What was found is not shown: a value in the wrong place may be a secret.
    settings = load.read(path, ServiceSettings, shows_found=False)
    return _anchored(settings, path.absolute().parent)


def _anchored(settings: ServiceSettings, home: Path) -> ServiceSettings:
    """The same settings with every path made absolute."""
    tables = {}
    for name in ("service", "feed", "forecast", "products"):
        table = getattr(settings, name)
        paths = {key: home / value for key, value in table if isinstance(value, Path)}
        tables[name] = table.model_copy(update=paths)
    files = tuple(home / path for path in settings.gauges.files)
    tables["gauges"] = settings.gauges.model_copy(update={"files": files})
    return settings.model_copy(update=tables)
