"""Any CF NetCDF or Zarr with rain rate, accumulation or reflectivity."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from nowcast.field.errors import FormatError, SchemaError
from nowcast.field.schema import frames_dataset
from nowcast.field.units import ZR
from nowcast.ingest.readers.cf_grid import Layout, layout_of
from nowcast.ingest.readers.cf_known import mended
from nowcast.ingest.readers.cf_open import is_cf, open_cf, unfilled
from nowcast.ingest.readers.cf_rain import RainUnit, rain_variable
from nowcast.ingest.readers.cf_time import Times, valid_times
from nowcast.ingest.readers.coding import MARSHALL_PALMER
from nowcast.ingest.readers.plausible import plausible
from nowcast.ingest.readers.single import single_frame

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import xarray as xr
    from numpy.typing import NDArray

    from nowcast.field.schema import Frames

_KEPT_ATTRS = {
    "institution": "institution",
    "title": "title",
    "references": "references",
    "licence": "licence",
    "license": "licence",
}


@dataclass(frozen=True)
class CfFile:
    """NetCDF 3 or 4, or a Zarr folder, with one variable of rain; our own forecasts too.

    The variable is known by its standard name, else by its units; rows, columns and time by axis,
    standard name or units. An accumulation is valid at the end of its interval. Fill values,
    values outside ``valid_range`` and cells never written become NaN.

    Attributes:
        variable: which variable; None takes the only one that is rain.
        units: the units of variables that state none.
        accumulation_minutes: the interval of an accumulation; None takes what the file says: time
            bounds, a start time, a cell method, or even time steps.
        zr: the Z-R relation for reflectivity.

    """

    variable: str | None = None
    units: str | None = None
    accumulation_minutes: float | None = None
    zr: ZR = MARSHALL_PALMER

    def matches(self, path: Path) -> bool:
        """Whether this is NetCDF or Zarr, with rain or without."""
        return is_cf(path)

    def times(self, path: Path) -> NDArray[np.datetime64]:
        """The valid times of the variable of rain."""
        with open_cf(path) as dataset:
            _, _, times = self._chosen(mended(dataset), path=path)
        return times.values

    def read(self, path: Path, *, stamp: np.datetime64 | None = None) -> Frames:
        """All frames of the variable of rain."""
        with open_cf(path) as dataset:
            known = mended(dataset)
            variable, unit, times = self._chosen(known, path=path)
            layout = layout_of(known, variable, path=path)
            values = unfilled(_field(variable, layout, times, path=path), variable)
            attrs = _described(known.attrs, variable)
        minutes = self.accumulation_minutes or times.minutes
        rate = unit.rate_mm_h(values, minutes=minutes, zr=self.zr, path=path)
        attrs |= self._provenance(unit, minutes) | plausible(rate, path=path)
        if rate.shape[0] == 1:
            return single_frame(
                rate[0],
                path=path,
                grid=layout.grid,
                stated=times.values,
                stamp=stamp,
                attrs=attrs,
            )
        try:
            return frames_dataset(rate, times=times.values, grid=layout.grid, attrs=attrs)
        except SchemaError as error:
            raise FormatError(f"{path}: {error}") from error

    def _chosen(self, dataset: xr.Dataset, *, path: Path) -> tuple[xr.DataArray, RainUnit, Times]:
        variable, unit = rain_variable(dataset, wanted=self.variable, units=self.units, path=path)
        accumulated = unit.kind == "accumulation"
        return variable, unit, valid_times(dataset, variable, accumulated=accumulated, path=path)

    def _provenance(self, unit: RainUnit, minutes: float | None) -> dict[str, Any]:
        if unit.kind == "accumulation":
            return {"accumulation_minutes": minutes}
        return {"zr_a": self.zr.a, "zr_b": self.zr.b} if unit.kind == "reflectivity" else {}


def _field(variable: xr.DataArray, layout: Layout, times: Times, *, path: Path) -> NDArray[Any]:
    """The values (time, y, x), north and west first."""
    others = [dim for dim in variable.dims if dim not in (layout.y, layout.x, times.dim)]
    field = variable.squeeze(others, drop=True)
    if times.dim is None or times.dim not in field.dims:
        values = field.transpose(layout.y, layout.x).values[np.newaxis]
    else:
        values = field.transpose(times.dim, layout.y, layout.x).values
    if values.size == 0:
        raise FormatError(f"{path}: {variable.name} of shape {values.shape}, expected some values")
    if layout.south_first:
        values = values[:, ::-1]
    if layout.east_first:
        values = values[:, :, ::-1]
    return np.asarray(values)


def _described(attrs: Mapping[Any, Any], variable: xr.DataArray) -> dict[str, Any]:
    kept = {ours: str(attrs[name]) for name, ours in _KEPT_ATTRS.items() if attrs.get(name)}
    return kept | {"quantity": str(variable.name)}
