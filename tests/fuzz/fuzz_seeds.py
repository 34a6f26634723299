"""Seeds of the fuzz: one small real file a format, with the frame before it where there is one."""

from __future__ import annotations

import gzip
import io
import shutil
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import h5py
import numpy as np
import rasterio
import xarray as xr
from affine import Affine
from PIL import Image
from rasterio.windows import Window

from config.feed import FEEDS, FeedProfile
from nowcast.field import schema
from nowcast.ingest import decode
from nowcast.ingest.readers.odim_writer import write_odim

if TYPE_CHECKING:
    from collections.abc import Iterator

# A format that no feed of ours has.
_NIMROD = FeedProfile.model_validate(
    {
        "name": "nimrod",
        "title": "NIMROD",
        "unit": "mm/h",
        "grid": "British National Grid",
        "reader": {"format": "nimrod"},
    }
)


@dataclass(frozen=True)
class Seed:
    """A whole file that mutants are made of.

    Attributes:
        form: the format, as counts are kept by.
        feed: the feed whose reader is tried.
        path: the file, or the folder of a Zarr store.
        before: the frame before it, which the gate holds it against.

    """

    form: str
    feed: str
    path: Path
    before: Path | None = None

    @property
    def profile(self) -> FeedProfile:
        return _NIMROD if self.feed == "nimrod" else FEEDS.named(self.feed)

    def stamp(self, path: Path) -> np.datetime64 | None:
        """The time in a name."""
        match = self.profile.match(path.name)
        named = match is not None and bool(self.profile.time_format)
        return decode.valid_time(self.profile, match) if match and named else None


def make_seeds(shared: Path, into: Path) -> tuple[Seed, ...]:
    """The seeds, made of real files: taken as they are where they are small, else cropped."""
    radar = shared / "radar"
    into.mkdir(parents=True, exist_ok=True)
    taken = {
        "knmi-hdf5": ("knmi", sorted((radar / "knmi/2010").rglob("*.h5"))[:2]),
        "odim-tar": ("dwd-rv", [radar / "dwd/composite_rv_20250923_0855.tar"]),
        "pgm-gz": ("fmi", sorted((radar / "fmi/pgm/20160928").glob("*.gz"))[:2]),
        "gif": ("mch", sorted((radar / "mch/20150515").glob("*F_*.gif"))[:2]),
        "radolan-gz": ("dwd-radolan", sorted((radar / "dwd/yw").glob("*.gz"))[:2]),
        "netcdf4": ("cf", sorted((radar / "improver").glob("*.nc"))[:2]),
        "nimrod": ("nimrod", [radar / "nimrod/input_preciprate.nimrod"]),
    }
    seeds = [_taken(form, feed, paths, into) for form, (feed, paths) in taken.items()]
    return (
        *seeds,
        _plain_pgm(radar, into),
        _odim(radar, into),
        _odim_with_long_texts(into),
        _classic_netcdf(radar, into),
        _zarr(radar, into),
        *_grib(radar, into),
        _geotiff(radar, into),
        _npz(radar, into),
    )


def _taken(form: str, feed: str, paths: list[Path], into: Path) -> Seed:
    copies = [Path(shutil.copy(path, into / path.name)) for path in paths]
    for copy in copies:
        copy.chmod(0o644)
    return Seed(form, feed, copies[-1], copies[0] if copies[1:] else None)


def _plain_pgm(radar: Path, into: Path) -> Seed:
    path = sorted((radar / "fmi/pgm/20160928").glob("*.gz"))[2]
    plain = into / path.name.removesuffix(".gz")
    plain.write_bytes(gzip.decompress(path.read_bytes()))
    return Seed("pgm", "fmi", plain)


def _odim(radar: Path, into: Path) -> Seed:
    paths = sorted((radar / "opera/20180824").glob("*.hdf"))[:2]
    profile, written = FEEDS.named("opera"), []
    for path in paths:
        match = profile.match(path.name)
        stamp = decode.valid_time(profile, match) if match else None
        frames = decode.reader_of(profile).read(path, stamp=stamp)
        crop = frames.isel(time=0, y=slice(900, 1100), x=slice(900, 1100))
        grid, time = schema.grid_of(crop), crop["time"].values[()]
        rate = crop["rainfall_rate"].values
        written.append(write_odim(into / path.name, rate, grid=grid, time=time))
    return Seed("odim", "opera", written[1], written[0])


