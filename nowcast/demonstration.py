"""The main job from end to end, without network or radar: a simulated storm, forecast and scored.

The storm is written as an archive of ODIM HDF5 files and read back through the reader that real
files come through; nothing further along knows that it is not real, except what its files say.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nowcast.field.atomic import make_folder
from nowcast.field.schema import grid_of
from nowcast.ingest.readers.odim_writer import OdimDetails, write_odim
from nowcast.ingest.simulated import Storm

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

START = np.datetime64("2026-06-01T12:00", "ns")
FRAMES = 28
LEADS = 12
# Positions in the sequence at which forecasts are issued: a history before, all leads after.
ISSUED = (5, 9, 13, 15)
METHODS = ("mim", "extrapolation", "persistence")
STORM = Storm(
    motion_m_s=(11.0, 5.0),
    rotation_degrees_per_hour=6.0,
    peak_minutes=75.0,
    life_minutes=80.0,
    wet_fraction=0.3,
    radar_range_km=125.0,
    seed=3,
)


@dataclass(frozen=True)
class SimulatedArchive:
    """A simulated episode as files.

    Attributes:
        folder: of ODIM HDF5 files, one a frame.
        issue_times: at which forecasts are to be made.

    """

    folder: Path
    issue_times: tuple[np.datetime64, ...]


def write_archive(
    folder: Path, *, storm: Storm = STORM, heard: Callable[[str], None] | None = None
) -> SimulatedArchive:
    """Write the episode into ``folder`` as ODIM HDF5; raises ProductError."""
    make_folder(folder)
    radar = storm.radar(start=START, frames=FRAMES)
    grid = grid_of(radar)
    details = OdimDetails(
        source="CMT:simulated storm", product_name="simulated rain rate", simulated=True
    )
    times = radar["time"].values
    for time, rate in zip(times, radar["rainfall_rate"].values, strict=True):
        name = f"simulated_{np.datetime_as_string(time, unit='m').replace(':', '')}.h5"
        write_odim(folder / name, rate, grid=grid, time=time, details=details)
        if heard is not None:
            heard(name)
    return SimulatedArchive(folder, tuple(times[list(ISSUED)]))
