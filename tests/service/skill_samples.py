"""Published forecasts of a simulated storm, and sums of invented ones, for tests of the skill."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyproj
import torch

from mim_core import checkpoint
from mim_core.model import MIM
from nowcast import build
from nowcast.cycle import Cycle
from nowcast.demonstration import write_archive
from nowcast.field.grid import Grid
from nowcast.field.schema import as_radar, forecast_dataset, frames_dataset
from nowcast.forecast.head import RainHead
from nowcast.ingest.simulated import Storm, low_countries
from nowcast.products.netcdf import NetCdf
from nowcast.service.accepted import Feed, Input
from nowcast.service.clock import iso
from nowcast.service.layout import Layout
from nowcast.service.manifest import Manifest
from nowcast.service.names import CycleId
from nowcast.service.publish import Publisher
from nowcast.service.skill.forecasts import Accepted
from nowcast.service.skill.store import Scored
from nowcast.verify import packing
from nowcast.verify.scoring import verify_together

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from nowcast.field.schema import Forecast, Radar
    from nowcast.forecast.base import Nowcaster
    from nowcast.ingest.archive import Archive
    from nowcast.products.base import Product

STEP = np.timedelta64(5, "m")
NOON = np.datetime64("2026-06-01T12:00", "ns")
THRESHOLDS = (0.1, 0.5, 5.0)
HEAD = RainHead()


def storm_archive(folder: Path, *, size: int = 40) -> Archive:
    """28 frames of a storm that moves, from 12:00 on, as files read by the ODIM reader."""
    storm = Storm(grid=low_countries(size), motion_m_s=(12.0, 6.0), radar_range_km=60, seed=1)
    write_archive(folder, storm=storm)
    return build.archive("odim", folder)


def weights(path: Path, *, drying: bool = False) -> Path:
    """Weights of MIM that change nothing, so that it is extrapolation; or that dry the field."""
    network = MIM(HEAD.config(hidden=4, layers=2))
    if drying:
        with torch.no_grad():
            network.output.bias -= 3.0
    checkpoint.save(path, network, metadata={"head": HEAD.to_dict()})
    return path


def accepted(archive: Archive, *, until: np.datetime64 | None = None) -> Accepted:
    """The frames of an archive as the service keeps them, up to a time."""
    catalogue = archive.catalogue
    pairs = zip(catalogue.times, catalogue.entries, strict=True)
    inputs = tuple(
        Input(time, hashlib.sha256(entry.path.read_bytes()).hexdigest(), entry.path)
        for time, entry in pairs
        if until is None or time <= until
    )
    return Accepted(inputs, Feed(archive.profile, catalogue.series, 5.0))


@dataclass(frozen=True)
class Methods:
    """Makes methods of names."""

    weights: Path | None = None

    def nowcaster(self, method: str) -> Nowcaster:
        return build.methods([method], build.MethodOptions(weights=self.weights))[method]

    def products(self, past: Radar) -> tuple[Product, ...]:  # noqa: ARG002
        return (NetCdf(),)

    def check(self, forecast: Forecast, past: Radar) -> None:
        pass


def publish(
    layout: Layout,
    archive: Archive,
    nowcaster: Nowcaster,
    issued: np.datetime64,
    *,
    version: int = 1,
    steps: int = 4,
) -> Path:
    """Publish the forecast of a method as the service does; the folder."""
    publisher = Publisher(layout)
    publisher.prepare()
    cycle = CycleId(issued.astype("datetime64[ns]"), version)
    staged = publisher.stage(cycle)
    made = Cycle(archive, nowcaster, products=(NetCdf(),)).run(
        issued=issued, steps=steps, into=staged
    )
    attrs, times = made.forecast.attrs, made.past["time"].values
    inputs = {
        iso(one.valid_time): one.sha256
        for one in accepted(archive).inputs
        if one.valid_time in times
    }
    told = dict.fromkeys(("degraded_reason", "model_sha256", "config_sha256", "feed"), "")
    told |= {name: str(attrs.get(name, "")) for name in (*told, "source", "input_sha256")}
    publisher.publish(
        staged,
        cycle,
        lambda files: Manifest(
            cycle=str(cycle),
            version=version,
            issued=f"{issued.astype('datetime64[s]')}Z",
            created=f"{issued.astype('datetime64[s]')}Z",
            domain="test",
            rung=nowcaster.name,
            inputs=inputs,
            files=files,
            **told,
        ),
    )
    return layout.published / str(cycle)


def issue_times(first: int, count: int) -> list[np.datetime64]:
    """Issue times of cycles, five minutes apart."""
    return [NOON + STEP * k for k in range(first, first + count)]


def digest_of(folder: Path) -> dict[str, str]:
    """The digest of every file under a folder."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def field(seed: int, *, shape: tuple[int, int] = (24, 24)) -> NDArray[np.float32]:
    """A field with patches of rain (mm h-1), other ones for every seed."""
    random = np.random.default_rng(seed)
    coarse = random.gamma(0.6, 2.0, size=(shape[0] // 4, shape[1] // 4))
    patches = np.kron(np.where(coarse > 1.5, coarse, 0.0), np.ones((4, 4)))
    return patches.astype(np.float32)


def invented(
    issued: np.datetime64,
    rates: Mapping[str, NDArray[np.float32]],
    truth: NDArray[np.float32],
    *,
    published: str = "mim",
    version: int = 1,
) -> list[Scored]:
    """The sums of forecasts (lead, y, x) of several methods for one issue time."""
    forecasts = {method: _forecast(rate, issued, method) for method, rate in rates.items()}
    height, width = truth.shape[1:]
    times = issued + STEP * np.arange(1, len(truth) + 1)
    grid = Grid(pyproj.CRS.from_epsg(3035), 0, 0, 1000, 1000, height, width)
    observed = frames_dataset(truth, times=times, grid=grid)["rainfall_rate"]
    tallies = verify_together(forecasts, observed, thresholds_mm_h=THRESHOLDS, scales_cells=(5,))
    layout = packing.Layout.of(next(iter(tallies.values())))
    cycle = str(CycleId(issued.astype("datetime64[ns]"), version))
    return [
        Scored(
            cycle=cycle,
            issued=issued,
            version=version,
            lead=STEP * (k + 1),
            published=published,
            layout=layout,
            sums={method: layout.pack(tally, k) for method, tally in tallies.items()},
        )
        for k in range(len(truth))
    ]


def _forecast(rate: NDArray[np.float32], issued: np.datetime64, source: str) -> Forecast:
    grid = Grid(pyproj.CRS.from_epsg(3035), 0, 0, 1000, 1000, *rate.shape[1:])
    frame = frames_dataset(rate[:1] * 0, times=[issued], grid=grid)
    past = as_radar(frame.assign_attrs(cadence_minutes=5.0))
    return forecast_dataset(rate, past=past, source=source)