def _odim_with_long_texts(into: Path) -> Seed:
    """As h5py writes it: texts of variable length, in which the library is known to hang."""
    whole = next(into.glob("T_PAAH21*.hdf"))
    path = into / f"texts_{whole.stem}.h5"
    shutil.copy(whole, path)
    with h5py.File(path, "r+") as file:
        groups = [file]
        file.visititems(lambda _, item: groups.append(item))
        for group in groups:
            for name, value in list(group.attrs.items()):
                if isinstance(value, bytes):
                    group.attrs[name] = value.decode()
    return Seed("odim-texts", "odim", path)


def _classic_netcdf(radar: Path, into: Path) -> Seed:
    path = into / "classic.nc"
    with xr.open_dataset(radar / "openmrg/20150725/openmrg_rad.nc", decode_times=False) as whole:
        whole.isel(time=slice(0, 3)).load().to_netcdf(path, format="NETCDF3_CLASSIC")
    return Seed("netcdf3", "cf", path)


def _zarr(radar: Path, into: Path) -> Seed:
    path = into / "store.zarr"
    with xr.open_dataset(radar / "openmrg/20150725/openmrg_rad.nc", decode_times=False) as whole:
        whole.isel(time=slice(0, 3)).load().drop_encoding().to_zarr(
            path, zarr_format=2, consolidated=True
        )
    return Seed("zarr", "cf", path)


def _grib(radar: Path, into: Path) -> Iterator[Seed]:
    """Messages of MRMS with fewer cells, plain and gzipped."""
    written = []
    for path in sorted((radar / "mrms/2019").rglob("*.grib2"))[:2]:
        written.append(into / path.name)
        written[-1].write_bytes(_cropped_grib(path.read_bytes(), rows=70, columns=100))
    yield Seed("grib2", "mrms", written[1], written[0])
    packed = written[1].with_name(f"MRMS_{written[1].name}.gz")
    packed.write_bytes(gzip.compress(written[1].read_bytes()))
    yield Seed("grib2-gz", "mrms", packed)


def _cropped_grib(message: bytes, *, rows: int, columns: int) -> bytes:
    """The middle of the picture at the south-western corner; sections 3, 5 and 7 say so."""
    parts, position = [], 16
    while message[position : position + 4] != b"7777":
        length, number = struct.unpack_from(">IB", message, position)
        part = bytearray(message[position : position + length])
        position += length
        if number == 3:
            struct.pack_into(">I", part, 6, rows * columns)
            struct.pack_into(">II", part, 30, columns, rows)
            south, west = (
                struct.unpack_from(">i", part, 55)[0],
                struct.unpack_from(">I", part, 50)[0],
            )
            struct.pack_into(">i", part, 46, south + 10_000 * (rows - 1))
            struct.pack_into(">I", part, 59, west + 10_000 * (columns - 1))
        elif number == 5:
            struct.pack_into(">I", part, 5, rows * columns)
        elif number == 7:
            with Image.open(io.BytesIO(part[5:])) as image:
                left, bottom = image.width // 2, image.height // 2
                picture = image.crop((left, bottom - rows, left + columns, bottom))
            packed = io.BytesIO()
            picture.save(packed, "PNG")
            part = bytearray(struct.pack(">IB", 5 + len(packed.getvalue()), 7) + packed.getvalue())
        parts.append(bytes(part))
    body = b"".join(parts) + b"7777"
    return message[:8] + struct.pack(">Q", 16 + len(body)) + body


def _geotiff(radar: Path, into: Path) -> Seed:
    paths = sorted((radar / "fmi/geotiff").glob("*.tif"))[:2]
    for path in paths:
        window = Window(2000, 3000, 256, 200)
        with rasterio.open(path) as whole:
            at = whole.transform
            corner = Affine(at.a, 0, at.c + 2000 * at.a, 0, at.e, at.f + 3000 * at.e)
            profile = whole.profile | {
                "width": 256,
                "height": 200,
                "transform": corner,
            }
            with rasterio.open(into / path.name, "w", **profile) as crop:
                crop.update_tags(**whole.tags())
                crop.write(whole.read(1, window=window), 1)
    return Seed("geotiff", "fmi-geotiff", into / paths[1].name, into / paths[0].name)


def _npz(radar: Path, into: Path) -> Seed:
    path = sorted(radar.glob("meteonet/rainfall_*NW*.npz"))[0]
    with np.load(path, allow_pickle=True) as whole:  # a file that we know
        parts = {name: whole[name] for name in whole.files if name not in {"data", "dates"}}
        data, dates = whole["data"][:2], whole["dates"][:2]
    small = into / path.name
    np.savez_compressed(small, data=data, dates=dates, **parts)
    return Seed("npz", "meteonet", small)
