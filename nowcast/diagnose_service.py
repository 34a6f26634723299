"""What is wrong with a service's set-up, and how to mend it: settings, folders, ledger, feed."""

from __future__ import annotations

import fcntl
import os
import resource
import shutil
import socket
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from config.load import ConfigError
from config.service import read_settings
from config.source import SOURCES
from mim_core import checkpoint
from nowcast.diagnose import Finding, guarded, writing
from nowcast.field.errors import NowcastError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from config.secret import Secret
    from config.service import ServiceSettings
    from config.source import SourceProfile

_OPEN_FILES = 256
_LATE_CADENCES = 4


def examine_service(config: Path) -> Iterator[Finding]:
    """All findings on the service of these settings; without readable settings only that one."""
    try:
        settings = read_settings(config)
    except ConfigError as error:
        yield Finding("settings", "bad", str(error), f"mend the keys that it names in {config}")
        return
    yield Finding("settings", "good", f"{config}: schema version {settings.schema_version}")
    patient = Patient(settings)
    for check in (
        patient.data_folder,
        patient.data_disk,
        patient.one_disk,
        patient.lock,
        patient.ledger,
        patient.skill_store,
        patient.latest,
        patient.quarantine,
        patient.feed,
        patient.feed_folder,
        patient.feed_age,
        patient.weights,
        patient.stations,
        patient.port,
        patient.memory,
        patient.open_files,
        patient.sources,
        patient.secrets,
        patient.time_zone,
    ):
        yield guarded(check)


