"""Writes composites as ODIM_H5 2.4: simulated archives, and files to test readers with."""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import h5py
import numpy as np
import pyproj

from nowcast.field.atomic import written_beside
from nowcast.field.errors import ProductError
from nowcast.field.grid import WGS84, Grid
from nowcast.field.units import ZR
from nowcast.ingest.readers.coding import MARSHALL_PALMER

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import ArrayLike, NDArray

Quantity = Literal["RATE", "DBZH", "ACRR"]
# Numbers 1 to _TOP are measured, 0 is undetect.
_TOP, _NODATA, _UNDETECT = 65534, 65535, 0
# The finest step: 0.01 mm/h, 0.002 dBZ from -32 dBZ, 0.001 mm.
_STEP = {"RATE": 0.01, "DBZH": 0.002, "ACRR": 0.001}
_OFFSET = {"RATE": 0.0, "DBZH": -32.0, "ACRR": 0.0}
_PRODUCT = {"RATE": "SURF", "DBZH": "SURF", "ACRR": "RR"}


@dataclass(frozen=True)
class OdimDetails:
    """What a composite says beside its field.

    Attributes:
        accumulation_minutes: the interval of ACRR, which ends at the nominal time.
        zr: the Z-R relation that turns rate into DBZH.
        source: who made it (what/source), with one identifier of ODIM at least.
        product_name: what/prodname.
        simulated: whether how/simulated is set: no radar saw this.

    """

    accumulation_minutes: float = 5.0
    zr: ZR = MARSHALL_PALMER
    source: str = "CMT:mim-nowcast"
    product_name: str = "rain composite"
    simulated: bool = False


def write_odim(
    path: Path,
    rate_mm_h: ArrayLike,
    *,
    grid: Grid,
    time: np.datetime64,
    quantity: Quantity = "RATE",
    details: OdimDetails = OdimDetails(),
) -> Path:
    """Writes rates (y, x) on ``grid`` at UTC ``time`` as a composite, and gives ``path`` back.

    NaN is written as nodata and 0 as undetect; so are rates too small for the coding's first step:
    0.01 mm/h (RATE), 0.001 mm (ACRR), -32 dBZ (DBZH); the step grows where the highest rate needs
    it. A reader never sees half a file. Raises ProductError where the field cannot be stored or the
    file cannot be written.
    """
    rate = np.asarray(rate_mm_h, dtype=np.float64)
    if rate.shape != grid.shape or np.isinf(rate).any() or (rate < 0).any():
        raise ProductError(
            f"{path}: rates of shape {rate.shape}, expected {grid.shape}, "
            "NaN or finite and at least 0"
        )
    coding = _Coding.of(_physical(rate, quantity=quantity, details=details), quantity=quantity)
    memory = io.BytesIO()
    with h5py.File(memory, "w") as file:
        _write_header(file, grid=grid, time=time, details=details, path=path)
        _write_image(file, coding, quantity=quantity, time=time, details=details)
    with written_beside(path) as beside:
        beside.write_bytes(memory.getvalue())
    return path


@dataclass(frozen=True)
class _Coding:
    """A field as 16-bit numbers."""

    numbers: NDArray[np.uint16]
    gain: float
    offset: float

    @classmethod
    def of(cls, physical: NDArray[np.float64], *, quantity: Quantity) -> _Coding:
        offset = _OFFSET[quantity]
        highest = np.fmax.reduce(physical, axis=None, initial=-np.inf)
        gain = max(_STEP[quantity], (highest - offset) / _TOP)
        with np.errstate(invalid="ignore"):
            steps = np.rint((physical - offset) / gain)
        numbers = np.where(np.isnan(physical), _NODATA, np.clip(steps, _UNDETECT, _TOP))
        return cls(numbers.astype(np.uint16), float(gain), offset)

    @property
    def attributes(self) -> dict[str, Any]:
        return {
            "gain": self.gain,
            "offset": self.offset,
            "nodata": float(_NODATA),
            "undetect": float(_UNDETECT),
        }


def _physical(
    rate: NDArray[np.float64], *, quantity: Quantity, details: OdimDetails
) -> NDArray[np.float64]:
    if quantity == "DBZH":
        return details.zr.dbz(rate).astype(np.float64)
    if quantity == "ACRR":
        return rate * (details.accumulation_minutes / 60.0)
    return rate


