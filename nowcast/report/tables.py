"""The tables of a verification page, as words: numbers to four digits, a dash where none is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from nowcast.products.charts import number
from nowcast.report.pairs import BETTER, BIASES, JUDGED, UNRESOLVED, WORSE, lean
from nowcast.verify.interval_table import interval_table
from nowcast.verify.scores import SCORES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from nowcast.report.pairs import Cycles
    from nowcast.verify.bootstrap import Resampling
    from nowcast.verify.tally import Tally

NONE = "-"
_SPELT = {
    "rmse_db": "RMSE in dB",
    "brier": "Brier score",
    "fair_brier": "fair Brier score",
    "fair_crps": "fair CRPS",
    "roc_area": "ROC area",
    "best_csi": "best CSI",
}


@dataclass(frozen=True)
class Table:
    """A table of words.

    Attributes:
        caption: what it shows.
        columns: their names.
        rows: a word a column.
        labels: how many columns at the left say what a row is of.
        groups: names above columns and how many each spans, after those of the labels.
        anchor: a name that links lead to.

    """

    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    labels: int = 1
    groups: Sequence[tuple[str, int]] = ()
    anchor: str = ""


def every_score(cycles: Cycles, *, resampling: Resampling | None = None) -> pd.DataFrame:
    """The rows of ``verify.table.score_table`` for all scores, with columns ``low`` and ``high``.

    Low and high are NaN for fewer than 8 forecasts.
    """
    parts = []
    for statistic in dict.fromkeys(score.statistic for score in SCORES.values()):
        held = lean(cycles, statistic)
        names = [name for name, score in SCORES.items() if score.statistic == statistic]
        if held:
            parts.append(interval_table(held, scores=names, resampling=resampling))
    return pd.concat(parts, ignore_index=True)


def score_tables(scores: pd.DataFrame) -> list[Table]:
    """A table a score: a row a threshold, scale and lead; value, low and high of each method."""
    tables = []
    for name, of_score in scores.groupby("score", sort=False):
        score = SCORES[str(name)]
        methods = list(of_score["method"].drop_duplicates())
        axes = _axes(of_score)
        unit = "" if score.units == "1" else f", {score.units}"
        rows = [
            [
                *(f"{part:g}" for part in place),
                *(word for method in methods for word in _estimate(at_place, method)),
                str(int(at_place["n"].max())),
            ]
            for place, at_place in of_score.groupby(axes)
        ]
        tables.append(
            Table(
                caption=f"{score_name(str(name))}: {score.long_name}{unit}",
                columns=[
                    *(_AXIS_NAMES[axis] for axis in axes),
                    *(("value", "low", "high") * len(methods)),
                    "sample",
                ],
                rows=rows,
                labels=len(axes),
                groups=[*((method, 3) for method in methods), ("", 1)],
                anchor=f"score-{name}",
            )
        )
    return tables


_AXIS_NAMES = {
    "threshold_mm_h": "threshold, mm/h",
    "scale_cells": "window, cells",
    "lead_minutes": "lead, min",
}


def glance_table(means: pd.DataFrame) -> Table:
    """The judged scores of all methods, averaged over leads; ``means`` is ``pairs.mean_table``."""
    methods = list(means["method"].drop_duplicates())
    rows = []
    for labels, of_score in grouped(means, *_AXES):
        name = str(labels[0])
        words = [full_name(*labels), "more" if JUDGED[name] > 0 else "less"]
        for method in methods:
            estimate = _estimate(of_score, method)
            words.append(with_interval(*estimate))
        rows.append(words)
    return Table(
        "Mean over the leads, and its interval", ["score", "better is", *methods], rows, labels=1
    )


def pair_table(first: str, second: str, compared: pd.DataFrame) -> Table:
    """How one method does against another, a row a score."""
    rows = [
        [
            full_name(*(row[name] for name in _AXES)),
            *(shown(row[name]) for name in ("first", "second")),
            with_interval(*(shown(row[name]) for name in ("difference", "low", "high"))),
            row["verdict"],
            " / ".join(str(row[word]) for word in (BETTER, WORSE, UNRESOLVED)),
        ]
        for row in compared.to_dict(orient="records")
    ]
    columns = ["score", first, second, "difference", f"{first} is"]
    return Table(
        f"{first} against {second}: mean over the leads, and how many leads are resolved",
        [*columns, "leads better / worse / not resolved"],
        rows,
    )


def coverage_table(tally: Tally) -> Table:
    """What each lead rests on: forecasts and pixels, the same for all methods."""
    coverage = tally.coverage
    rows = [
        [
            f"{lead:g}",
            *(f"{count[k]:.0f}" for count in (coverage.cycles, coverage.counted)),
            f"{tally.errors.n[k]:.0f}",
        ]
        for k, lead in enumerate(tally.lead_minutes)
    ]
    return Table(
        "Forecasts and pixels that count, by lead",
        ["lead, min", "forecasts", "pixels", "pixels with a rate"],
        rows,
    )


def event_table(tally: Tally) -> Table:
    """How many pixels were observed to reach each threshold, by lead."""
    happened = tally.contingency.hits + tally.contingency.misses
    rows = [
        [f"{lead:g}", *(f"{count:.0f}" for count in row)]
        for lead, row in zip(tally.lead_minutes, happened, strict=True)
    ]
    rows.append(["all", *(f"{count:.0f}" for count in happened.sum(axis=0))])
    thresholds = [f"≥ {threshold:g} mm/h" for threshold in tally.thresholds_mm_h]
    return Table(
        "Observed events (pixels), by threshold and lead", ["lead, min", *thresholds], rows
    )


def missing_table(scores: pd.DataFrame) -> Table:
    """Which scores have no value, where, and why."""
    absent = scores[scores["value"].isna()]
    rows = []
    for labels, of_score in grouped(absent, *_AXES, "method"):
        for why, at in of_score.groupby(np.where(of_score["n"] > 0, _UNDEFINED, _NOTHING)):
            leads = ", ".join(f"{lead:g}" for lead in at["lead_minutes"])
            rows.append([full_name(*labels[:3], judged=False), str(labels[3]), leads, str(why)])
    return Table("Scores without a value", ["score", "method", "leads, min", "why"], rows)


_NOTHING = "nothing to count: no frame, no pixel, or no ensemble"
_UNDEFINED = "undefined: a ratio to 0 (neither said nor observed, or the same everywhere)"
_AXES = ("score", "threshold_mm_h", "scale_cells")


def grouped(table: pd.DataFrame, *keys: str) -> Iterator[tuple[tuple[Any, ...], pd.DataFrame]]:
    """The rows of each combination of two keys or more, as they come; NaN is a key too."""
    for labels, rows in table.groupby(list(keys), sort=False, dropna=False):
        yield tuple(labels), rows


def score_name(name: str) -> str:
    """A score as people write it: ``CSI``, ``Brier score``, ``frequency bias``."""
    return _SPELT.get(name) or (name.upper() if len(name) <= 4 else name.replace("_", " "))


def full_name(
    name: str, threshold: float | None, scale: float | None, *, judged: bool = True
) -> str:
    """A score with its threshold and scale, and where it is ``judged`` otherwise than told, how."""
    words = [score_name(name)]
    if judged and name in BIASES:
        words = [f"|ln {words[0]}|"]
    if pd.notna(threshold):
        words.append(f"≥ {threshold:g} mm/h")
    if pd.notna(scale):
        words.append(f"in {scale:g} cells")
    return " ".join(words)


def shown(value: float) -> str:
    """A number to four digits, a dash for NaN."""
    return f"{value:.4g}" if np.isfinite(value) else NONE


def with_interval(value: str, low: str, high: str) -> str:
    """A number and where it would lie with other cycles: ``0.51 (0.48 to 0.55)``."""
    return value if low == NONE else f"{value} ({low} to {high})"


def sample_words(tally: Tally) -> str:
    """The sample in a few words."""
    pixels = number(tally.coverage.counted.sum())
    return f"{len(tally.issued)} forecasts of each method, {pixels} pixels over all leads"


def _axes(of_score: pd.DataFrame) -> list[str]:
    """The columns that tell the rows of one score apart, besides the method."""
    return [axis for axis in _AXIS_NAMES if of_score[axis].notna().any()]


def _estimate(rows: pd.DataFrame, method: str) -> tuple[str, str, str]:
    """Value, low and high of one method as words."""
    of_method = rows[rows["method"] == method]
    if of_method.empty:
        return NONE, NONE, NONE
    value, low, high = (shown(float(of_method[name].iloc[0])) for name in ("value", "low", "high"))
    return value, low, high
