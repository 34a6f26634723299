"""Forecasts and frames as CF NetCDF: compressed, checksummed, one chunk a lead."""

from __future__ import annotations

import errno
import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import netCDF4
import numpy as np

from nowcast.field import schema
from nowcast.field.atomic import written_beside
from nowcast.products import description, encoding

if TYPE_CHECKING:
    import xarray as xr

Compression = Literal["zlib", "zstd"]


@dataclass(frozen=True)
class NetCdf:
    """A forecast as ``YYYYmmddTHHMMZ.nc``, named for its issue time.

    Attributes:
        compression: ``zlib``, which everybody reads, or ``zstd``: faster, and younger than many
            readers.
        level: of the compression; higher is smaller and slower.
        attrs: global attributes that go before those of the forecast: the institution, say.
        clock: the time of writing (UTC), which goes into ``history`` and ``date_created``.

    """

    compression: Compression = "zlib"
    level: int = 1
    attrs: Mapping[str, Any] = field(default_factory=dict)
    clock: Callable[[], datetime] = description.utc_now

    def write(self, forecast: schema.Forecast, *, into: Path) -> Path:
        """Write the forecast into a folder that exists; return the file. Raises ProductError."""
        path = Path(into) / f"{description.issue_name(forecast)}.nc"
        attrs = description.forecast_attributes(forecast, written=self.clock(), more=self.attrs)
        raw = encoding.on_disk(forecast, attrs=attrs, content="modelResult")
        with written_beside(path) as beside:
            _write(raw, beside, compression=self.compression, level=self.level)
        return path


def write_frames(
    frames: schema.Frames | schema.Radar,
    path: Path,
    *,
    attrs: Mapping[str, Any] | None = None,
    clock: Callable[[], datetime] = description.utc_now,
    compression: Compression = "zlib",
    level: int = 1,
) -> Path:
    """Write observed frames as CF NetCDF (time, y, x), one chunk a frame. Raises ProductError."""
    observed = schema.as_frames(frames)
    described = description.frames_attributes(observed, written=clock(), more=attrs or {})
    raw = encoding.on_disk(observed, attrs=described, content="physicalMeasurement")
    with written_beside(path) as beside:
        _write(raw, beside, compression=compression, level=level)
    return Path(path)


def _write(raw: xr.Dataset, path: Path, *, compression: Compression, level: int) -> None:
    """Write raw values to ``path``; every failure is an OSError."""
    try:
        with netCDF4.Dataset(path, "w", format="NETCDF4") as file:
            for name, size in raw.sizes.items():
                file.createDimension(str(name), size)
            file.setncatts(raw.attrs)
            for name in raw.variables:
                _write_variable(file, raw, str(name), compression=compression, level=level)
    except RuntimeError as error:
        raise _cause(path, error) from error


def _cause(path: Path, error: RuntimeError) -> OSError:
    """The system's reason for a failed write, which the library keeps to itself."""
    try:
        with path.open("ab") as file:
            file.write(bytes(2**24))
    except OSError as reason:
        return reason
    return OSError(errno.EIO, str(error))


def _write_variable(
    file: netCDF4.Dataset, raw: xr.Dataset, name: str, *, compression: Compression, level: int
) -> None:
    variable = raw.variables[name]
    dims = tuple(str(dim) for dim in variable.dims)
    options: dict[str, Any] = {}
    if variable.ndim >= 2:
        options = {
            "compression": compression,
            "complevel": level,
            "shuffle": True,
            "fletcher32": True,
            "chunksizes": encoding.chunk(variable),
        }
    # A fill value on coordinates breaks CF; False is netCDF4's word for "none, and do not prefill".
    options["fill_value"] = np.float32(np.nan) if encoding.is_field(name, raw) else False
    stored = file.createVariable(name, variable.dtype, dims, **options)
    stored.setncatts(variable.attrs)
    stored.set_auto_maskandscale(False)
    values = variable.values
    if values.ndim <= 2:
        stored[...] = values
        return
    # Plane by plane, so that the library never holds more than one.
    for index in itertools.product(*map(range, values.shape[:-2])):
        stored[index] = values[index]
