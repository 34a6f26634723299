"""Projections as files write them, turned into projections in metres."""

from __future__ import annotations

import json
import re
import warnings
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pyproj
from pyproj.exceptions import CRSError

from nowcast.field.errors import FormatError

if TYPE_CHECKING:
    from pathlib import Path


def projection(definition: str | dict[str, Any], *, path: Path) -> tuple[pyproj.CRS, float]:
    """A projection in metres (or in degrees), and how many of them one of the file's units is.

    ``definition`` is a PROJ string, WKT, an EPSG code, or the attributes of a CF grid mapping.
    Raises FormatError on one that PROJ does not know.
    """
    try:
        if isinstance(definition, dict):
            crs = _from_cf(json.dumps(definition, default=np.ndarray.tolist, sort_keys=True))
        else:
            crs = _from_text(definition.strip())
    except (CRSError, KeyError, ValueError, TypeError) as error:
        raise FormatError(f"{path}: an unknown projection {definition!r:.300}: {error}") from error
    if crs.is_bound and not any(_shift(crs)):
        # "+towgs84=0,0,0,..." shifts nothing, and more programs know the plain projection.
        crs = crs.source_crs or crs
    if crs.is_geographic and not crs.is_derived:
        return crs, 1.0
    factors = {axis.unit_conversion_factor for axis in crs.axis_info}
    if not crs.is_projected or len(factors) != 1:
        raise FormatError(
            f"{path}: {crs.type_name} {crs.name}, expected a projection or longitude and latitude"
        )
    factor = factors.pop()
    return (crs, 1.0) if factor == 1.0 else (_in_metres(crs), factor)


def _shift(crs: pyproj.CRS) -> list[float]:
    operation = crs.coordinate_operation
    return list(operation.towgs84) if operation is not None else []


def proj_parameters(text: str) -> dict[str, str]:
    """The parameters of a PROJ string, also of one that forgets a plus sign (KNMI's does)."""
    return dict(re.findall(r"\+?(\w+)=([^\s+]\S*)", text))


@lru_cache(maxsize=64)
def _from_cf(attrs: str) -> pyproj.CRS:
    """PROJ looks a datum without a name up for half a second: once for all frames of a radar."""
    return pyproj.CRS.from_cf(json.loads(attrs))


@lru_cache(maxsize=64)
def _from_text(text: str) -> pyproj.CRS:
    return pyproj.CRS.from_user_input(text)


def _in_metres(crs: pyproj.CRS) -> pyproj.CRS:
    with warnings.catch_warnings():
        # PROJ strings cannot say everything that WKT can; the name of an area of use may go.
        warnings.simplefilter("ignore", UserWarning)
        parameters = crs.to_dict()
    parameters.pop("to_meter", None)
    return pyproj.CRS.from_dict(parameters | {"units": "m"})
