"""Forecasts as cloud-optimised GeoTIFF: one file, one band a lead."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import numpy as np
import rasterio
import rasterio.shutil
from rasterio.enums import Resampling
from rasterio.io import DatasetWriter, MemoryFile

from nowcast.field import schema
from nowcast.field.atomic import written_beside
from nowcast.field.units import RATE
from nowcast.products import description

_TILE = 512
_CACHE_MIB = 128  # GDAL would take a twentieth of the machine's memory
_TILES = {"tiled": True, "blockxsize": _TILE, "blockysize": _TILE, "interleave": "band"}
# Measured on 24 leads of 765x700: predictor 2 is smaller and faster than 3 where rain is sparse.
_COMPRESSION: dict[str, dict[str, Any]] = {
    "deflate": {"compress": "deflate", "zlevel": 1, "predictor": 2},
    "zstd": {"compress": "zstd", "zstd_level": 3, "predictor": 2},
}
_TAGS = ("source", "institution", "licence", "degraded_reason", "input_sha256", "model_sha256")


@dataclass(frozen=True)
class Cog:
    """The rain rate as ``YYYYmmddTHHMMZ.tif``: mm h-1, NaN where nothing can be said.

    Bands lie one after the other, so that a reader of one lead fetches that lead alone. Overviews
    are means, which keep the amount of rain. Tags name issue time, source and units; each band has
    its valid time.

    Attributes:
        compression: ``deflate``, which everybody reads, or ``zstd``: faster.
        clock: the time of writing (UTC), which goes into the tag TIFFTAG_DATETIME.

    """

    compression: Literal["deflate", "zstd"] = "deflate"
    clock: Callable[[], datetime] = description.utc_now

    def write(self, forecast: schema.Forecast, *, into: Path) -> Path:
        """Write the rain rate into a folder that exists; return the file. Raises ProductError."""
        path = Path(into) / f"{description.issue_name(forecast)}.tif"
        options = _TILES | _COMPRESSION[self.compression] | {"bigtiff": "if_safer"}
        # Overviews must lie before the image: a draft is copied in that order. Both stay in memory
        # (compressed), because GDAL does not report every failed write to a disk.
        env = rasterio.Env(GDAL_CACHEMAX=_CACHE_MIB)
        with env, MemoryFile() as memory, MemoryFile() as final:
            with memory.open(**_profile(forecast)) as draft:
                self._fill(draft, forecast)
            rasterio.shutil.copy(
                memory.name, final.name, driver="GTiff", copy_src_overviews=True, **options
            )
            with written_beside(path) as beside:
                beside.write_bytes(final.getbuffer())
        return path

    def _fill(self, draft: DatasetWriter, forecast: schema.Forecast) -> None:
        issued = forecast["forecast_reference_time"].values
        tags = {name: forecast.attrs[name] for name in _TAGS if forecast.attrs.get(name)}
        draft.update_tags(
            **tags,
            forecast_reference_time=_iso(issued),
            units=RATE,
            AREA_OR_POINT="Area",
            TIFFTAG_DATETIME=f"{self.clock():%Y:%m:%d %H:%M:%S}",
            TIFFTAG_SOFTWARE=f"mim-nowcast {description.product_version()}",
        )
        rate = forecast["rainfall_rate"]
        for band, lead in enumerate(forecast["lead_time"].values, start=1):
            minutes = lead / np.timedelta64(60, "s")
            draft.write(rate.values[band - 1], band)
            draft.set_band_description(band, f"+{minutes:03g} min")
            draft.update_tags(band, time=_iso(issued + lead), lead_minutes=f"{minutes:g}")
        draft.units = [RATE] * rate.sizes["lead_time"]
        factors = _overviews(max(rate.shape[1:]))
        if factors:
            draft.build_overviews(factors, Resampling.average)


def _profile(forecast: schema.Forecast) -> dict[str, Any]:
    """What rasterio needs to know of the draft."""
    grid = schema.grid_of(forecast)
    return _TILES | {
        "driver": "GTiff",
        "height": grid.height,
        "width": grid.width,
        "count": forecast.sizes["lead_time"],
        "dtype": "float32",
        "nodata": float("nan"),
        "crs": rasterio.CRS.from_wkt(grid.crs.to_wkt()),
        "transform": rasterio.Affine.from_gdal(*grid.geotransform),
        "compress": "zstd",
        "zstd_level": 1,
        "bigtiff": "if_safer",
    }


def _overviews(size: int) -> list[int]:
    """Factors 2, 4, ... until the smallest overview fits into one tile."""
    factors: list[int] = []
    while size > _TILE * 2 ** len(factors):
        factors.append(2 ** (len(factors) + 1))
    return factors


def _iso(moment: Any) -> str:
    return f"{np.datetime_as_string(moment.astype('datetime64[s]'))}Z"
