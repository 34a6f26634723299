"""Forecasts as CoverageJSON: the series of a place, and boxes and polygons on a lon/lat grid."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from covjson_pydantic.coverage import Coverage
from covjson_pydantic.domain import Axes, Domain, DomainType, ValuesAxis
from covjson_pydantic.ndarray import NdArrayFloat
from covjson_pydantic.observed_property import ObservedProperty
from covjson_pydantic.parameter import Parameter, Parameters
from covjson_pydantic.reference_system import ReferenceSystem, ReferenceSystemConnectionObject
from covjson_pydantic.unit import Unit

from nowcast.field.errors import UsageError
from nowcast.web.mercator import cells_at

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from shapely.geometry import Polygon

    from nowcast.web.opened import Opened

RATE = "rainfall_rate"
MOST_VALUES = 500_000
_DEGREE_M = 111_195.0
Box = tuple[float, float, float, float]


def parameters_of(opened: Opened) -> dict[str, Parameter]:
    """What can be asked for, by name: the rate, and a probability a threshold."""
    found = {RATE: _parameter("Rain rate", "mm/h")}
    for threshold in opened.thresholds:
        label = f"Probability of at least {threshold:g} mm/h"
        found[f"probability_{threshold:g}"] = _parameter(label, "1")
    return found


def position(
    opened: Opened, *, lon: float, lat: float, leads: Sequence[int], names: Sequence[str]
) -> Coverage:
    """The series of the cell that holds a place; null outside what is known."""
    cell = opened.grid.cell(lon=lon, lat=lat)
    ranges = {}
    small = None if cell is None else opened.series().around(*cell, grid=opened.grid)
    for name in names:
        values = np.full(len(leads), np.nan, dtype=np.float32)
        if small is not None and cell is not None:
            row, column = (
                index - min(index, size - 2)
                for index, size in zip(cell, opened.grid.shape, strict=True)
            )
            field = small[RATE] if name == RATE else _chance(opened, small, name)
            values = np.asarray(field.values[list(leads), row, column])
        ranges[name] = _range(values, ("t",))
    axes = Axes(
        x=ValuesAxis[float](values=[lon]),
        y=ValuesAxis[float](values=[lat]),
        t=_times(opened, leads),
    )
    return _coverage(opened, DomainType.point_series, axes, ranges)


def grid(
    opened: Opened, *, box: Box, leads: Sequence[int], names: Sequence[str], within: Polygon | None
) -> Coverage:
    """A box (west, south, east, north) on a lon/lat grid about as fine as the forecast's own.

    A value is that of the cell in which its point lies; null outside ``within`` and the grid.
    Raises UsageError where more than ``MOST_VALUES`` would be sent.
    """
    lon, lat = _axes(opened, box)
    count = lon.size * lat.size * len(leads) * len(names)
    if count > MOST_VALUES:
        raise UsageError(
            f"{count} values, at most {MOST_VALUES} can be sent: ask for a smaller area, fewer "
            "times or fewer parameters"
        )
    rows, columns, inside = cells_at(opened.grid, *np.meshgrid(lon, lat))
    if within is not None:
        inside &= _contains(within, lon, lat)
    ranges = {}
    for name in names:
        planes = [_plane(opened, name, lead)[rows, columns] for lead in leads]
        values = np.where(inside, np.stack(planes), np.nan)
        ranges[name] = _range(values, ("t", "y", "x"))
    axes = Axes(
        x=ValuesAxis[float](values=[round(value, 6) for value in lon.tolist()]),
        y=ValuesAxis[float](values=[round(value, 6) for value in lat.tolist()]),
        t=_times(opened, leads),
    )
    return _coverage(opened, DomainType.grid, axes, ranges)


def _axes(opened: Opened, box: Box) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Points in the middle of squares about as large as a cell; at least one each way."""
    west, south, east, north = box
    down, across = (metres / _DEGREE_M for metres in opened.grid.cell_metres)
    across /= max(0.02, math.cos(math.radians((south + north) / 2)))
    # Before the axes are made: a box may be the whole world.
    columns, rows = (
        max(1, round(span)) for span in ((east - west) / across, (north - south) / down)
    )
    if columns * rows > MOST_VALUES:
        raise UsageError(f"{columns * rows} points, at most {MOST_VALUES}: ask for a smaller area")
    lon = west + (east - west) * (np.arange(columns) + 0.5) / columns
    lat = north - (north - south) * (np.arange(rows) + 0.5) / rows
    return lon, lat


def _contains(area: Polygon, lon: NDArray[np.float64], lat: NDArray[np.float64]) -> Any:
    import shapely  # noqa: PLC0415 - heavy

    return shapely.contains_xy(area, *np.meshgrid(lon, lat))


def _plane(opened: Opened, name: str, lead: int) -> NDArray[np.float32]:
    if name == RATE:
        return opened.rate(lead)
    return opened.probability(_threshold(name), lead)


def _chance(opened: Opened, small: Any, name: str) -> Any:
    index = opened.thresholds.index(_threshold(name))
    return small["probability_of_exceedance"].isel(threshold=index)


def _threshold(name: str) -> float:
    return float(name.removeprefix("probability_"))


def _times(opened: Opened, leads: Sequence[int]) -> Any:
    stamps = [np.datetime_as_string(opened.issued + opened.leads[lead], unit="s") for lead in leads]
    return ValuesAxis.model_validate({"values": [f"{text}Z" for text in stamps]})


def _range(values: NDArray[np.floating[Any]], axes: tuple[str, ...]) -> NdArrayFloat:
    flat = [None if math.isnan(value) else round(value, 4) for value in values.ravel().tolist()]
    return NdArrayFloat(values=flat, shape=list(values.shape), axisNames=list(axes))


def _parameter(label: str, unit: str) -> Parameter:
    return Parameter(observedProperty=ObservedProperty(label={"en": label}), unit=Unit(symbol=unit))


def _coverage(
    opened: Opened, kind: DomainType, axes: Axes, ranges: dict[str, NdArrayFloat]
) -> Coverage:
    known = parameters_of(opened)
    earth = ReferenceSystem(type="GeographicCRS", id="http://www.opengis.net/def/crs/OGC/1.3/CRS84")
    time = ReferenceSystem(type="TemporalRS", calendar="Gregorian")
    return Coverage(
        id=opened.listed.id,
        domain=Domain(
            domainType=kind,
            axes=axes,
            referencing=[
                ReferenceSystemConnectionObject(coordinates=["x", "y"], system=earth),
                ReferenceSystemConnectionObject(coordinates=["t"], system=time),
            ],
        ),
        parameters=Parameters({name: known[name] for name in ranges}),
        ranges=dict(ranges),
    )
