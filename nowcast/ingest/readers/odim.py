"""ODIM_H5 composites: OPERA (old and new), DWD, MeteoSwiss, UK Met Office, most of Europe.

After Michelson et al., EUMETNET OPERA weather radar information model for implementation with the
HDF5 file format, version 2.4.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

from nowcast.field.errors import FormatError
from nowcast.field.units import ZR, rate_from_accumulation
from nowcast.ingest.readers.coding import MARSHALL_PALMER
from nowcast.ingest.readers.hdf5 import Attributes, open_hdf5, root_names
from nowcast.ingest.readers.odim_grid import composite_grid
from nowcast.ingest.readers.plausible import plausible
from nowcast.ingest.readers.single import single_frame, utc

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from nowcast.field.schema import Frames

# What a rain rate can be made of, the best first.
_RATE, _ACCUMULATION = ("RATE",), ("ACRR",)
_REFLECTIVITY = ("DBZH", "DBZV", "DBZ", "TH", "TV")
_READABLE = _RATE + _ACCUMULATION + _REFLECTIVITY
_GRIDDED_OBJECTS = ("COMP", "IMAGE")
# Rows decoded at a time: what they take stays in the processor's cache.
_STRIP = 32


@dataclass(frozen=True)
class Odim:
    """Composites and images in ODIM_H5 with rain rate, accumulation or reflectivity.

    Attributes and their places differ with version and service: what/where of a data group count
    before those of its dataset, and those before the file's. ``nodata`` becomes NaN, ``undetect``
    0; where both are one number, it is NaN.

    Attributes:
        quantity: which of RATE, ACRR, DBZH, DBZV, DBZ, TH, TV; None takes the first of these that
            the file holds.
        accumulation_minutes: the interval of ACRR; None takes the file's start and end.
        zr: the Z-R relation for reflectivity.

    """

    quantity: str | None = None
    accumulation_minutes: float | None = None
    zr: ZR = MARSHALL_PALMER

    def matches(self, path: Path) -> bool:
        """Whether the file is laid out as ODIM_H5, be it a composite or a polar volume."""
        names = root_names(path)
        return "what" in names and any(re.fullmatch(r"dataset\d+", name) for name in names)

    def times(self, path: Path, *, content: bytes | None = None) -> NDArray[np.datetime64]:
        """The nominal time (what/date and what/time) of a file that this reader can read."""
        with open_hdf5(path, content=content) as file:
            _Image.chosen(file, path=path, quantity=self.quantity)
            return _nominal_time(file, path=path)

    def read(
        self, path: Path, *, stamp: np.datetime64 | None = None, content: bytes | None = None
    ) -> Frames:
        """The one frame; ``content`` stands for the bytes on disk of a file inside an archive."""
        with open_hdf5(path, content=content) as file:
            image = _Image.chosen(file, path=path, quantity=self.quantity)
            stated = _nominal_time(file, path=path)
            grid = composite_grid(image.where, shape=image.data.shape)
            rate, attrs = self._rate(image)
            attrs = _described(file, image) | attrs
        return single_frame(rate, path=path, grid=grid, stated=stated, stamp=stamp, attrs=attrs)

    def _rate(self, image: _Image) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Rain rate (y, x), and how it came about."""
        step = abs(image.what.number("gain", 1.0))
        attrs: dict[str, Any] = {}
        if image.quantity in _REFLECTIVITY:
            rate, step = image.decoded(self.zr), 0.0
            attrs |= {"zr_a": self.zr.a, "zr_b": self.zr.b}
        elif image.quantity in _ACCUMULATION:
            minutes = self.accumulation_minutes or _interval_minutes(image.what)
            rate = rate_from_accumulation(image.decoded(None), minutes=minutes)
            step *= 60.0 / minutes
            attrs["accumulation_minutes"] = minutes
        else:
            rate = image.decoded(None)
        return rate, attrs | plausible(rate, path=image.path, step_mm_h=step)


