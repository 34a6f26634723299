"""The scores as people read them: tidy tables, CSV and NetCDF."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import xarray as xr

from nowcast.field.atomic import written_beside
from nowcast.field.errors import FormatError, SchemaError, SourceError
from nowcast.field.netcdf import NETCDF_LOCK
from nowcast.field.units import RATE
from nowcast.verify.probability import CUTS
from nowcast.verify.scores import SCORES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from nowcast.verify.scores import Score
    from nowcast.verify.tally import Tally

_DESCRIBED: dict[str, dict[str, Any]] = {
    "nowcaster": {"long_name": "nowcasting method"},
    "lead_time": {"standard_name": "forecast_period", "units": "min"},
    "threshold": {"standard_name": "rainfall_rate", "long_name": "threshold", "units": RATE},
    "scale": {"long_name": "width of the FSS window in cells", "units": "1"},
    "cut": {"long_name": "lower edge of the probability bin", "units": "1"},
    "rank": {"long_name": "members below the observation", "units": "1"},
}


def score_table(tallies: Sequence[Tally]) -> pd.DataFrame:
    """All scores of all methods, one a row.

    Columns: method, lead_minutes, score, threshold_mm_h and scale_cells (missing where a score has
    none), value (NaN where undefined), n (sample size: pixels, windows of FSS, pairs of SAL) and
    cycles. What was not asked for has no rows.
    """
    parts = [
        _score_rows(tally, score)
        for tally in _some(tallies)
        for score in SCORES.values()
        if score.is_in(tally)
    ]
    return pd.concat(parts, ignore_index=True).astype({"scale_cells": "Int64"})


def reliability_table(tallies: Sequence[Tally]) -> pd.DataFrame:
    """The reliability diagram and the ROC curve, a bin or cut a row.

    Columns: method, lead_minutes, threshold_mm_h, cut (the lower edge of the bin), n,
    mean_probability and observed_frequency (in the bin), pod and pofd (of saying it from the cut
    on).
    """
    columns = ("n", "mean_probability", "observed_frequency", "pod", "pofd")
    parts = []
    for tally in _some(tallies):
        axes = {
            "lead_minutes": tally.lead_minutes,
            "threshold_mm_h": tally.thresholds_mm_h,
            "cut": CUTS,
        }
        parts.append(_tidy(tally, axes, {n: getattr(tally.probabilities, n) for n in columns}))
    return pd.concat(parts, ignore_index=True)


def rank_table(tallies: Sequence[Tally]) -> pd.DataFrame:
    """The rank histograms of the methods with an ensemble, a rank a row.

    Columns: method, lead_minutes, rank (members below the observation), n (ties are shared, so
    fractions occur) and frequency.
    """
    parts = [pd.DataFrame(columns=["method", "lead_minutes", "rank", "n", "frequency"])]
    for tally in _some(tallies):
        if tally.ranks is not None:
            counts = tally.ranks.counts
            axes = {"lead_minutes": tally.lead_minutes, "rank": range(counts.shape[-1])}
            parts.append(_tidy(tally, axes, {"n": counts, "frequency": tally.ranks.frequencies}))
    return pd.concat(parts[1:] or parts, ignore_index=True)


def to_dataset(tallies: Sequence[Tally], *, history: str = "nowcast verify") -> xr.Dataset:
    """All that a tally tells as one Dataset (nowcaster, lead_time, threshold, ...).

    Scores, contingency tables, reliability, ROC and ranks. The dimension is not called method, for
    xarray's ``sel`` has a setting of that name.
    NaN where a method has no such lead or score. Raises SchemaError where a method comes twice.
    """
    names = [tally.method for tally in _some(tallies)]
    if len(set(names)) < len(names):
        raise SchemaError(f"methods {names}: first add up the tallies of each method")
    dataset = xr.concat([_dataset(tally) for tally in tallies], dim="nowcaster", join="outer")
    for name, attributes in _DESCRIBED.items():
        if name in dataset.coords:
            dataset[name].attrs.update(attributes)
    return dataset.assign_attrs(
        Conventions="CF-1.11",
        title="Scores of radar nowcasts",
        comment="Sums over pixels and cycles, ratios last; what is missing is not counted.",
        history=history,
    )


def write_csv(table: pd.DataFrame, path: Path) -> Path:
    """Write a table, NaN as an empty cell; raises ProductError, and then there is no file."""
    with written_beside(path) as beside:
        table.to_csv(beside, index=False)
    return path


def read_csv(path: Path) -> pd.DataFrame:
    """A table that ``write_csv`` wrote; raises SourceError where it is missing, FormatError."""
    if not path.is_file():
        raise SourceError(
            f"{path}: no such file: score the forecasts with `nowcast verify`, "
            "or give --feed and --archive"
        )
    try:
        table = pd.read_csv(path)
    except (OSError, ValueError) as error:
        raise FormatError(f"{path}: no table of scores: {error}") from error
    if "method" not in table.columns or "lead_minutes" not in table.columns:
        raise FormatError(f"{path}: columns {list(table.columns)}, expected a table of scores")
    return table


def write_netcdf(dataset: xr.Dataset, path: Path) -> Path:
    """Write a Dataset of scores; raises ProductError, and then there is no file.

    CF allows no words as a coordinate variable: on disk the methods' names are a label beside the
    dimension, and ``set_index(nowcaster="method")`` makes them its coordinate again.
    """
    label = ("nowcaster", dataset["nowcaster"].values, _DESCRIBED["nowcaster"])
    labelled = dataset.drop_vars("nowcaster").assign_coords(method=label)
    encoding: dict[str, dict[str, Any]] = {str(name): {"zlib": True} for name in dataset.data_vars}
    encoding |= {str(name): {"_FillValue": None} for name in labelled.coords}
    with written_beside(path) as beside, NETCDF_LOCK:
        labelled.to_netcdf(beside, engine="netcdf4", encoding=encoding)
    return path


def _some(tallies: Sequence[Tally]) -> Sequence[Tally]:
    if not tallies:
        raise SchemaError("no scores to tabulate: not one forecast was scored")
    return tallies


def _score_rows(tally: Tally, score: Score) -> pd.DataFrame:
    value = score(tally)
    axes: dict[str, Sequence[float]] = {
        "lead_minutes": tally.lead_minutes,
        "threshold_mm_h": tally.thresholds_mm_h,
        "scale_cells": tally.scales_cells,
    }
    used = dict(list(axes.items())[: value.ndim])
    rows = _tidy(tally, used, {"value": value, "n": score.sample_size(tally).astype(np.int64)})
    cycles = np.repeat(tally.coverage.cycles.astype(np.int64), value[0].size)
    return pd.DataFrame(
        {
            "method": tally.method,
            "lead_minutes": rows["lead_minutes"],
            "score": score.name,
            "threshold_mm_h": rows.get("threshold_mm_h", np.nan),
            "scale_cells": rows.get("scale_cells", np.nan),
            "value": rows["value"],
            "n": rows["n"],
            "cycles": cycles,
        }
    )


def _tidy(
    tally: Tally, axes: Mapping[str, Sequence[float]], values: Mapping[str, NDArray[Any]]
) -> pd.DataFrame:
    """One row an element: the place on each axis, and each of the values there."""
    places = np.meshgrid(*axes.values(), indexing="ij")
    columns = {name: place.ravel() for name, place in zip(axes, places, strict=True)}
    return pd.DataFrame(
        {"method": tally.method, **columns, **{name: v.ravel() for name, v in values.items()}}
    )


def _dataset(tally: Tally) -> xr.Dataset:
    dims = ("lead_time", "threshold", "scale")
    variables: dict[str, Any] = {}
    for name, score in SCORES.items():
        value = score(tally)
        attributes = {"long_name": score.long_name, "units": score.units}
        variables[name] = (dims[: value.ndim], value, attributes)
    counted = {"units": "1"}
    for name, count in tally.contingency.arrays().items():
        variables[name] = (dims[:2], count, {"long_name": name.replace("_", " "), **counted})
    for name, count in tally.coverage.arrays().items():
        variables[f"{name}_count"] = (dims[:1], count, {"long_name": f"{name}", **counted})
    bins = tally.probabilities
    for name in ("n", "mean_probability", "observed_frequency", "pod", "pofd"):
        long_name = f"{name.replace('_', ' ')} by probability"
        variables[f"{name}_by_cut"] = (
            (*dims[:2], "cut"),
            getattr(bins, name),
            {"long_name": long_name, **counted},
        )
    coords: dict[str, Any] = {
        "nowcaster": tally.method,
        "lead_time": list(tally.lead_minutes),
        "threshold": list(tally.thresholds_mm_h),
        "scale": list(tally.scales_cells),
        "cut": list(CUTS),
    }
    if tally.ranks is not None:
        counts = tally.ranks.counts
        coords["rank"] = np.arange(counts.shape[-1], dtype=np.int32)
        variables["rank_count"] = ((dims[0], "rank"), counts, {"long_name": "rank histogram"})
    return xr.Dataset(variables, coords=coords)
