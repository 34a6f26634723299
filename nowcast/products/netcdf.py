"""Forecasts and frames as CF NetCDF: compressed, checksummed, one chunk a lead."""

from __future__ import annotations

import errno
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import netCDF4

from nowcast.field import schema
from nowcast.field.atomic import written_beside
from nowcast.field.netcdf import NETCDF_LOCK
from nowcast.products import chunks, description, encoding

if TYPE_CHECKING:
    import xarray as xr

Compression = Literal["zlib", "zstd"]


@dataclass(frozen=True)
class NetCdf:
    """A forecast as ``YYYYmmddTHHMMZ.nc``, named for its issue time.

    Attributes:
        compression: ``zlib``, which everybody reads, or ``zstd``: smaller, and younger than many
            readers.
        attrs: global attributes that go before those of the forecast: the institution, say.
        clock: the time of writing (UTC), which goes into ``history`` and ``date_created``.

    """

    compression: Compression = "zlib"
    attrs: Mapping[str, Any] = field(default_factory=dict)
    clock: Callable[[], datetime] = description.utc_now

    def write(self, forecast: schema.Forecast, *, into: Path) -> Path:
        """Write the forecast into a folder that exists; return the file. Raises ProductError."""
        path = Path(into) / f"{description.issue_name(forecast)}.nc"
        attrs = description.forecast_attributes(forecast, written=self.clock(), more=self.attrs)
        raw = encoding.on_disk(forecast, attrs=attrs, content="modelResult")
        with written_beside(path) as beside:
            _write(raw, beside, compression=self.compression)
        return path


def write_frames(
    frames: schema.Frames | schema.Radar,
    path: Path,
    *,
    attrs: Mapping[str, Any] | None = None,
    clock: Callable[[], datetime] = description.utc_now,
    compression: Compression = "zlib",
) -> Path:
    """Write observed frames as CF NetCDF (time, y, x), one chunk a frame. Raises ProductError."""
    observed = schema.as_frames(frames)
    described = description.frames_attributes(observed, written=clock(), more=attrs or {})
    raw = encoding.on_disk(observed, attrs=described, content="physicalMeasurement")
    with written_beside(path) as beside:
        _write(raw, beside, compression=compression)
    return Path(path)


def _write(raw: xr.Dataset, path: Path, *, compression: Compression) -> None:
    """Write raw values to ``path``; every failure is an OSError."""
    apart = compression == "zlib"  # its chunks are made outside of the library
    filters = chunks.FILTERS if apart else {**chunks.FILTERS, "compression": compression}
    stored = encoding.encodings(raw, chunks="chunksizes", compression=filters)
    fields = {}
    raw.load()  # what is still in a file is read under the lock that is taken next
    try:
        with NETCDF_LOCK, netCDF4.Dataset(path, "w") as file:
            for dimension, size in raw.sizes.items():
                file.createDimension(str(dimension), size)
            for name, variable in raw.variables.items():
                options = stored[name]
                fill = options.pop("_FillValue")
                dims = [str(dimension) for dimension in variable.dims]
                made = file.createVariable(
                    str(name), variable.dtype, dims, fill_value=fill, **options
                )
                made.setncatts(variable.attrs)
                if apart and "chunksizes" in options:
                    fields[str(name)] = variable.values
                else:
                    made[...] = variable.values
            file.setncatts(raw.attrs)
        chunks.fill(path, fields)
    except (RuntimeError, OSError) as error:
        raise _cause(path, error) from error


def _cause(path: Path, error: Exception) -> OSError:
    """The system's reason for a failed write: the library keeps it, or says "permission denied"."""
    try:
        with path.open("ab") as file:
            file.write(bytes(2**24))
    except OSError as reason:
        return reason
    return OSError(errno.EIO, str(error))