@dataclass(frozen=True)
class Patient:
    """A service to be examined; nothing of it is changed."""

    settings: ServiceSettings

    @property
    def _data(self) -> Path:
        return self.settings.service.data

    def data_folder(self) -> Finding:
        """The service's folder can be written to."""
        data = self._data
        if not data.exists() and os.access(data.parent, os.W_OK):
            return Finding("data folder", "good", f"{data}: will be made")
        found = writing(data)
        return Finding("data folder", found.verdict, found.found, found.mend)

    def data_disk(self) -> Finding:
        """There is more room than retention keeps free."""
        standing = next(place for place in (self._data, *self._data.parents) if place.exists())
        free, kept = shutil.disk_usage(standing).free / 2**30, self.settings.retention.free_gib
        found = f"{free:.1f} GiB free at {standing}, retention keeps {kept:g} GiB free"
        if free < kept:
            return Finding("data disk", "bad", found, "free some space, or keep less: [retention]")
        return Finding("data disk", "good", found)

    def one_disk(self) -> Finding:
        """What is staged can be renamed to where it is published."""
        places = [self._data / name for name in ("staging", "published", "maps")]
        disks = {place.stat().st_dev for place in places if place.exists()}
        if len(disks) > 1:
            mend = f"put staging, published and maps of {self._data} on one file system"
            return Finding("one file system", "bad", "staging and published are on two disks", mend)
        return Finding("one file system", "good", "forecasts are renamed into place")

    def lock(self) -> Finding:
        """Whether a service works there now."""
        path = self._data / "state" / "lock"
        if not path.exists():
            return Finding("lock", "good", "no service has worked there yet")
        with path.open(encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                holder = file.read().strip() or "unknown"
                mend = "none is needed; to start another one, stop it or give another data folder"
                return Finding("lock", "note", f"a service works there (process {holder})", mend)
        return Finding("lock", "good", "free: no service works there now")

    def ledger(self) -> Finding:
        """The ledger is sound and of this release."""
        from nowcast.service.ledger import Ledger  # noqa: PLC0415 - of the service

        path = self._data / "state" / "ledger.sqlite"
        if not path.exists():
            return Finding("ledger", "good", "none yet")
        mend = f"stop the service, move {path} away; it is made anew from the feed's folder"
        try:
            with Ledger.opened(path) as ledger:
                problems = ledger.problems()
        except NowcastError as error:
            return Finding("ledger", "bad", str(error), mend)
        if problems:
            return Finding("ledger", "bad", f"{path}: {'; '.join(problems[:3])}", mend)
        return Finding("ledger", "good", f"{path}: sound")

    def skill_store(self) -> Finding:
        """The sums of verified forecasts are sound."""
        from nowcast.build_operators import store_of  # noqa: PLC0415 - of the service

        store = store_of(self._data)
        if not store.path.exists():
            return Finding("skill store", "good", "none yet")
        try:
            found = store.check()
        except NowcastError as error:
            return Finding("skill store", "bad", str(error), f"move {store.path} away")
        if found != "ok":
            return Finding("skill store", "bad", found, f"move {store.path} away")
        return Finding("skill store", "good", f"{store.path}: sound")

    def latest(self) -> Finding:
        """The newest forecast is whole."""
        from nowcast.service import published  # noqa: PLC0415 - of the service
        from nowcast.service.layout import Layout  # noqa: PLC0415

        mend = "start the service, which sets latest anew; a torn folder means a failing disk"
        try:
            newest = published.latest(Layout(self._data))
        except NowcastError as error:
            return Finding("latest forecast", "bad", str(error), mend)
        if newest is None:
            return Finding("latest forecast", "good", "nothing is published yet")
        problems = newest.problems()
        if problems:
            return Finding("latest forecast", "bad", "; ".join(problems[:3]), mend)
        return Finding("latest forecast", "good", f"{newest.id}: as its manifest says")

    def quarantine(self) -> Finding:
        """How much is refused."""
        reasons = sorted((self._data / "quarantine").glob("*.reason.json"))
        if len(reasons) > self.settings.retention.quarantine_files // 2:
            mend = f"see {reasons[-1]}: is feed.name right for these files?"
            return Finding("quarantine", "note", f"{len(reasons)} refused files", mend)
        return Finding("quarantine", "good", f"{len(reasons)} refused files")

    def feed(self) -> Finding:
        """The feed is known, and its cadence."""
        from nowcast.build_service import feed_of  # noqa: PLC0415 - of the service

        try:
            feed = feed_of(self.settings)
        except NowcastError as error:
            return Finding("feed", "bad", str(error), "mend [feed]; see: nowcast feeds")
        return Finding("feed", "good", f"{feed.profile.name}, every {feed.cadence_minutes:g} min")

    def feed_folder(self) -> Finding:
        """The feed's folder is there and can be read."""
        folder = self.settings.feed.folder
        if not folder.is_dir():
            mend = f"mkdir -p {folder}, or mend feed.folder"
            return Finding("feed folder", "bad", f"{folder}: no such folder", mend)
        if not os.access(folder, os.R_OK | os.X_OK):
            mend = f"chmod u+rx {folder}, or let the service's user read it"
            return Finding("feed folder", "bad", f"{folder}: may not be read", mend)
        return Finding("feed folder", "good", str(folder))

    def feed_age(self) -> Finding:
        """How old the newest frame in the feed's folder is."""
        from nowcast import build  # noqa: PLC0415 - loads xarray
        from nowcast.build_service import feed_of  # noqa: PLC0415

        table = self.settings.feed
        mend = "is the feed late for others too? else look at what brings the files"
        try:
            cadence = feed_of(self.settings).cadence_minutes
            newest = build.archive(table.name, table.folder, series=table.series or None).latest
        except NowcastError as error:
            return Finding("feed age", "bad", str(error), mend)
        now = datetime.now(UTC).replace(tzinfo=None)
        minutes = (now - newest.astype("datetime64[s]").item()).total_seconds() / 60
        found = f"the newest frame is {minutes:.0f} min old"
        if minutes > _LATE_CADENCES * cadence:
            return Finding("feed age", "note", found, mend)
        return Finding("feed age", "good", found)

    def weights(self) -> Finding:
        """The weights in the settings hold."""
        path = self.settings.forecast.weights
        if path is None:
            return Finding("service weights", "good", "those that ship")
        try:
            checkpoint.load(path)
        except checkpoint.CheckpointError as error:
            mend = "mend forecast.weights, or leave it out for the weights that ship"
            return Finding("service weights", "bad", str(error), mend)
        return Finding("service weights", "good", f"{path.name}, checksum holds")

    def stations(self) -> Finding:
        """The registry of places can be read."""
        path = self.settings.products.stations
        if path is None:
            return Finding("stations", "good", "none asked for")
        if not path.is_file() or not os.access(path, os.R_OK):
            mend = "mend products.stations, or leave it out"
            return Finding("stations", "bad", f"{path}: cannot be read", mend)
        return Finding("stations", "good", str(path))

    def port(self) -> Finding:
        """The port of health and metrics is free."""
        monitor = self.settings.monitor
        if not monitor.port:
            mend = "set monitor.port, say to 9464, for /livez, /readyz and /metrics"
            return Finding("monitor port", "note", "health is not answered", mend)
        family = socket.AF_INET6 if ":" in monitor.host else socket.AF_INET
        with socket.socket(family) as listening:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listening.bind((monitor.host, monitor.port))
            except OSError as error:
                found = f"{monitor.host}:{monitor.port}: {error.strerror}"
                running = self.lock().verdict == "note"
                mend = "none if that is the service that runs" if running else "set another port"
                return Finding("monitor port", "note" if running else "bad", found, mend)
        return Finding("monitor port", "good", f"{monitor.host}:{monitor.port} is free")

    def memory(self) -> Finding:
        """A forecast may not want more memory than there is."""
        there = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
        wanted = self.settings.forecast.memory_gib
        found = f"{there:.1f} GiB in all, a forecast may take {wanted:g} GiB"
        if wanted > there:
            return Finding("memory", "bad", found, f"set forecast.memory_gib below {there:.0f}")
        return Finding("memory", "good", found)

    def open_files(self) -> Finding:
        """As many files may be open as the service needs."""
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft < _OPEN_FILES:
            mend = f"ulimit -n {_OPEN_FILES * 4}, or LimitNOFILE= in the unit"
            return Finding("open files", "bad", f"{soft} may be open", mend)
        return Finding("open files", "good", f"{soft} may be open")

    def sources(self) -> Finding:
        """The sources that are to be fetched are known, and bring what the feed reads."""
        for table in self.settings.fetch:
            try:
                profile = SOURCES.named(table.source)
            except ConfigError as error:
                return Finding("fetch sources", "bad", str(error), "mend [[fetch]]")
            if profile.feed != self.settings.feed.name:
                found = f"{table.source} brings files of feed {profile.feed}"
                mend = f'set feed.name = "{profile.feed}", or another source'
                return Finding("fetch sources", "bad", found, mend)
        return Finding("fetch sources", "good", f"{len(self.settings.fetch)} sources")

    def secrets(self) -> Finding:
        """Keys of sources are there, and nobody else may read them; none of them is shown."""
        from config.secret import SecretError  # noqa: PLC0415

        for table in self.settings.fetch:
            try:
                key = _key(SOURCES.named(table.source))
                if key is not None:
                    key.read()
            except ConfigError:
                continue  # told by the check of sources
            except SecretError as error:
                return Finding("secrets", "bad", str(error), "put the key where it is looked for")
        return Finding("secrets", "good", "every key that is needed is there, and private")

    def time_zone(self) -> Finding:
        """Times are UTC whatever the zone; a zone that does not exist misleads who reads logs."""
        zone = os.environ.get("TZ", "")
        if zone and not _is_zone(zone):
            return Finding("time zone", "note", f"TZ={zone} is no known zone", "unset TZ")
        return Finding("time zone", "good", zone or "the system's; all times are UTC")


def _key(profile: SourceProfile) -> Secret | None:
    found: Secret | None = getattr(profile.listing, "key", None)
    return found


def _is_zone(name: str) -> bool:
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError  # noqa: PLC0415

    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True
