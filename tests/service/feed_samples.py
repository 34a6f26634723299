"""A simulated feed on disk, and services on it: as fast as can be, in this process."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from config.service import ServiceSettings
from nowcast import build_service
from nowcast.ingest.readers.odim_writer import OdimDetails, write_odim
from nowcast.ingest.simulated import Storm, low_countries
from nowcast.service import aside
from nowcast.service.clock import ManualClock
from nowcast.service.layout import Layout
from nowcast.service.replay import Faults, Feeder

START = np.datetime64("2026-06-01T00:00", "ns")
CADENCE = np.timedelta64(5, "m")
NO_FAULTS = Faults()
DETAILS = OdimDetails(source="CMT:simulated storm", simulated=True)
# A service on a feed that comes in live, looked at often; its folder and leads are to be filled in.
LIVE_SETTINGS = """
schema_version = 1
[service]
data = "{data}"
tick_seconds = 0.5
[feed]
name = "odim"
folder = "incoming"
cadence_minutes = 5
settle_seconds = 0.2
grace_seconds = 0
[forecast]
methods = ["persistence"]
leads = {leads}
[products]
maps = false
[skill]
verify = false
[retention]
free_gib = 0
"""


def write_frames(
    folder: Path, *, count: int, size: int = 24, start: np.datetime64 = START
) -> list[tuple[np.datetime64, Path]]:
    """Valid times and files of ``count`` frames of rain that never ends: a storm every 3 hours."""
    folder.mkdir(parents=True, exist_ok=True)
    grid, found = low_countries(size), []
    for index in range(count):
        episode, age = divmod(index, 36)
        storm = Storm(grid=grid, motion_m_s=(3.0, 1.5), wet_fraction=0.5, seed=episode % 7)
        time = start + index * CADENCE
        path = folder / f"rain_{np.datetime_as_string(time, unit='m').replace(':', '')}.h5"
        rate = storm.rate_mm_h(5.0 * age)
        # Each episode repeats after 7: no two frames may be alike, as none of a radar are.
        rate[0, 0] = 0.5 + index % 97 / 100
        write_odim(path, rate, grid=grid, time=time, details=DETAILS)
        found.append((time, path))
    return found


def settings(root: Path, **tables: dict[str, object]) -> ServiceSettings:
    """Settings of a service on the feed's folder ``root/incoming``; small, quick, persistence."""
    given: dict[str, dict[str, object]] = {
        "service": {"data": root / "data"},
        "feed": {"name": "odim", "folder": root / "incoming", "cadence_minutes": 5},
        "forecast": {"methods": ["persistence"], "leads": 2},
        "products": {"maps": False},
        "retention": {"free_gib": 0},
    }
    for name, table in tables.items():
        given[name] = given.get(name, {}) | table
    return ServiceSettings.model_validate({"schema_version": 1, **given})


@dataclass
class Played:
    """A service that is played by hand: its clock, its feed, and what was heard."""

    settings: ServiceSettings
    clock: ManualClock
    feeder: Feeder
    events: list = field(default_factory=list)

    @property
    def layout(self) -> Layout:
        return Layout(self.settings.service.data)

    @contextmanager
    def service(self, **surroundings):
        around = build_service.Surroundings(
            clock=self.clock,
            call=aside.here,
            listeners=(self.events.append,),
            before_tick=(self.feeder,),
        )
        with build_service.service(self.settings, replace(around, **surroundings)) as served:
            yield served

    def kinds(self, kind: str) -> list:
        return [event for event in self.events if event.kind == kind]


def played(
    root: Path, frames: list[tuple[np.datetime64, Path]], faults: Faults = NO_FAULTS, **tables
) -> Played:
    """A service on these frames, not yet begun."""
    made = settings(root, **tables)
    clock = ManualClock(frames[0][0])
    feeder = Feeder(
        faults.deliveries(frames),
        made.feed.folder,
        clock=clock,
        note=made.service.data / "state" / "replay.json",
    )
    return Played(made, clock, feeder)
