"""KNMI's own HDF5: composites of the Netherlands.

After Roozekrans and Holleman, KNMI HDF5 Data Format Specification, v3.5 (KNMI IR 2003-05).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

from nowcast.field.errors import FormatError
from nowcast.field.grid import Grid
from nowcast.field.units import ZR, rate_from_accumulation
from nowcast.ingest.readers.coding import MARSHALL_PALMER
from nowcast.ingest.readers.hdf5 import Attributes, open_hdf5, root_names
from nowcast.ingest.readers.plausible import plausible
from nowcast.ingest.readers.projection import proj_parameters, projection
from nowcast.ingest.readers.single import single_frame

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from nowcast.field.schema import Frames

_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_FORMULA = re.compile(rf"GEO=({_NUMBER})\*PV(?:\+?({_NUMBER}))?", re.IGNORECASE)
_TIME = re.compile(r"(\d{2})-([A-Z]{3})-(\d{4});(\d{2}:\d{2}:\d{2})(?:\.\d+)?")
_MONTHS = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"]
_ACCUMULATION, _RATE, _REFLECTIVITY = "MM", "MM/H", "DBZ"
_UNITS = (_ACCUMULATION, _RATE, _REFLECTIVITY)
_INSTITUTION = "Royal Netherlands Meteorological Institute (KNMI)"
_METRES = {"KM": 1000.0, "M": 1.0}


@dataclass(frozen=True)
class KnmiHdf5:
    """Composites in KNMI HDF5: accumulated rain (mm), rain rate (mm/h) or reflectivity (dBZ).

    ``calibration_out_of_image`` becomes NaN, and so does ``calibration_missing_data``, but for
    reflectivity in which 0
    means missing: there it is the lowest step of the scale, given to every cell without an echo,
        and becomes 0 mm/h.

    Attributes:
        accumulation_minutes: the interval of accumulated rain; None takes the file's start and end.
        zr: the Z-R relation for reflectivity.

    """

    accumulation_minutes: float | None = None
    zr: ZR = MARSHALL_PALMER

    def matches(self, path: Path) -> bool:
        """Whether the file is laid out as KNMI HDF5."""
        return {"overview", "geographic", "image1"} <= root_names(path)

    def times(self, path: Path) -> NDArray[np.datetime64]:
        """The end of the measurement (overview/product_datetime_end)."""
        with open_hdf5(path) as file:
            _image(file, path=path)
            return np.array([_times(file, path=path)[1]])

    def read(self, path: Path, *, stamp: np.datetime64 | None = None) -> Frames:
        """The one frame of the file."""
        with open_hdf5(path) as file:
            image, unit = _image(file, path=path)
            start, end = _times(file, path=path)
            grid = _grid(file, path=path)
            calibration = _Calibration.of(image, unit=unit, path=path)
            numbers = _numbers(image, grid=grid, path=path)
            title = Attributes.of(path, file, "overview").text("product_group_name", "")
        minutes = self.accumulation_minutes or float((end - start) / np.timedelta64(1, "m"))
        rate, attrs = self._rate(calibration, numbers, unit=unit, minutes=minutes, path=path)
        attrs |= {"institution": _INSTITUTION, "title": title}
        return single_frame(
            rate, path=path, grid=grid, stated=np.array([end]), stamp=stamp, attrs=attrs
        )

    def _rate(
        self,
        calibration: _Calibration,
        numbers: NDArray[Any],
        *,
        unit: str,
        minutes: float,
        path: Path,
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Rain rate (y, x), and how it came about."""
        rate, step = calibration.decoded(numbers), abs(calibration.gain)
        attrs: dict[str, Any] = {}
        if unit == _REFLECTIVITY:
            with np.errstate(over="ignore"):  # infinite rain is dealt with below
                rate, step = self.zr.rate_mm_h(rate), 0.0
            attrs |= {"zr_a": self.zr.a, "zr_b": self.zr.b}
        elif unit == _ACCUMULATION:
            if minutes <= 0:
                raise FormatError(
                    f"{path}: an accumulation over {minutes:g} min, expected an interval: "
                    "set accumulation_minutes"
                )
            rate, step = rate_from_accumulation(rate, minutes=minutes), step * 60.0 / minutes
            attrs["accumulation_minutes"] = minutes
        return rate, attrs | plausible(rate, path=path, step_mm_h=step)


