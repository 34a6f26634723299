"""Files that somebody made to hurt: each builder writes one and says of which format it would be.

``secret`` is a file that no output may hold anything of.
"""

from __future__ import annotations

import bz2
import gzip
import io
import json
import os
import pickle
import struct
import tarfile
import zipfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import netCDF4
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    Builder = Callable[[Path, Path], Path]

BUILDERS: dict[str, tuple[str, Builder]] = {}
_RV = "composite_rv_20250923_0855"


class Touch:
    """What pickle runs: it leaves a file behind."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.mkdir, (f"{self.path}.executed",)


def hostile(form: str) -> Callable[[Builder], Builder]:
    """Register a builder of files for the reader of that format."""

    def register(builder: Builder) -> Builder:
        BUILDERS[builder.__name__] = form, builder
        return builder

    return register


# HDF5, as ODIM and as KNMI's.


def odim(path: Path, *, shape: tuple[int, int] = (40, 40)) -> h5py.File:
    """An ODIM composite that lacks its field, open for the rest."""
    file = h5py.File(path, "w")
    file.attrs["Conventions"] = np.bytes_("ODIM_H5/V2_4")
    what = file.create_group("what").attrs
    for name, text in {"object": "COMP", "version": "H5rad 2.4", "source": "ORG:0"}.items():
        what[name] = np.bytes_(text)
    what["date"], what["time"] = np.bytes_("20260601"), np.bytes_("120000")
    where = file.create_group("where").attrs
    where["projdef"] = np.bytes_(
        "+proj=laea +lat_0=55 +lon_0=10 +x_0=0 +y_0=0 +ellps=WGS84 +units=m"
    )
    where["ysize"], where["xsize"] = shape
    where["xscale"] = where["yscale"] = 1000.0
    where["UL_lon"], where["UL_lat"] = 10.0, 55.0
    where["LL_lon"], where["LL_lat"] = 10.0, 54.640605
    what = file.create_group("dataset1/data1/what").attrs
    what["quantity"] = np.bytes_("RATE")
    what["gain"], what["offset"], what["nodata"], what["undetect"] = 1.0, 0.0, 255.0, 0.0
    return file


@hostile("odim")
def declares_28_gigabytes(path: Path, secret: Path) -> Path:  # noqa: ARG001
    shape = 120_000, 30_000
    with odim(path, shape=shape) as file:
        file.create_dataset("dataset1/data1/data", shape, "f8", chunks=(1000, 1000))
    return path


@hostile("odim")
def expands_a_thousandfold(path: Path, secret: Path) -> Path:  # noqa: ARG001
    shape = 20_000, 30_000
    with odim(path, shape=shape) as file:
        data = file.create_dataset(
            "dataset1/data1/data", shape, "u1", chunks=(2000, 30_000), compression="gzip"
        )
        chunk = zlib.compress(bytes(2000 * 30_000), 9)
        for row in range(0, 20_000, 2000):
            data.id.write_direct_chunk((row, 0), chunk)
    return path


@hostile("odim")
def many_small_cells_in_few_bytes(path: Path, secret: Path) -> Path:  # noqa: ARG001
    shape = 16_000, 16_000
    with odim(path, shape=shape) as file:
        file.create_dataset("dataset1/data1/data", shape, "u1", chunks=(1000, 1000))
        file["padding"] = np.random.default_rng(0).integers(0, 255, 200_000, "u1")
    return path


@hostile("odim")
def stored_in_another_file(path: Path, secret: Path) -> Path:
    with odim(path) as file:
        file.create_dataset(
            "dataset1/data1/data", (40, 40), "u1", external=[(str(secret), 0, 1600)]
        )
    return path


@hostile("odim")
def stored_in_the_password_file(path: Path, secret: Path) -> Path:  # noqa: ARG001
    with odim(path) as file:
        file.create_dataset(
            "dataset1/data1/data", (20, 20), "u1", external=[("/etc/passwd", 0, 400)]
        )
    return path


@hostile("odim")
def an_external_link(path: Path, secret: Path) -> Path:
    with h5py.File(secret.with_suffix(".h5"), "w") as other:
        other["data"] = np.frombuffer(secret.read_bytes()[:1600].ljust(1600), "u1").reshape(40, 40)
    with odim(path) as file:
        file["dataset1/data1/data"] = h5py.ExternalLink(secret.with_suffix(".h5"), "/data")
    return path


@hostile("odim")
def an_external_link_behind_a_soft_one(path: Path, secret: Path) -> Path:
    an_external_link(path, secret)
    with h5py.File(path, "r+") as file:
        file.move("dataset1/data1/data", "elsewhere")
        file["dataset1/data1/data"] = h5py.SoftLink("/elsewhere")
    return path


@hostile("odim")
def a_soft_link_to_nothing(path: Path, secret: Path) -> Path:  # noqa: ARG001
    with odim(path) as file:
        file["dataset1/data1/data"] = h5py.SoftLink("/nowhere")
    return path


@hostile("odim")
def soft_links_in_a_circle(path: Path, secret: Path) -> Path:  # noqa: ARG001
    with odim(path) as file:
        file["a"], file["b"] = h5py.SoftLink("/b"), h5py.SoftLink("/a")
        file["dataset1/data1/data"] = h5py.SoftLink("/a")
    return path


@hostile("odim")
def groups_in_a_circle(path: Path, secret: Path) -> Path:  # noqa: ARG001
    with odim(path) as file:
        file["dataset1/data1/data"] = file["dataset1"]
    return path


@hostile("odim")
def a_virtual_dataset(path: Path, secret: Path) -> Path:
    with h5py.File(secret.with_suffix(".h5"), "w") as other:
        other["data"] = np.frombuffer(secret.read_bytes()[:1600].ljust(1600), "u1").reshape(40, 40)
    layout = h5py.VirtualLayout((40, 40), "u1")
    layout[:] = h5py.VirtualSource(secret.with_suffix(".h5"), "data", (40, 40))
    with odim(path) as file:
        file.create_virtual_dataset("dataset1/data1/data", layout)
    return path


@hostile("odim")
def an_unknown_filter(path: Path, secret: Path) -> Path:  # noqa: ARG001
    with odim(path) as file:
        creation = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        creation.set_chunk((40, 40))
        creation.set_filter(305, h5py.h5z.FLAG_OPTIONAL, (1, 2))
        space = h5py.h5s.create_simple((40, 40))
        h5py.h5d.create(file["dataset1/data1"].id, b"data", h5py.h5t.STD_U8LE, space, dcpl=creation)
    return path


@hostile("odim")
def a_chunk_that_deflates_to_more_than_it_may(path: Path, secret: Path) -> Path:  # noqa: ARG001
    with odim(path) as file:
        data = file.create_dataset(
            "dataset1/data1/data", (40, 40), "u1", chunks=(40, 40), compression="gzip"
        )
        data.id.write_direct_chunk((0, 0), zlib.compress(bytes(400 << 20), 9))
    return path


@hostile("odim")
def twelve_thousand_groups(path: Path, secret: Path) -> Path:  # noqa: ARG001
    with odim(path) as file:
        inside = file.create_group("many")
        for number in range(12_000):
            h5py.h5g.create(inside.id, b"%d" % number)
    return path


@hostile("odim")
def a_hundred_thousand_attributes(path: Path, secret: Path) -> Path:  # noqa: ARG001
    with h5py.File(path, "w", libver="latest") as file:
        space = h5py.h5s.create(h5py.h5s.SCALAR)
        for number in range(100_000):
            h5py.h5a.create(file.id, b"a%d" % number, h5py.h5t.STD_U8LE, space)
        for name in ("what", "where", "dataset1"):
            file.create_group(name)
    return path


@hostile("odim")
def a_name_that_climbs(path: Path, secret: Path) -> Path:
    with odim(path) as file:
        file.create_dataset("dataset1/data1/data", data=np.zeros((40, 40), "u1"))
        file["where"].attrs["projdef"] = np.bytes_(
            f"+proj=laea +nadgrids={secret} +init={secret}:1"
        )
    return path


@hostile("odim")
def a_projection_that_reads_a_file(path: Path, secret: Path) -> Path:
    with odim(path) as file:
        file.create_dataset("dataset1/data1/data", data=np.zeros((40, 40), "u1"))
        file["where"].attrs["projdef"] = np.bytes_(
            f"+proj=pipeline +step +proj=hgridshift +grids={secret}"
        )
    return path


@hostile("odim")
def a_field_of_texts(path: Path, secret: Path) -> Path:  # noqa: ARG001
    with odim(path, shape=(2, 2)) as file:
        texts = np.array([["a" * 10_000] * 2] * 2, dtype=h5py.string_dtype())
        file.create_dataset("dataset1/data1/data", data=texts)
    return path


@hostile("knmi-hdf5")
def a_knmi_file_without_an_image(path: Path, secret: Path) -> Path:
    with h5py.File(path, "w") as file:
        file.create_group("overview")
        file.create_group("geographic")
        file["image1"] = h5py.ExternalLink(secret, "/")
    return path


# NetCDF and Zarr.


@hostile("cf")
def netcdf_of_28_gigabytes(path: Path, secret: Path) -> Path:  # noqa: ARG001
    with netCDF4.Dataset(path, "w") as file:
        file.createDimension("y", 120_000)
        file.createDimension("x", 30_000)
        rain = file.createVariable("rain", "f8", ("y", "x"), zlib=True, chunksizes=(1000, 1000))
        rain.units, rain.standard_name = "mm h-1", "rainfall_rate"
    return path


@hostile("cf")
def netcdf_stored_in_another_file(path: Path, secret: Path) -> Path:
    with netCDF4.Dataset(path, "w") as file:
        file.createDimension("y", 40)
        file.createDimension("x", 40)
    with h5py.File(path, "r+") as file:
        rain = file.create_dataset("rain", (40, 40), "u1", external=[(str(secret), 0, 1600)])
        rain.attrs["units"] = "mm h-1"
        for axis, name in enumerate("yx"):
            rain.dims[axis].attach_scale(file[name])
    return path


@hostile("cf")
def netcdf_with_an_external_link(path: Path, secret: Path) -> Path:
    netcdf_of_28_gigabytes(secret.with_suffix(".nc"), secret)
    with netCDF4.Dataset(path, "w") as file:
        file.createDimension("y", 4)
    with h5py.File(path, "r+") as file:
        file["rain"] = h5py.ExternalLink(secret.with_suffix(".nc"), "/rain")
    return path


@hostile("cf")
def classic_netcdf_of_many_gigabytes(path: Path, secret: Path) -> Path:  # noqa: ARG001
    with netCDF4.Dataset(path, "w", format="NETCDF3_64BIT_OFFSET") as file:
        file.createDimension("time", None)
        file.createDimension("x", 4)
        rain = file.createVariable("rain", "f4", ("time", "x"))
        rain.units = "mm h-1"
        rain[0] = 1.0
    content = bytearray(path.read_bytes())
    content[4:8] = struct.pack(">I", 2**31 - 1)  # the number of records
    path.write_bytes(content)
    return path


def zarr_store(path: Path, **changed: Any) -> Path:
    """A store of version 2 with one array, its chunk left out."""
    path.mkdir()
    array: dict[str, Any] = {
        "zarr_format": 2,
        "shape": [40, 40],
        "chunks": [40, 40],
        "dtype": "|u1",
        "compressor": None,
        "filters": None,
        "fill_value": 0,
        "order": "C",
    } | changed
    (path / ".zgroup").write_text('{"zarr_format": 2}')
    (path / "rain").mkdir()
    (path / "rain/.zarray").write_text(json.dumps(array))
    named = {"_ARRAY_DIMENSIONS": ["y", "x"], "units": "mm h-1"}
    (path / "rain/.zattrs").write_text(json.dumps(named))
    return path


@hostile("cf")
def zarr_with_a_chunk_that_is_a_link(path: Path, secret: Path) -> Path:
    (zarr_store(path) / "rain/0.0").symlink_to(secret)
    return path


@hostile("cf")
def zarr_that_is_unpickled(path: Path, secret: Path) -> Path:
    zarr_store(path, dtype="|O", filters=[{"id": "pickle"}])
    (path / "rain/0.0").write_bytes(pickle.dumps(Touch(secret)))
    return path


@hostile("cf")
def zarr_of_28_gigabytes(path: Path, secret: Path) -> Path:  # noqa: ARG001
    return zarr_store(path, shape=[120_000, 30_000], chunks=[1000, 1000], dtype="<f8")


@hostile("cf")
def zarr_of_3_gigabytes_in_400_bytes(path: Path, secret: Path) -> Path:  # noqa: ARG001
    return zarr_store(path, shape=[30_000, 12_500], chunks=[1000, 1000], dtype="<f8")


@hostile("cf")
def zarr_with_metadata_nested_without_end(path: Path, secret: Path) -> Path:  # noqa: ARG001
    (zarr_store(path) / "rain/.zattrs").write_text("[" * 100_000)
    return path


# Archives and compressed files.


@hostile("fmi-pgm")
def gzip_of_a_gigabyte_of_nothing(path: Path, secret: Path) -> Path:  # noqa: ARG001
    with gzip.open(path, "wb", compresslevel=9) as stream:
        stream.write(b"P5\n# metersperpixel_x 1000\n")
        for _ in range(64):
            stream.write(bytes(16 << 20))
    return path


@hostile("fmi-pgm")
def gzip_in_gzip_in_gzip(path: Path, secret: Path) -> Path:  # noqa: ARG001
    content = bytes(200 << 20)
    for _ in range(3):
        content = gzip.compress(content, 9)
    path.write_bytes(content)
    return path


@hostile("radolan")
def bzip2_of_a_gigabyte_of_nothing(path: Path, secret: Path) -> Path:  # noqa: ARG001
    one = bz2.compress(b"RY" + bytes(8 << 20))
    path.write_bytes(one * 128)  # streams behind each other are one
    return path


@hostile("radolan")
def radolan_that_is_a_header_alone(path: Path, secret: Path) -> Path:  # noqa: ARG001
    path.write_bytes(
        b"RY010900100000626BY1980145VS 3SW   2.29.0PR E-02INT   5GP9999x9999VV 000MS 70<boo>\x03"
    )
    return path


def tar(path: Path, *members: tuple[tarfile.TarInfo, bytes]) -> Path:
    with tarfile.open(path, "w") as archive:
        for member, content in members:
            archive.addfile(member, io.BytesIO(content))
    return path


def member(name: str, content: bytes = b"", **fields: Any) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for field, value in fields.items():
        setattr(info, field, value)
    return info, content


@hostile("odim-tar")
def tar_with_a_symbolic_link(path: Path, secret: Path) -> Path:
    return tar(path, member(f"{_RV}_000-hd5", type=tarfile.SYMTYPE, linkname=str(secret)))


@hostile("odim-tar")
def tar_with_a_hard_link(path: Path, secret: Path) -> Path:
    return tar(path, member(f"{_RV}_000-hd5", type=tarfile.LNKTYPE, linkname=str(secret)))


@hostile("odim-tar")
def tar_with_a_device(path: Path, secret: Path) -> Path:  # noqa: ARG001
    device = {"type": tarfile.CHRTYPE, "devmajor": 1, "devminor": 5}
    return tar(path, member(f"{_RV}_000-hd5", **device))


@hostile("odim-tar")
def tar_with_names_that_climb(path: Path, secret: Path) -> Path:
    names = (f"{secret}", "../../../etc/passwd", f"../{_RV}_000-hd5", f"/tmp/{_RV}_000-hd5")
    return tar(path, *(member(name, b"x") for name in names))


@hostile("odim-tar")
def tar_of_ten_thousand_members(path: Path, secret: Path) -> Path:  # noqa: ARG001
    return tar(path, *(member(f"{_RV}_{n % 1000:03d}-hd5") for n in range(1, 10_000)))


@hostile("odim-tar")
def tar_with_a_sparse_terabyte(path: Path, secret: Path) -> Path:  # noqa: ARG001
    header = {"GNU.sparse.major": "0", "GNU.sparse.minor": "1", "GNU.sparse.size": str(1 << 40)}
    header |= {"GNU.sparse.map": "0,1", "GNU.sparse.name": f"{_RV}_000-hd5"}
    info, content = member(f"{_RV}_000-hd5", b"x")
    info.pax_headers = header
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as archive:
        archive.addfile(info, io.BytesIO(content))
    return path


@hostile("odim-tar")
def tar_of_a_file_that_leads_out(path: Path, secret: Path) -> Path:
    inner = stored_in_another_file(path.with_suffix(".h5"), secret).read_bytes()
    return tar(path, member(f"{_RV}_000-hd5", inner))


# npz.


def npz(path: Path, **members: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def npy(kind: str, shape: tuple[int, ...], content: bytes = b"") -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        stream, {"descr": kind, "fortran_order": False, "shape": shape}
    )
    return stream.getvalue() + content


@hostile("meteonet")
def npz_that_is_unpickled(path: Path, secret: Path) -> Path:
    touch = pickle.dumps(Touch(secret))
    members = {"data.npy": npy("|O", (1, 565, 784), touch), "dates.npy": npy("|O", (1,), touch)}
    return npz(path, **members)


@hostile("meteonet")
def npz_of_28_gigabytes(path: Path, secret: Path) -> Path:  # noqa: ARG001
    members = {
        "data.npy": npy("<i2", (32_500, 565, 784)),
        "dates.npy": npy("<M8[ns]", (32_500,), bytes(8 * 32_500)),
    }
    return npz(path, **members)


@hostile("meteonet")
def npz_that_holds_less_than_it_declares(path: Path, secret: Path) -> Path:  # noqa: ARG001
    members = {
        "data.npy": npy("<i2", (1, 565, 784), b"\x01" * 1000),
        "dates.npy": npy("<M8[ns]", (1,), bytes(8)),
    }
    return npz(path, **members)


@hostile("meteonet")
def npz_with_names_that_climb(path: Path, secret: Path) -> Path:
    members = {f"../../{secret.name}.npy": npy("<i2", (1,), b"xx"), f"{secret}.npy": b"x"}
    return npz(path, **members)


# Pictures and GRIB.


@hostile("mch-gif")
def gif_of_four_billion_pixels(path: Path, secret: Path) -> Path:  # noqa: ARG001
    screen = struct.pack("<HHBBB", 65_535, 65_535, 0xF7, 0, 0)
    image = b"," + struct.pack("<HHHHB", 0, 0, 65_535, 65_535, 0)
    path.write_bytes(b"GIF89a" + screen + bytes(768) + image + b"\x08\x02\x00\x01\x00;")
    return path


@hostile("mch-gif")
def gif_whose_picture_is_larger_than_its_screen(path: Path, secret: Path) -> Path:  # noqa: ARG001
    screen = struct.pack("<HHBBB", 710, 640, 0xF7, 0, 0)
    image = b"," + struct.pack("<HHHHB", 0, 0, 65_535, 65_535, 0)
    path.write_bytes(b"GIF89a" + screen + bytes(768) + image + b"\x08\x02\x00\x01\x00;")
    return path


@hostile("fmi-pgm")
def pgm_of_more_digits_than_memory(path: Path, secret: Path) -> Path:  # noqa: ARG001
    path.write_bytes(b"P5\n# metersperpixel_x 1\n" + b"9" * 6000 + b" " + b"9" * 6000 + b"\n255\n")
    return path


@hostile("geotiff")
def geotiff_of_four_billion_cells(path: Path, secret: Path) -> Path:  # noqa: ARG001
    return tiff(path, width=65_535, height=65_535)


@hostile("geotiff")
def geotiff_of_cells_that_were_never_written(path: Path, secret: Path) -> Path:  # noqa: ARG001
    return tiff(path, width=14_000, height=14_000)


@hostile("geotiff")
def geotiff_that_is_a_vrt(path: Path, secret: Path) -> Path:
    path.write_text(
        '<VRTDataset rasterXSize="40" rasterYSize="40"><SRS>EPSG:3067</SRS>'
        '<VRTRasterBand dataType="Byte" band="1" subClass="VRTRawRasterBand">'
        f"<SourceFilename>{secret}</SourceFilename></VRTRasterBand></VRTDataset>"
    )
    return path


def tiff(path: Path, *, width: int, height: int) -> Path:
    """Sparse: a few hundred bytes, whatever the size."""
    import rasterio
    from affine import Affine

    profile = {
        "driver": "GTiff",
        "width": width,
        "height": height,
        "count": 1,
        "dtype": "uint8",
        "crs": "EPSG:3067",
        "transform": Affine(250, 0, 0, 0, -250, 7e6),
        "tiled": True,
        "blockxsize": 8192,
        "blockysize": 8192,
        "SPARSE_OK": True,
    }
    with rasterio.open(path, "w", **profile):
        pass
    return path


@hostile("mrms-grib")
def grib_of_ten_billion_cells(path: Path, secret: Path) -> Path:  # noqa: ARG001
    path.write_bytes(grib(columns=100_000, rows=100_000, picture=png(2, 2)))
    return path


@hostile("mrms-grib")
def grib_with_a_picture_larger_than_its_grid(path: Path, secret: Path) -> Path:  # noqa: ARG001
    path.write_bytes(grib(columns=70, rows=35, picture=png(9000, 9000)))
    return path


@hostile("mrms-grib")
def grib_with_a_picture_of_a_billion_pixels(path: Path, secret: Path) -> Path:  # noqa: ARG001
    path.write_bytes(grib(columns=70, rows=35, picture=png(32_000, 32_000, written=1)))
    return path


@hostile("mrms-grib")
def grib_that_declares_more_than_it_has(path: Path, secret: Path) -> Path:  # noqa: ARG001
    whole = grib(columns=70, rows=35, picture=png(70, 35))
    path.write_bytes(whole[:8] + struct.pack(">Q", 2**62) + whole[16:])
    return path


def png(width: int, height: int, *, written: int | None = None) -> bytes:
    """A grey picture of nothing, ``written`` of its rows there."""
    packer, packed = zlib.compressobj(9), b""
    for _ in range(height if written is None else written):
        packed += packer.compress(bytes(1 + 2 * width))
    packed += packer.flush()
    chunks = {b"IHDR": struct.pack(">IIBBBBB", width, height, 16, 0, 0, 0, 0), b"IDAT": packed}
    picture = b"\x89PNG\r\n\x1a\n"
    for name, content in (chunks | {b"IEND": b""}).items():
        checked = name + content
        picture += (
            struct.pack(">I", len(content)) + checked + struct.pack(">I", zlib.crc32(checked))
        )
    return picture


def grib(*, columns: int, rows: int, picture: bytes) -> bytes:
    """A rain rate of MRMS as its sections are laid out."""
    time = struct.pack(">HBBBBB", 2026, 6, 1, 12, 0, 0)
    one = struct.pack(">IBHHBBB", 21, 1, 161, 0, 255, 0, 1) + time + b"\x00\x00"
    south, west = 40_000_000, 250_000_000
    three = struct.pack(">IBBIBBH", 72, 3, 0, columns * rows % 2**32, 0, 0, 0)
    three += struct.pack(">BBIBIBI", 6, 255, 2**32 - 1, 255, 2**32 - 1, 255, 2**32 - 1)
    three += struct.pack(">IIII", columns, rows, 0, 2**32 - 1)
    three += struct.pack(">II", south + 10_000 * (rows - 1) % 2**31, west) + b"\x30"
    three += struct.pack(">IIII", south, west + 10_000 * (columns - 1) % 2**31, 10_000, 10_000)
    three += b"\x00"
    four = struct.pack(">IBHHBBBBB", 34, 4, 0, 0, 6, 1, 8, 0, 97)
    four += struct.pack(">HBBIBBIBBI", 0, 0, 0, 0, 102, 0, 0, 255, 0, 0)
    five = struct.pack(">IBIHfhhBB", 21, 5, columns * rows % 2**32, 41, -30.0, 0, 1, 16, 0)
    six = struct.pack(">IBB", 6, 6, 255)
    seven = struct.pack(">IB", 5 + len(picture), 7) + picture
    body = one + three + four + five + six + seven + b"7777"
    return b"GRIB\x00\x00" + bytes([209, 2]) + struct.pack(">Q", 16 + len(body)) + body
