"""Writes a verification page: ``index.html``, its pictures, and the table of all scores."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import jinja2
import pandas as pd

from nowcast.field.atomic import make_folder, written_beside
from nowcast.pictures import Gallery
from nowcast.products.captions import is_simulated
from nowcast.products.charts import in_order, some_leads
from nowcast.products.curves import draw_scores
from nowcast.products.description import product_version
from nowcast.products.diagrams import draw_reliability, draw_roc
from nowcast.products.reading import read_forecast
from nowcast.report import tables
from nowcast.report.pairs import mean_table, pair_tables
from nowcast.report.words import joined, pair_words
from nowcast.verify.bootstrap import Resampling
from nowcast.verify.table import rank_table, reliability_table, write_csv
from nowcast.verify.tally import total

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from nowcast.ingest.archive import Archive
    from nowcast.scorecard import Scorecard

DRAWN = ("csi", "fss", "brier", "frequency_bias", "mae", "rmse_db", "crps", "multiplicative_bias")
_FACTS = ("feed", "institution", "licence")


@dataclass(frozen=True)
class Picture:
    """A picture of the page: its file beside it, and what it shows in words."""

    file: str
    words: str


@dataclass(frozen=True)
class Page:
    """A page about forecasts that have been scored.

    Attributes:
        card: their sums.
        files: method -> name of the file -> forecast.
        archive: what was observed, for the spectra.
        resampling: how the intervals are drawn.

    """

    card: Scorecard
    files: Mapping[str, Mapping[str, Path]]
    archive: Archive
    resampling: Resampling = field(default_factory=Resampling)

    def write(self, folder: Path) -> Path:
        """Write the page into ``folder`` and return its path; raises ProductError, SourceError."""
        make_folder(folder)
        cycles = {method: self.card.cycles[method] for method in in_order(list(self.card.cycles))}
        totals = [total(tallies) for tallies in cycles.values()]
        scores = tables.every_score(cycles, resampling=self.resampling)
        write_csv(scores, folder / "scores.csv")
        pairs = pair_tables(cycles, resampling=self.resampling)
        first = totals[0]
        told: dict[str, Any] = {
            "methods": list(cycles),
            "title": f"Verification of {joined(list(cycles))}",
            "facts": self._facts(),
            "sample": tables.sample_words(first),
            "issued": first.issued,
            "unscored": self.card.unscored,
            "glance": tables.glance_table(mean_table(cycles, resampling=self.resampling)),
            "pairs": [
                (
                    pair_words(*pair, compared, cycles=len(first.issued)),
                    tables.pair_table(*pair, compared),
                )
                for pair, compared in pairs.items()
            ],
            "samples": [tables.event_table(first), tables.coverage_table(first)],
            "missing": tables.missing_table(scores),
            "scores": tables.score_tables(scores),
            "resampling": self.resampling,
            "version": product_version(),
        }
        told |= self._pictures(folder, scores, reliability_table(totals), rank_table(totals))
        with written_beside(folder / "index.html") as beside:
            beside.write_text(_template().render(told), encoding="utf-8")
        return folder / "index.html"

    def _pictures(
        self, folder: Path, scores: pd.DataFrame, bins: pd.DataFrame, ranks: pd.DataFrame
    ) -> dict[str, list[Picture]]:
        """The pictures of each section, drawn into ``folder``."""
        gallery = Gallery(folder, suffixes=(".svg",))
        spectra = "Power of the rain rate by wavelength, each method beside the observation."
        ranked = "How often the observation took each rank among the members, by method and lead."
        found = {
            "skill": list(_skill(folder, scores)),
            "diagrams": list(_diagrams(folder, bins)),
            "spectra": [Picture(path.name, spectra) for path in gallery.spectra(self._spoken())],
            "ranks": [],
        }
        if not ranks.empty:
            found["ranks"] = [Picture(path.name, ranked) for path in gallery.ranks(ranks)]
        return found

    def _scored(self) -> list[str]:
        """The names of the files that were scored."""
        names = {name for paths in self.files.values() for name in paths}
        return sorted(names - set(self.card.unscored))

    def _spoken(self) -> Iterator[tuple[dict[str, Any], Any]]:
        """The forecasts of each issue time, and what was observed."""
        for name in self._scored():
            forecasts = {
                method: read_forecast(self.files[method][name])
                for method in in_order(list(self.files))
            }
            yield forecasts, self.archive.observed(next(iter(forecasts.values()))["time"].values)

    def _facts(self) -> dict[str, str]:
        """Whose data, under which licence, and who answered under each method's name."""
        name = self._scored()[0]
        facts: dict[str, str] = {}
        for method in in_order(list(self.files)):
            attrs = read_forecast(self.files[method][name]).attrs
            if not facts:
                facts |= {key: str(attrs.get(key) or "not stated") for key in _FACTS}
                if is_simulated(attrs):
                    facts["simulated"] = "a storm that was made up, not an observation"
            facts[f"method {method}"] = str(attrs["source"])
        return facts


def _skill(folder: Path, scores: pd.DataFrame) -> Iterator[Picture]:
    """A picture a score, threshold and scale: panels that a narrow screen can stack."""
    for name in DRAWN:
        of_score = scores[scores["score"] == name]
        for (threshold, scale), panel in tables.grouped(of_score, "threshold_mm_h", "scale_cells"):
            if panel["value"].isna().all():
                continue
            words = tables.full_name(name, threshold, scale, judged=False)
            marks = [f"{mark:g}" for mark in (threshold, scale) if pd.notna(mark)]
            file = "_".join(["skill", name, *marks]) + ".svg"
            draw_scores(panel, path=folder / file, title=words, scores=(name,))
            yield Picture(file, f"{words} by lead time, a line a method.")


def _diagrams(folder: Path, bins: pd.DataFrame) -> Iterator[Picture]:
    """Reliability and ROC of each threshold that occurred, at two leads."""
    leads = some_leads(bins["lead_minutes"])[1::2] or some_leads(bins["lead_minutes"])
    for threshold, chosen in bins.groupby("threshold_mm_h"):
        if not (chosen["n"] * chosen["observed_frequency"]).sum() > 0:
            continue
        for kind, draw in (("reliability", draw_reliability), ("roc", draw_roc)):
            file = f"{kind}_{threshold:g}.svg"
            draw(chosen, path=folder / file, leads_minutes=leads)
            yield Picture(file, f"{kind} at {threshold:g} mm/h, a line a method.")


def _template() -> jinja2.Template:
    """The page as a template that escapes whatever it is given."""
    return jinja2.Environment(
        loader=jinja2.PackageLoader("nowcast.report", "."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    ).get_template("page.html")
