"""Forecasts in notebooks: ``import nowcast.notebook`` gives every forecast Dataset ``.nowcast``.

Importing this module registers the accessor with xarray, and does nothing else. In IPython
``%load_ext nowcast.notebook`` moreover shows a forecast as maps wherever a cell ends with one.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from nowcast.field import event, schema
from nowcast.field.errors import FormatError, SchemaError, UsageError
from nowcast.products import encoding

if TYPE_CHECKING:
    import pandas as pd
    from PIL.Image import Image

    from nowcast.field.grid import Grid
    from nowcast.field.schema import Forecast

_MINUTE = np.timedelta64(1, "m")
_SCORES = "scores.csv"


@xr.register_dataset_accessor("nowcast")  # type: ignore[no-untyped-call]
class NowcastAccessor:
    """What a forecast says, of a Dataset that ``xr.open_dataset`` or ``read_forecast`` gave.

    Raises SchemaError for a Dataset that is no forecast.
    """

    def __init__(self, dataset: xr.Dataset) -> None:
        self._path = dataset.encoding.get("source")
        self.forecast: Forecast = schema.as_forecast(encoding.decoded(dataset))

    @property
    def method(self) -> str:
        """The method that answered: ``mim``."""
        from nowcast.products.captions import method_of  # noqa: PLC0415

        return method_of(self.forecast)

    @property
    def degraded_reason(self) -> str:
        """Why it was not the best method or the whole history; empty where it was."""
        return str(self.forecast.attrs.get("degraded_reason", ""))

    @property
    def issued(self) -> np.datetime64:
        """The time (UTC) of the newest frame used."""
        from nowcast.products.captions import issued_at  # noqa: PLC0415

        return issued_at(self.forecast)

    @property
    def lead_minutes(self) -> list[float]:
        """The lead times."""
        return [float(lead / _MINUTE) for lead in self.forecast["lead_time"].values]

    @cached_property
    def grid(self) -> Grid:
        """Where the cells lie."""
        return schema.grid_of(self.forecast)

    def exceedance(self, threshold_mm_h: float) -> xr.DataArray:
        """The probability (lead_time, y, x) that the rate reaches a threshold.

        The forecast's own where it gives one for this threshold, else the part of its members that
        reach it, else the rate's yes or no as 1 or 0; the attribute ``comment`` says which. NaN
        where nothing can be said.
        """
        from nowcast.products.probabilities import threshold_index  # noqa: PLC0415

        level = event.level(threshold_mm_h)
        if "probability_of_exceedance" in self.forecast:
            try:
                place = threshold_index(self.forecast, threshold_mm_h)
            except UsageError:
                if "rainfall_rate_member" not in self.forecast:
                    raise
            else:
                said = self.forecast["probability_of_exceedance"].isel(threshold=place)
                return _described(said, threshold_mm_h, "probability of the method")
        if "rainfall_rate_member" in self.forecast:
            members = self.forecast["rainfall_rate_member"]
            known = members.notnull().all("realization")
            share = (members >= level).mean("realization").where(known)
            return _described(share, threshold_mm_h, "part of the members")
        rate = self.forecast["rainfall_rate"]
        yes = (rate >= level).where(rate.notnull()).astype("float32")
        return _described(yes, threshold_mm_h, "yes or no of a method without probabilities")

    def point(self, *, lon: float, lat: float) -> pd.DataFrame:
        """The rain timeline of a place, a row a lead: rate, and what is known of its chances.

        Columns: time (UTC), rainfall_rate (mm/h), and where the forecast gives chances p10, p50 and
        p90 (mm/h) and ``p(>= 1 mm/h)`` for each threshold. Raises UsageError outside the grid.
        """
        import pandas as pd  # noqa: PLC0415

        from nowcast.products.timelines import timelines  # noqa: PLC0415
        from stations.station import Station  # noqa: PLC0415

        if self.grid.cell(lon=lon, lat=lat) is None:
            raise UsageError(f"lon {lon:g}, lat {lat:g} lies outside the grid: {self.grid}")
        place = timelines(self.forecast, [Station("here", lon=lon, lat=lat)]).isel(station=0)
        columns: dict[str, Any] = {
            "time": self.issued + self.forecast["lead_time"].values,
            "rainfall_rate": place["rainfall_rate"].values,
        }
        if "rainfall_rate_quantile" in place:
            for quantile in place["quantile"].values:
                band = place["rainfall_rate_quantile"].sel(quantile=quantile)
                columns[f"p{100 * quantile:.0f}"] = band.values
            for level in place["threshold"].values:
                chance = place["probability_of_exceedance"].sel(threshold=level)
                columns[f"p(>= {level:g} mm/h)"] = chance.values
        return pd.DataFrame(columns, index=pd.Index(self.lead_minutes, name="lead_minutes"))

    def plot(
        self, lead_minutes: float | None = None, *, threshold_mm_h: float | None = None
    ) -> Image:
        """The map of a lead (the first for None), which a notebook shows.

        With a threshold it is that of its probability. Raises UsageError for a lead or threshold
        that the forecast does not hold.
        """
        from nowcast.products.comparison import lead_index, spans  # noqa: PLC0415
        from nowcast.products.render import draw_map, draw_probability  # noqa: PLC0415

        lead = 0
        if lead_minutes is not None:
            lead = lead_index(self.forecast, spans([lead_minutes])[0])
        if threshold_mm_h is None:
            return draw_map(self.forecast, lead=lead)
        return draw_probability(self.forecast, lead=lead, threshold_mm_h=threshold_mm_h)

    def score(self, observed: xr.DataArray) -> pd.DataFrame:
        """All scores against observed rates (time, y, x) in mm/h, a row a score and lead.

        Raises MissingFramesError where no valid time was observed, GridMismatchError.
        """
        from nowcast.verify.scoring import verify_forecast  # noqa: PLC0415
        from nowcast.verify.table import score_table  # noqa: PLC0415

        return score_table([verify_forecast(self.forecast, observed).named(self.method)])

    def html(self, *, scores: pd.DataFrame | None = None) -> str:
        """Maps and facts as HTML, with the method's scores where a table of them is given.

        Without one, the ``scores.csv`` is taken that a hindcast leaves beside its forecasts.
        """
        from nowcast.products.html_view import forecast_html  # noqa: PLC0415

        table = self._scores_beside() if scores is None else scores
        return forecast_html(self.forecast, scores=table)

    def _repr_html_(self) -> str:
        return self.html()

    def _scores_beside(self) -> pd.DataFrame | None:
        """The scores in the folder of the file, or in that above, of its method; None without."""
        from nowcast.verify.table import read_csv  # noqa: PLC0415

        for folder in Path(self._path).parents[:2] if self._path else ():
            if (folder / _SCORES).is_file():
                try:
                    table = read_csv(folder / _SCORES)
                except FormatError:  # of another program: a view does not fail for it
                    return None
                known = "cycles" in table.columns and (table["method"] == self.method).any()
                return table if known else None
        return None


def load_ipython_extension(shell: Any) -> None:
    """``%load_ext nowcast.notebook``: a forecast at the end of a cell is shown as maps."""
    formatter = shell.display_formatter.formatters["text/html"]
    formatter.for_type(xr.Dataset, dataset_html)


def unload_ipython_extension(shell: Any) -> None:
    """``%unload_ext nowcast.notebook``: Datasets are shown as xarray shows them."""
    shell.display_formatter.formatters["text/html"].pop(xr.Dataset, None)


def dataset_html(dataset: xr.Dataset) -> str:
    """A Dataset as HTML: a forecast as maps and facts above xarray's view, others as by xarray."""
    usual: str = dataset._repr_html_()
    try:
        return NowcastAccessor(dataset).html() + usual
    except SchemaError:
        return usual


def _described(chance: xr.DataArray, threshold_mm_h: float, comment: str) -> xr.DataArray:
    """A probability that says of what it is and where it comes from."""
    named = chance.rename("probability_of_exceedance")
    named.attrs = {
        "long_name": f"probability of at least {threshold_mm_h:g} mm h-1",
        "units": "1",
        "comment": comment,
    }
    return named
