"""What is wrong with this installation, and how to mend it: checks that touch the real thing."""

from __future__ import annotations

import importlib
import os
import shutil
import sys
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from config.feed import FEEDS
from config.load import ConfigError
from mim_core import checkpoint
from nowcast.field.errors import WeightsError
from nowcast.forecast.shipped import shipped_weights

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Verdict = Literal["good", "note", "bad"]
# Package, what needs it, and the extra that brings it (none: it is required).
PACKAGES = (
    ("numpy", "everything", None),
    ("xarray", "everything", None),
    ("torch", "MIM and extrapolation", None),
    ("netCDF4", "NetCDF files", None),
    ("h5py", "ODIM and KNMI files", None),
    ("pyproj", "map projections", None),
    ("pysteps", "motion, S-PROG, ANVIL, STEPS", None),
    ("cv2", "pysteps' optical flow", None),
    ("cartopy", "maps", None),
    ("PIL", "MeteoSwiss GIF, animations", None),
    ("rasterio", "GeoTIFF", "geo"),
    ("eccodes", "MRMS GRIB2", "grib"),
    ("wradlib", "RADOLAN", "radolan"),
    ("zarr", "Zarr", "zarr"),
    ("imageio_ffmpeg", "MP4", "animation"),
    ("lightning_fabric", "training", "train"),
    ("structlog", "logs of the service", "service"),
    ("prometheus_client", "metrics of the service", "service"),
    ("httpx", "fetching over the network", "fetch"),
)
ENOUGH_DISK_BYTES = 2 * 1024**3
EARLIEST_CLOCK = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Finding:
    """One check: what was looked at, how it stands, what was found, what to do about it."""

    check: str
    verdict: Verdict
    found: str
    mend: str = ""


def examine(folder: Path) -> Iterator[Finding]:
    """All findings; ``folder`` is where forecasts are to be written."""
    yield _python()
    for module, need, extra in PACKAGES:
        yield _package(module, need=need, extra=extra)
    for check in (_torch_device, _map_data, _weights, _profiles, _clock):
        yield guarded(check)
    yield writing(folder)
    yield _disk(folder)


def guarded(check: Callable[[], Finding]) -> Finding:
    """A check that itself fails is a finding: the doctor never dies of the patient's illness."""
    try:
        return check()
    except Exception as error:  # noqa: BLE001 - whatever is broken here is what was asked for
        name = check.__name__.strip("_").replace("_", " ")
        return Finding(name, "bad", f"{type(error).__name__}: {error}", "reinstall: make test")


def _python() -> Finding:
    found = f"{sys.version.split()[0]} at {sys.executable}"
    return Finding("python", "good", found)


def _package(module: str, *, need: str, extra: str | None) -> Finding:
    name = f"package {module}"
    wanted = f"pip install 'mim-nowcast[{extra}]'" if extra else "pip install mim-nowcast"
    if importlib.util.find_spec(module) is None:
        verdict: Verdict = "note" if extra else "bad"
        return Finding(name, verdict, f"not installed: no {need}", wanted)
    distributions = metadata.packages_distributions().get(module, [module])
    version = metadata.version(distributions[0]) if distributions else "unknown version"
    return Finding(name, "good", f"{version} ({need})")


def _torch_device() -> Finding:
    import torch  # noqa: PLC0415 - seconds to import

    threads = torch.get_num_threads()
    if torch.cuda.is_available():
        return Finding("torch device", "good", f"CUDA: {torch.cuda.get_device_name()}")
    cores = os.cpu_count() or 1
    if threads < cores:
        hint = "unset OMP_NUM_THREADS to use all cores"
        return Finding("torch device", "note", f"CPU, {threads} of {cores} cores", hint)
    return Finding("torch device", "good", f"CPU, {threads} threads")


def _map_data() -> Finding:
    from nowcast.products.map_data import LAYERS, find_map_data  # noqa: PLC0415 - heavy

    data = find_map_data()
    missing = [layer for layer in (*LAYERS, "places") if data.credit(layer) is None]
    if missing:
        return Finding(
            "map data",
            "note",
            f"maps have no {', '.join(missing)}",
            "set CARTOPY_DATA_DIR to a folder of Natural Earth, or pip install mim-nowcast anew",
        )
    return Finding("map data", "good", "coastlines to places, all on disk")


def _weights() -> Finding:
    try:
        path = shipped_weights()
        checkpoint.load(path)
    except (WeightsError, checkpoint.CheckpointError) as error:
        return Finding("shipped weights", "bad", str(error), "reinstall mim-nowcast")
    return Finding("shipped weights", "good", f"{path.name}, checksum holds")


def _profiles() -> Finding:
    try:
        known = FEEDS.all()
    except ConfigError as error:
        mend = f"mend it, or unset {FEEDS.users_folder}"
        return Finding("feed profiles", "bad", str(error), mend)
    return Finding("feed profiles", "good", f"{len(known)}: {', '.join(known)}")


def _clock() -> Finding:
    now = datetime.now(UTC)
    if now < EARLIEST_CLOCK:
        return Finding(
            "clock", "bad", f"{now:%Y-%m-%dT%H:%MZ}", "set the clock: frames look future"
        )
    return Finding("clock", "good", f"{now:%Y-%m-%dT%H:%MZ}")


def writing(folder: Path) -> Finding:
    """Write, flush to disk and rename, as every product does."""
    try:
        with tempfile.NamedTemporaryFile(dir=folder, delete=False) as beside:
            beside.write(b"nowcast doctor")
            os.fsync(beside.fileno())
        final = Path(beside.name).with_suffix(".renamed")
        Path(beside.name).replace(final)
        final.unlink()
    except OSError as error:
        mend = "name another folder, or mend its rights"
        return Finding("writing", "bad", f"{folder}: {error.strerror or error}", mend)
    return Finding("writing", "good", f"{folder}: write, fsync and rename work")


def _disk(folder: Path) -> Finding:
    if not folder.is_dir():
        return Finding("free disk", "bad", f"{folder}: no such folder", "make it")
    free = shutil.disk_usage(folder).free
    found = f"{free / 1024**3:.1f} GiB at {folder}"
    if free < ENOUGH_DISK_BYTES:
        return Finding("free disk", "bad", found, "free at least 2 GiB")
    return Finding("free disk", "good", found)