@dataclass(frozen=True)
class _Calibration:
    """What the numbers of an image stand for: ``gain * number + offset``, but for some codes."""

    gain: float
    offset: float
    unseen: tuple[float, ...]
    no_echo: float | None

    @classmethod
    def of(cls, image: h5py.Group, *, unit: str, path: Path) -> _Calibration:
        described = Attributes.of(path, image, "calibration")
        formula = described.text("calibration_formulas")
        match = _FORMULA.fullmatch(re.sub(r"\s+", "", formula))
        if not match:
            raise FormatError(f"{path}: calibration {formula!r:.60}, expected 'GEO=a*PV+b'")
        outside = described.number("calibration_out_of_image", np.nan)
        missing = described.number("calibration_missing_data", np.nan)
        no_echo = unit == _REFLECTIVITY and missing == 0 and outside != 0
        return cls(
            gain=float(match[1]),
            offset=float(match[2] or 0),
            unseen=(outside,) if no_echo else (outside, missing),
            no_echo=missing if no_echo else None,
        )

    def decoded(self, numbers: NDArray[Any]) -> NDArray[np.float32]:
        """The numbers' meaning; NaN is unseen, minus infinity (dBZ) no echo."""
        field = (numbers.astype(np.float64) * self.gain + self.offset).astype(np.float32)
        if self.no_echo is not None:
            field[numbers == self.no_echo] = -np.inf
        for code in self.unseen:
            field[numbers == code] = np.nan
        return field


def _image(file: h5py.File, *, path: Path) -> tuple[h5py.Group, str]:
    """The one image of rain and its unit; others (quality, height) may lie beside it."""
    found, held = [], []
    for name in sorted(file):
        image = file[name]
        if not (re.fullmatch(r"image\d+", name) and isinstance(image, h5py.Group)):
            continue
        parameter = Attributes(path, (image,)).text("image_geo_parameter", "nothing")
        unit = re.sub(r"^.*\[(.*)\]$", r"\1", parameter).upper()
        held.append(parameter)
        if unit in _UNITS:
            found.append((image, unit))
    if len(found) != 1:
        raise FormatError(
            f"{path}: holds {', '.join(held) or 'no image'}, "
            f"expected one image in {', '.join(_UNITS)}: a composite in KNMI HDF5"
        )
    return found[0]


def _times(file: h5py.File, *, path: Path) -> tuple[np.datetime64, np.datetime64]:
    """Start and end of the measurement."""
    overview, times = Attributes.of(path, file, "overview"), []
    for name in ("product_datetime_start", "product_datetime_end"):
        text = overview.text(name)
        match = _TIME.fullmatch(text.upper())
        try:
            if not match:
                raise ValueError(text)
            month = _MONTHS.index(match[2]) + 1
            times.append(np.datetime64(f"{match[3]}-{month:02d}-{match[1]}T{match[4]}", "ns"))
        except ValueError:
            raise FormatError(
                f"{path}: {name} {text!r:.60}, expected a time like 26-AUG-2010;00:05:00.000"
            ) from None
    return times[0], times[1]


def _grid(file: h5py.File, *, path: Path) -> Grid:
    """The grid: projection in km as KNMI writes it, turned into metres."""
    place = Attributes.of(path, file, "geographic")
    definition = Attributes.of(path, file, "geographic/map_projection").text(
        "projection_proj4_params"
    )
    parameters = proj_parameters(definition)
    units = place.text("geo_dim_pixel", "KM,KM").upper().split(",")
    if units[0] not in _METRES or len(set(units)) != 1:
        raise FormatError(f"{path}: pixels measured in {','.join(units)}, expected KM,KM or M,M")
    metres = _METRES[units[0]]
    # The Earth's axes too are in km; x_0 and y_0 are 0 in all files seen, and scaled alike.
    for name in ("a", "b", "x_0", "y_0"):
        if name in parameters:
            parameters[name] = repr(_parsed(parameters[name], path=path) * metres)
    crs, _ = projection(" ".join(f"+{k}={v}" for k, v in parameters.items()), path=path)
    dx, dy = place.number("geo_pixel_size_x") * metres, place.number("geo_pixel_size_y") * metres
    if not (dx > 0 > dy and place.text("geo_pixel_def", "LU") == "LU"):
        raise FormatError(
            f"{path}: pixels of {dx:g} x {dy:g} m, expected the first one in the northwest"
        )
    return Grid(
        crs=crs,
        west=place.number("geo_column_offset") * dx,
        north=place.number("geo_row_offset") * dy,
        dx=dx,
        dy=-dy,
        height=int(place.number("geo_number_rows")),
        width=int(place.number("geo_number_columns")),
    )


def _parsed(text: str, *, path: Path) -> float:
    try:
        return float(text)
    except ValueError:
        raise FormatError(f"{path}: projection with {text!r:.40}, expected a number") from None


def _numbers(image: h5py.Group, *, grid: Grid, path: Path) -> NDArray[Any]:
    data = image.get("image_data")
    if not isinstance(data, h5py.Dataset) or data.dtype.kind not in "uif":
        raise FormatError(f"{path}: no numbers in {image.name}/image_data")
    if data.shape != grid.shape:
        raise FormatError(
            f"{path}: an image of shape {data.shape}, expected {grid.shape} as geographic says"
        )
    numbers: NDArray[Any] = data[()]
    return numbers
