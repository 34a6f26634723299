"""Which variable of a CF Dataset is rain, and what its units say about it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from nowcast.field.errors import FormatError
from nowcast.field.units import ZR, rate_from_accumulation
from nowcast.ingest.readers.cf_grid import horizontal_dims
from nowcast.ingest.readers.cf_time import MINUTES, time_dim

if TYPE_CHECKING:
    from pathlib import Path

    import xarray as xr
    from numpy.typing import NDArray

Kind = Literal["rate", "accumulation", "reflectivity"]

_RAIN_NAMES = {
    "rainfall_rate",
    "rainfall_flux",
    "precipitation_flux",
    "lwe_precipitation_rate",
    "precipitation_amount",
    "rainfall_amount",
    "thickness_of_rainfall_amount",
    "lwe_thickness_of_precipitation_amount",
    "equivalent_reflectivity_factor",
}
# Units that other things have too: a variable in them is rain only if it is called so.
_RAIN_WORDS = re.compile(r"rain|precip|prcp|qpe|accum|(^|_)(rr|tp|pr)(_|$)", re.IGNORECASE)
# What is piled up, by its units and their powers: millimetres of water in one of it.
_MILLIMETRES = {
    frozenset({("mm", 1)}): 1.0,
    frozenset({("cm", 1)}): 10.0,
    frozenset({("m", 1)}): 1000.0,
    frozenset({("kg", 1), ("m", -2)}): 1.0,
    frozenset({("l", 1), ("m", -2)}): 1.0,
}
_FACTOR = re.compile(r"(/?)\s*(\d*\.?\d*)\s*([A-Za-z]+)\s*(-?\d+)?")


@dataclass(frozen=True)
class RainUnit:
    """What numbers of rain mean.

    Attributes:
        kind: rain rate, accumulation or reflectivity (dBZ).
        millimetres: how many of them one unit of depth is.
        minutes: the time that a rate is per; None for the others.

    """

    kind: Kind
    millimetres: float = 1.0
    minutes: float | None = None

    def rate_mm_h(
        self, values: NDArray[np.floating[Any]], *, minutes: float | None, zr: ZR, path: Path
    ) -> NDArray[np.float32]:
        """Rain rate of the values; ``minutes`` is the interval of an accumulation."""
        if self.kind == "reflectivity":
            with np.errstate(over="ignore"):  # infinite rain is dealt with later
                return zr.rate_mm_h(values)
        interval = self.minutes or minutes
        if interval is None or not interval > 0:
            raise FormatError(
                f"{path}: an accumulation over an unknown interval, expected time bounds, "
                "a cell method or even time steps: set accumulation_minutes"
            )
        return rate_from_accumulation(values * self.millimetres, minutes=interval)


def rain_unit(text: str) -> RainUnit | None:
    """The meaning of units such as "mm h-1", "kg m-2 s-1", "mm/5min" or "dBZ"; None for others."""
    if text.strip().lower() == "dbz":
        return RainUnit("reflectivity")
    plain = re.sub(r"\*\*|\^|[().·]|\*(?!\*)", lambda m: "" if m[0] in ("**", "^") else " ", text)
    depth: set[tuple[str, int]] = set()
    minutes = None
    end = 0
    for match in _FACTOR.finditer(plain):
        if plain[end : match.start()].strip():
            return None
        end = match.end()
        power = int(match[4] or 1) * (-1 if match[1] else 1)
        name, count = match[3], float(match[2] or 1)
        if name.lower() in MINUTES and power == -1 and minutes is None:
            minutes = MINUTES[name.lower()] * count
        elif match[2]:
            return None
        else:
            depth.add((name.lower(), power))
    if plain[end:].strip() or frozenset(depth) not in _MILLIMETRES:
        return None
    kind: Kind = "accumulation" if minutes is None else "rate"
    return RainUnit(kind, _MILLIMETRES[frozenset(depth)], minutes)


def rain_variable(
    dataset: xr.Dataset, *, wanted: str | None, units: str | None, path: Path
) -> tuple[xr.DataArray, RainUnit]:
    """The variable ``wanted``, or the only one that is rain by standard name, or else by its units.

    ``units`` are those of a variable that states none. Raises FormatError where there is no such
    variable, or several: guessing between them would be wrong half of the time.
    """
    if wanted is not None:
        if wanted not in dataset.variables:
            raise FormatError(f"{path}: no variable {wanted}, expected one of {_held(dataset)}")
        variable = dataset[wanted]
        unit = rain_unit(str(variable.attrs.get("units", units or "")))
        if unit is None or not _is_field(dataset, variable):
            raise FormatError(
                f"{path}: variable {wanted} ({_described(variable)}), "
                "expected a field of rain rate, accumulation or reflectivity"
            )
        return variable, unit
    found = []
    for name in dataset.data_vars:
        variable = dataset[name]
        unit = rain_unit(str(variable.attrs.get("units", units or "")))
        if unit is not None and _is_field(dataset, variable):
            found.append((variable, unit))
    named = [pair for pair in found if pair[0].attrs.get("standard_name") in _RAIN_NAMES]
    called = [pair for pair in found if _is_called_rain(*pair)]
    candidates = named or called
    if len(candidates) == 1:
        return candidates[0]
    if candidates:
        names = ", ".join(str(variable.name) for variable, _ in candidates)
        raise FormatError(f"{path}: rain in {names}: say which with the option variable")
    raise FormatError(
        f"{path}: holds {_held(dataset)}, expected a field of rain rate, accumulation or "
        "reflectivity with units: name it with the options variable and units"
    )


def _is_called_rain(variable: xr.DataArray, unit: RainUnit) -> bool:
    """Whether units and names leave no doubt, for want of a standard name that we know."""
    named = variable.attrs.get("standard_name")
    if named is not None:
        return bool(_RAIN_WORDS.search(str(named)))
    if unit.kind == "reflectivity" or (unit.kind == "rate" and unit.millimetres == 1.0):
        return True
    names = f"{variable.name} {variable.attrs.get('long_name', '')}"
    return any(_RAIN_WORDS.search(name) for name in names.split())


def _is_field(dataset: xr.Dataset, variable: xr.DataArray) -> bool:
    """Whether this is one field a time: rows, columns, perhaps time, and nothing else."""
    dims = horizontal_dims(dataset, variable)
    if dims is None:
        return False
    others = {dim for dim, size in variable.sizes.items() if dim not in dims and size > 1}
    return others <= {time_dim(dataset, variable)}


def _held(dataset: xr.Dataset) -> str:
    names = [f"{name} ({_described(dataset[name])})" for name in dataset.data_vars]
    return ", ".join(names[:8]) + (", ..." if len(names) > 8 else "") or "no variables"


def _described(variable: xr.DataArray) -> str:
    units = variable.attrs.get("units", "no units")
    return f"{' x '.join(map(str, variable.dims)) or 'a scalar'}, {units}"
