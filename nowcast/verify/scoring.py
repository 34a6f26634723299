"""A forecast against what was then observed.

A pixel counts at a lead where it was observed then and the forecast says something there: a rain
rate, every probability that it gives, and at least one member of its ensemble. So all scores of a
forecast are about the same pixels, and what is missing on either side is never dry. Methods are
compared on the pixels that all of them speak of: ``verify_together``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from nowcast.field.errors import (
    GridMismatchError,
    MissingFramesError,
    SchemaError,
    UsageError,
)
from nowcast.field.event import reached
from nowcast.field.units import RATE
from nowcast.verify.categorical import contingency_of_events
from nowcast.verify.continuous import error_sums
from nowcast.verify.ensemble import crps_sums, how_many, pick, rank_histogram
from nowcast.verify.probability import (
    bins_of_yes_or_no,
    brier_of_yes_or_no,
    brier_sums,
    probability_bins,
)
from nowcast.verify.sal import sal_sums
from nowcast.verify.spatial import fss_of_events
from nowcast.verify.sums import Sums, stack
from nowcast.verify.tally import CoverageSums, Tally

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import ArrayLike, NDArray

    from nowcast.field.schema import Forecast

THRESHOLDS_MM_H = (0.1, 0.5, 1.0, 5.0, 10.0)
SCALES_CELLS = (9, 17)
RANKED_FROM_MM_H = 0.1  # all below is dry to the rank histogram; where all is dry nothing is ranked


def verify_forecast(
    forecast: Forecast,
    observed: xr.DataArray,
    *,
    thresholds_mm_h: Sequence[float] = THRESHOLDS_MM_H,
    scales_cells: Sequence[int] = SCALES_CELLS,
    counted: xr.DataArray | None = None,
    with_sal: bool = False,
) -> Tally:
    """The sums of one forecast against ``observed`` rain rates (time, y, x) in mm h-1, NaN unseen.

    ``counted`` (lead_time, y, x) restricts the pixels. Yes/no scores judge the rate, or probability
    >= decision where the forecast fixes a ``decision_probability`` for the threshold. Probability
    scores take ``probability_of_exceedance``, else the members' frequency, else the yes or no as 1
    or 0; CRPS takes the members, else the rate as the only one. A lead whose frame is missing
    counts nothing. SAL takes seconds a lead.

    Raises MissingFramesError where no valid time was observed, GridMismatchError for another grid.
    """
    if not thresholds_mm_h or min(thresholds_mm_h) <= 0:
        raise UsageError(f"thresholds {list(thresholds_mm_h)} mm/h, expected rates above 0")
    _check_members(forecast)
    truth = observed_at(forecast, observed)
    asked = _asked(forecast, counted)
    leads = []
    for k in range(forecast.sizes["lead_time"]):
        lead = _Lead.of(forecast.isel(lead_time=k), frame=truth[k], asked=asked[k])
        pieces = lead.pixel_sums() | lead.threshold_sums(thresholds_mm_h, scales_cells)
        leads.append(pieces | ({"sal": lead.sal_sums()} if with_sal else {}))
    minutes = forecast["lead_time"].values / np.timedelta64(1, "m")
    issued = forecast["forecast_reference_time"].values.astype("datetime64[m]")
    return Tally(
        method=str(forecast.attrs["source"]),
        lead_minutes=tuple(float(m) for m in minutes),
        thresholds_mm_h=tuple(float(t) for t in thresholds_mm_h),
        scales_cells=tuple(int(s) for s in scales_cells),
        issued=(f"{issued}Z",),
        **{name: stack([lead[name] for lead in leads]) for name in leads[0]},  # type: ignore[arg-type]
    )


def verify_together(
    forecasts: Mapping[str, Forecast],
    observed: xr.DataArray,
    *,
    thresholds_mm_h: Sequence[float] = THRESHOLDS_MM_H,
    scales_cells: Sequence[int] = SCALES_CELLS,
    with_sal: bool = False,
) -> dict[str, Tally]:
    """The sums of all forecasts of one issue time, under their names, on ``common_pixels``.

    Raises what that and ``verify_forecast`` do.
    """
    counted = common_pixels(forecasts, observed)
    return {
        name: verify_forecast(
            forecast,
            observed,
            thresholds_mm_h=thresholds_mm_h,
            scales_cells=scales_cells,
            counted=counted,
            with_sal=with_sal,
        ).named(name)
        for name, forecast in forecasts.items()
    }


def common_pixels(forecasts: Mapping[str, Forecast], observed: xr.DataArray) -> xr.DataArray:
    """Where all forecasts of one issue time say something and the frame was seen (lead_time, y, x).

    Raises SchemaError where the forecasts differ in issue time or leads, GridMismatchError in grid.
    """
    if not forecasts:
        raise SchemaError("no forecasts to compare: give at least one")
    (first_name, first), *others = forecasts.items()
    for name, other in others:
        for axis in ("forecast_reference_time", "lead_time"):
            if not np.array_equal(first[axis].values, other[axis].values):
                raise SchemaError(
                    f"{name} and {first_name} differ in {axis}: score forecasts of one issue time"
                )
        _check_grid(other, first["rainfall_rate"], what=first_name)
    common = np.isfinite(observed_at(first, observed))
    for forecast in forecasts.values():
        _check_members(forecast)
        for k in range(common.shape[0]):
            common[k] &= _said(forecast.isel(lead_time=k))
    return first["rainfall_rate"].copy(data=common).rename("counted").drop_attrs()


def observed_at(forecast: Forecast, observed: xr.DataArray) -> NDArray[np.float32]:
    """The observed frames at the valid times (lead, y, x); all NaN where there is none."""
    if observed.dims != ("time", "y", "x"):
        raise SchemaError(f"observed has dimensions {observed.dims}, expected ('time', 'y', 'x')")
    units = observed.attrs.get("units", RATE)
    if units != RATE:
        raise SchemaError(f"observed units {units!r}, expected {RATE!r}")
    _check_grid(forecast, observed, what="observed")
    valid = forecast["forecast_reference_time"].values + forecast["lead_time"].values
    times = observed.indexes["time"]
    if not times.is_unique:
        raise SchemaError("observed holds a time twice: drop the duplicates")
    places = times.get_indexer(valid)
    if (places < 0).all():
        raise MissingFramesError(
            f"no frame was observed from {valid[0]} to {valid[-1]}: found {times[0]} to {times[-1]}"
            if len(times)
            else "no frame was observed: the sequence is empty"
        )
    out = np.full((valid.size, *observed.shape[1:]), np.nan, dtype=np.float32)
    out[places >= 0] = observed.isel(time=places[places >= 0]).values
    return out


@dataclass(frozen=True)
class _Lead:
    """One lead of a forecast beside the frame, both (y, x), and the pixels ``ok`` that count."""

    fields: xr.Dataset
    frame: NDArray[np.float32]
    asked: NDArray[np.bool_]
    ok: NDArray[np.bool_]
    members: NDArray[np.float32] | None  # (member, pixel), where ok

    @classmethod
    def of(
        cls, fields: xr.Dataset, *, frame: NDArray[np.float32], asked: NDArray[np.bool_]
    ) -> _Lead:
        fields = fields.load()
        ok = asked & np.isfinite(frame) & _said(fields)
        members = None
        if "rainfall_rate_member" in fields:
            every = fields["rainfall_rate_member"].transpose("realization", "y", "x")
            members = pick(every.values, ok)
        return cls(fields=fields, frame=frame, asked=asked, ok=ok, members=members)

    @property
    def rate(self) -> NDArray[np.float32]:
        """The forecast rain rate (y, x)."""
        values: NDArray[np.float32] = self.fields["rainfall_rate"].values
        return values

    def pixel_sums(self) -> dict[str, Sums]:
        """The statistics that know no threshold."""
        rate, observed = self.rate[self.ok], self.frame[self.ok]
        coverage: dict[str, ArrayLike] = {
            "cycles": float(rate.size > 0),
            "asked": np.count_nonzero(self.asked),
            "seen": np.count_nonzero(self.asked & np.isfinite(self.frame)),
            "counted": rate.size,
        }
        sums: dict[str, Sums] = {
            "coverage": CoverageSums.of(coverage),
            "errors": error_sums(rate, observed),
        }
        if self.members is None:
            return sums | {"crps": crps_sums(rate[np.newaxis], observed)}
        ranks = rank_histogram(self.members, observed, wet_from_mm_h=RANKED_FROM_MM_H)
        return sums | {"crps": crps_sums(self.members, observed), "ranks": ranks}

    def threshold_sums(
        self, thresholds_mm_h: Sequence[float], scales_cells: Sequence[int]
    ) -> dict[str, Sums]:
        """The statistics of yes or no and of probabilities, each (threshold, ...)."""
        said = np.zeros((len(thresholds_mm_h), *self.ok.shape), dtype=bool)
        happened = np.zeros_like(said)
        tables, briers, bins = [], [], []
        for k, threshold in enumerate(thresholds_mm_h):
            said[k], chance = self._answer(threshold)
            happened[k] = reached(self.frame, threshold)
            table = contingency_of_events(said[k], happened[k], counted=self.ok)
            tables.append(table)
            if chance is None:
                briers.append(brier_of_yes_or_no(table))
                bins.append(bins_of_yes_or_no(table))
            else:
                probability, members = chance
                truth = happened[k, self.ok]
                briers.append(brier_sums(probability, truth, members=members))
                bins.append(probability_bins(probability, truth))
        return {
            "contingency": stack(tables),
            "brier": stack(briers),
            "probabilities": stack(bins),
            "fractions": fss_of_events(said, happened, self.ok, scales_cells=scales_cells),
        }

    def sal_sums(self) -> Sums:
        """SAL of the fields where they count."""
        return sal_sums(np.where(self.ok, self.rate, np.nan), np.where(self.ok, self.frame, np.nan))

    def _answer(
        self, threshold_mm_h: float
    ) -> tuple[NDArray[np.bool_], tuple[NDArray[np.floating], ArrayLike] | None]:
        """Yes or no (y, x), and where there is one the probability (pixel,) and its members."""
        yes = reached(self.rate, threshold_mm_h)
        given = self._given_probability(threshold_mm_h)
        if given is not None:
            probability = given["probability_of_exceedance"].transpose("y", "x").values
            if "decision_probability" in given:
                yes = probability >= given["decision_probability"].values
            return yes, (probability[self.ok], 0)
        if self.members is None:
            return yes, None
        count = how_many(np.isfinite(self.members))
        return yes, (how_many(reached(self.members, threshold_mm_h)) / count, count)

    def _given_probability(self, threshold_mm_h: float) -> xr.Dataset | None:
        """The fields at that threshold, where the forecast gives its probability."""
        if "probability_of_exceedance" not in self.fields:
            return None
        # Thresholds are float32 on disk: 0.1 comes back as 0.10000000149.
        same = np.isclose(self.fields["threshold"].values, threshold_mm_h, rtol=1e-5)
        return self.fields.isel(threshold=int(same.argmax())) if same.any() else None


def _said(fields: xr.Dataset) -> NDArray[np.bool_]:
    """Where one lead of a forecast says all that it holds (y, x)."""
    said: NDArray[np.bool_] = np.isfinite(fields["rainfall_rate"].values)
    if "probability_of_exceedance" in fields:
        probability = fields["probability_of_exceedance"].transpose("threshold", "y", "x").values
        said &= np.isfinite(probability).all(axis=0)
    if "rainfall_rate_member" in fields:
        members = fields["rainfall_rate_member"].transpose("realization", "y", "x").values
        said &= np.isfinite(members).any(axis=0)
    return said


def _asked(forecast: Forecast, counted: xr.DataArray | None) -> NDArray[np.bool_]:
    """The pixels that may count (lead, y, x)."""
    rate = forecast["rainfall_rate"]
    if counted is None:
        return np.ones(rate.shape, dtype=bool)
    if counted.dims != rate.dims or counted.shape != rate.shape or counted.dtype != bool:
        raise SchemaError(
            f"counted {counted.dtype} {counted.dims} {counted.shape}, "
            f"expected bool {rate.dims} {rate.shape}"
        )
    asked: NDArray[np.bool_] = counted.values
    return asked


def _check_members(forecast: Forecast) -> None:
    if "rainfall_rate_member" in forecast and forecast.sizes["realization"] < 1:
        raise SchemaError("rainfall_rate_member holds no member: leave it out instead")


def _check_grid(forecast: Forecast, other: xr.DataArray, *, what: str) -> None:
    """Refuse cells at other places, by more than a hundredth of a cell."""
    for axis in ("y", "x"):
        mine, theirs = forecast[axis].values, other[axis].values
        step = abs(float(mine[-1] - mine[0])) / max(mine.size - 1, 1)
        if mine.shape != theirs.shape or not np.allclose(mine, theirs, rtol=0, atol=0.01 * step):
            raise GridMismatchError(
                f"{what} has {axis} of {theirs.size} cells from {theirs[0]:g} to {theirs[-1]:g}, "
                f"the forecast of {mine.size} from {mine[0]:g} to {mine[-1]:g}"
            )
