"""Forecasts as Zarr, version 3: the same variables and attributes as the NetCDF."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from zarr.codecs import BloscCodec

from nowcast.field import schema
from nowcast.field.atomic import written_beside
from nowcast.products import description, encoding


@dataclass(frozen=True)
class ZarrStore:
    """A forecast as the folder ``YYYYmmddTHHMMZ.zarr``: one chunk a lead, blosc zstd.

    Where the store exists, the new one takes its place in one step; a reader that has it open may
    meet chunks of both, so open stores anew.

    Attributes:
        level: of the compression; higher is smaller and slower.
        attrs: global attributes that go before those of the forecast.
        clock: the time of writing (UTC), which goes into ``history`` and ``date_created``.

    """

    level: int = 3
    attrs: Mapping[str, Any] = field(default_factory=dict)
    clock: Callable[[], datetime] = description.utc_now

    def write(self, forecast: schema.Forecast, *, into: Path) -> Path:
        """Write the forecast into a folder that exists; return the store. Raises ProductError."""
        path = Path(into) / f"{description.issue_name(forecast)}.zarr"
        attrs = description.forecast_attributes(forecast, written=self.clock(), more=self.attrs)
        raw = encoding.on_disk(forecast, attrs=attrs, content="modelResult")
        blosc = BloscCodec(cname="zstd", clevel=self.level, shuffle="shuffle")
        stored = encoding.encodings(raw, chunks="chunks", compression={"compressors": (blosc,)})
        with written_beside(path) as beside, warnings.catch_warnings():
            # Not in the Zarr 3 specification yet, and harmless to readers that do not know it;
            # without it, xarray warns every user who opens the store.
            warnings.filterwarnings("ignore", message="Consolidated metadata is currently not")
            raw.to_zarr(beside, mode="w-", zarr_format=3, consolidated=True, encoding=stored)
        return path
