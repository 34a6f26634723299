"""Forecasts and frames as CF NetCDF: compressed, checksummed, one chunk a lead."""

from __future__ import annotations

import errno
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

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
    options = {"compression": compression, "complevel": level, "shuffle": True, "fletcher32": True}
    stored = encoding.encodings(raw, chunks="chunksizes", compression=options)
    try:
        raw.to_netcdf(path, engine="netcdf4", encoding=stored)
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