@dataclass(frozen=True)
class _Image:
    """One image of a file, not yet read: its quantity, and what and where of its levels."""

    path: Path
    data: h5py.Dataset
    quantity: str
    what: Attributes
    where: Attributes

    @classmethod
    def chosen(cls, file: h5py.File, *, path: Path, quantity: str | None) -> _Image:
        """The image of ``quantity``, or of the best one; the first (lowest) of several."""
        root = Attributes.of(path, file, "what")
        if not root.groups:
            raise FormatError(
                f"{path}: holds {', '.join(file) or 'nothing'}, expected ODIM_H5: no group what"
            )
        kind = root.text("object", "no object")
        if kind not in _GRIDDED_OBJECTS:
            raise FormatError(
                f"{path}: ODIM object {kind}, expected a composite (COMP) or image (IMAGE): "
                "polar data is not on a map"
            )
        images = list(cls._all(file, path=path))
        wanted = (quantity.upper(),) if quantity else _READABLE
        for name in wanted:
            for image in images:
                if image.quantity == name:
                    return image
        held = ", ".join(sorted({image.quantity for image in images})) or "no image"
        raise FormatError(f"{path}: holds {held}, expected {' or '.join(wanted)}")

    @classmethod
    def _all(cls, file: h5py.File, *, path: Path) -> list[_Image]:
        images = []
        for dataset in _numbered(file, "dataset"):
            for group in _numbered(file[dataset], "data"):
                place = f"{dataset}/{group}"
                data = file.get(f"{place}/data")
                if not isinstance(data, h5py.Dataset):
                    continue
                what, where = (
                    Attributes.of(path, file, f"{place}/{name}", f"{dataset}/{name}", name)
                    for name in ("what", "where")
                )
                images.append(cls(path, data, what.text("quantity", "?").upper(), what, where))
        return images

    def decoded(self, zr: ZR | None) -> NDArray[np.float32]:
        """What the numbers mean (y, x), by ``zr`` turned into rate; NaN for nodata, 0 for undetect.

        Read and decoded in strips: a composite of Europe takes little longer than its
        decompression.
        """
        if self.data.ndim != 2 or self.data.dtype.kind not in "uif":
            raise FormatError(
                f"{self.path}: {self.data.name} of shape {self.data.shape} and type "
                f"{self.data.dtype}, expected a field of numbers"
            )
        gain, offset = self.what.number("gain", 1.0), self.what.number("offset", 0.0)
        if not (np.isfinite([gain, offset]).all() and gain):
            raise FormatError(
                f"{self.path}: gain {gain:g} and offset {offset:g} of {self.data.name}, "
                "expected finite numbers, and a gain other than 0"
            )
        nodata, undetect = self.what.number("nodata", np.nan), self.what.number("undetect", np.nan)
        height, width = self.data.shape
        field = np.zeros((height, width), dtype=np.float32)
        rows = self.data.chunks[0] if self.data.chunks else _STRIP
        stored = np.empty((rows, width), dtype=self.data.dtype)
        for first in range(0, height, rows):
            count = min(rows, height - first)
            self.data.read_direct(stored, np.s_[first : first + count], np.s_[:count])
            for top in range(0, count, _STRIP):
                numbers = stored[top : min(top + _STRIP, count)]
                strip = field[first + top : first + top + numbers.shape[0]]
                unseen = numbers == nodata
                echo = ~(unseen | (numbers == undetect))
                with np.errstate(over="ignore"):  # infinite rain is refused later, with a name
                    physical = numbers[echo] * gain + offset
                    strip[echo] = physical if zr is None else zr.rate_mm_h(physical)
                strip[unseen] = np.nan
        return field


def _numbered(group: h5py.Group, prefix: str) -> list[str]:
    """Names of the groups prefix1, prefix2, ..., in the order of their numbers."""
    names = [
        name
        for name in group
        if re.fullmatch(rf"{prefix}\d+", name) and isinstance(group.get(name), h5py.Group)
    ]
    return sorted(names, key=lambda name: int(name.removeprefix(prefix)))


def _nominal_time(file: h5py.File, *, path: Path) -> NDArray[np.datetime64]:
    return _time(Attributes.of(path, file, "what"), "")


def _time(what: Attributes, prefix: str) -> NDArray[np.datetime64]:
    date, time = what.text(f"{prefix}date"), what.text(f"{prefix}time")
    # strptime would take 5 digits for 6; the standard's spelling counts, and HHMM of old files.
    spelt = re.fullmatch(r"\d{8} \d{4}(\d\d)?", f"{date} {time}")
    stated = utc(f"{date} {time.ljust(6, '0')}", "%Y%m%d %H%M%S")
    if not spelt or stated.size == 0:
        raise FormatError(
            f"{what.path}: {prefix}date {date!r} and {prefix}time {time!r}, "
            "expected YYYYmmdd and HHMMSS"
        )
    return stated


def _interval_minutes(what: Attributes) -> float:
    start, end = _time(what, "start"), _time(what, "end")
    minutes = float((end[0] - start[0]) / np.timedelta64(1, "m"))
    if minutes <= 0:
        raise FormatError(
            f"{what.path}: an accumulation from {start[0]} to {end[0]}, expected an interval: "
            "set accumulation_minutes"
        )
    return minutes


def _described(file: h5py.File, image: _Image) -> dict[str, Any]:
    """Where the frame comes from."""
    what = Attributes.of(image.path, file, "what")
    how = Attributes.of(image.path, image.data.parent.parent, "how")
    attrs = {"institution": what.text("source", ""), "title": image.what.text("prodname", "")}
    attrs["quantity"] = image.quantity
    if "true" in (
        Attributes.of(image.path, file, "how").text("simulated", "").lower(),
        how.text("simulated", "").lower(),
    ):
        attrs["simulated"] = "true"
    return {name: text for name, text in attrs.items() if text}
