"""Files of known makers that leave out, or get wrong, what CF asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nowcast.ingest.readers.cf_open import DRY_AT_MOST
from nowcast.ingest.readers.coding import MARSHALL_PALMER

if TYPE_CHECKING:
    import xarray as xr

_OPENMRG = "OpenMRG-Radar"
_RATE = {"units": "mm h-1", "standard_name": "rainfall_rate"}
# RADOLAN products as NetCDF keep their names but not their units: minutes of accumulation.
# DWD, RADOLAN/RADVOR-OP Kompositformat, version 2.4.5.
_RADOLAN_MINUTES = {"RY": 5, "YW": 5, "RW": 60, "RH": 60, "RB": 60, "SF": 1440, "SQ": 360}


def mended(dataset: xr.Dataset) -> xr.Dataset:
    """The Dataset with what its file leaves out; untouched where the maker is not one of these."""
    if dataset.attrs.get("title") == _OPENMRG:
        dataset = _openmrg(dataset)
    for name, minutes in _RADOLAN_MINUTES.items():
        if name in dataset and "units" not in dataset[name].attrs:
            dataset[name].attrs |= {
                "units": "mm",
                "standard_name": "precipitation_amount",
                "cell_methods": f"time: sum (interval: {minutes} minutes)",
            }
    return dataset


def _openmrg(dataset: xr.Dataset) -> xr.Dataset:
    """SMHI's OpenMRG (doi:10.5281/zenodo.6673750) and the excerpts of it that mergeplg ships.

    Of the event of 27 August 2015, ``R`` is the rate of ``data`` (dBZ) by Z = 200 R**1.6, and
    ``dBZ`` has been unpacked twice: -42 to -8.6 dBZ in a cloudburst. Of the event of 25 July 2015,
    rows and ``latitudes`` start in the south, but ``y`` and ``longitudes`` in the north; ten gauges
    correlate with the rows as by ``latitudes`` (0.73), not as by ``y`` (0.18).
    """
    # The code 0 means no echo, and stands at -30 dBZ.
    for name, attrs in (("R", _RATE), ("data", {"units": "dBZ", DRY_AT_MOST: -30.0})):
        if name in dataset and "units" not in dataset[name].attrs:
            dataset[name].attrs |= attrs
    if "dBZ" in dataset and "data" in dataset:
        dataset = dataset.drop_vars("dBZ")
    amount = dataset.get("rainfall_amount")
    if amount is not None and amount.attrs.get("units") == "sum 5min":
        no_echo = float(MARSHALL_PALMER.rate_mm_h(-30.0)) * 5 / 60
        amount.attrs |= {
            "units": "mm",
            "cell_methods": "time: sum (interval: 5 minutes)",
            DRY_AT_MOST: 1.001 * no_echo,
        }
    if "latitudes" in dataset and "longitudes" in dataset:
        y, latitude = dataset["y"].values, dataset["latitudes"].values
        if (y[0] > y[-1]) and (latitude[0].mean() < latitude[-1].mean()):
            attrs = dataset["y"].attrs
            dataset = dataset.drop_vars(["latitudes", "longitudes"])
            dataset = dataset.assign_coords(y=("y", np.ascontiguousarray(y[::-1]), attrs))
    return dataset