def _write_header(
    file: h5py.File, *, grid: Grid, time: np.datetime64, details: OdimDetails, path: Path
) -> None:
    _set(file, {"Conventions": "ODIM_H5/V2_4"})
    what = {"object": "COMP", "version": "H5rad 2.4", "source": details.source}
    _set(file.create_group("what"), what | _stamp(time, ""))
    place = file.create_group("where")
    _set(place, {"projdef": _projdef(grid, path=path), "xscale": grid.dx, "yscale": grid.dy})
    _set(place, {"xsize": grid.width, "ysize": grid.height})
    west, east, south, north = grid.extent
    to_degrees = pyproj.Transformer.from_crs(grid.crs, WGS84, always_xy=True)
    for name, x, y in (
        ("UL", west, north),
        ("UR", east, north),
        ("LL", west, south),
        ("LR", east, south),
    ):
        lon, lat = to_degrees.transform(x, y)
        if not np.isfinite([lon, lat]).all():
            raise ProductError(f"{path}: the corner {name} of {grid} lies nowhere on Earth")
        _set(place, {f"{name}_lon": lon, f"{name}_lat": lat})
    _set(file.create_group("how"), {"simulated": str(details.simulated)})


def _write_image(
    file: h5py.File,
    coding: _Coding,
    *,
    quantity: Quantity,
    time: np.datetime64,
    details: OdimDetails,
) -> None:
    dataset, start = file.create_group("dataset1"), time
    if quantity == "ACRR":
        start = time - np.timedelta64(round(details.accumulation_minutes * 60), "s")
    what = {"product": _PRODUCT[quantity], "prodname": details.product_name}
    _set(dataset.create_group("what"), what | _stamp(start, "start") | _stamp(time, "end"))
    image = dataset.create_group("data1")
    _set(image.create_group("what"), {"quantity": quantity, **coding.attributes})
    data = image.create_dataset(
        "data", data=coding.numbers, chunks=True, compression="gzip", shuffle=True
    )
    _set(data, {"CLASS": "IMAGE", "IMAGE_VERSION": "1.2"})


def _projdef(grid: Grid, *, path: Path) -> str:
    with warnings.catch_warnings():
        # A PROJ string is all that ODIM knows; whether it says the same is checked below.
        warnings.simplefilter("ignore", UserWarning)
        text = grid.crs.to_proj4()
    west, _, _, north = grid.extent
    # On the Earth, not in the plane: a PROJ string may leave out the datum, 150 m in Switzerland.
    place = pyproj.Transformer.from_crs(grid.crs, WGS84, always_xy=True).transform(west, north)
    back = pyproj.Transformer.from_crs(WGS84, text or WGS84, always_xy=True).transform(*place)
    off = np.abs(np.subtract(back, (west, north))).max()
    if not text or not off <= 1e-3 * min(grid.dx, grid.dy):
        raise ProductError(
            f"{path}: {grid.crs.name} cannot be written as a PROJ string, as ODIM asks"
        )
    return text


def _stamp(time: np.datetime64, prefix: str) -> dict[str, str]:
    date, clock = str(time.astype("datetime64[s]")).split("T")
    return {f"{prefix}date": date.replace("-", ""), f"{prefix}time": clock.replace(":", "")}


def _set(node: h5py.Group | h5py.Dataset, values: Mapping[str, Any]) -> None:
    """Attributes as ODIM asks for them: text of fixed length with a final null, int64, float64."""
    for name, value in values.items():
        if isinstance(value, str):
            content = value.encode()
            kind = h5py.h5t.C_S1.copy()
            kind.set_size(len(content) + 1)
            kind.set_strpad(h5py.h5t.STR_NULLTERM)
            space = h5py.h5s.create(h5py.h5s.SCALAR)
            attribute = h5py.h5a.create(node.id, name.encode(), kind, space)
            attribute.write(np.array(content, dtype=f"S{len(content) + 1}"))
        else:
            node.attrs[name] = np.int64(value) if isinstance(value, int) else np.float64(value)
