"""Tables of scores, beside what others published."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pandas as pd

from nowcast.field.atomic import written_beside
from nowcast.verify.sums import ratio

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from config.benchmark import PublishedRow
    from nowcast.benchmark.evaluation import Scored

# Of forecasts cut off at 0 and 1, as the MIM authors count it.
WITHIN = "mse 0..1"
# Scores whose leads are printed; the file has those of all.
_SHOWN_BY_LEAD = ("mse", "csi")


def text(scored: Mapping[str, Scored], *, published: Sequence[PublishedRow]) -> str:
    """The tables for a person: means, leads, and what others published."""
    parts = [means(scored).to_string(float_format=_short)]
    leads = by_lead(scored)
    for score in leads["score"].unique():
        if score.startswith(_SHOWN_BY_LEAD) and score != WITHIN:
            table = leads[leads["score"] == score].pivot_table(
                index="method", columns="lead", values="value", sort=False, dropna=False
            )
            table.index.name = table.columns.name = None
            parts.append(f"{score} by lead\n{table.to_string(float_format=_short)}")
    if published:
        table = published_table(published)
        table.index.name = None
        parts.append(f"published elsewhere\n{table.to_string(na_rep='', float_format=_short)}")
    return "\n\n".join(parts)


def plain(scored: Mapping[str, Scored], *, published: Sequence[PublishedRow]) -> dict[str, object]:
    """The same for a program, as values that JSON holds; None for what is not a number."""
    return {
        "means": _records(means(scored).rename_axis("method").reset_index()),
        "by_lead": _records(by_lead(scored)),
        "published": [row.model_dump() for row in published],
    }


def by_lead(scored: Mapping[str, Scored]) -> pd.DataFrame:
    """A row a method, lead and score: ``method, lead, score, value``; leads count from 1."""
    rows = [
        {"method": method, "lead": lead, "score": name, "value": value}
        for method, of in scored.items()
        for name, values in _values(of).items()
        for lead, value in enumerate(values, start=1)
    ]
    return pd.DataFrame(rows)


def means(scored: Mapping[str, Scored]) -> pd.DataFrame:
    """A row a method, a column a score: means over the leads; CSI of all leads together."""
    rows = {}
    for method, of in scored.items():
        row = {name: sum(values) / len(values) for name, values in _values(of).items()}
        for event, table in of.events.items():
            hits, missed = table.hits.sum(), table.misses.sum() + table.false_alarms.sum()
            row[f"csi {event}"] = float(ratio(hits, hits + missed))
        rows[method] = row
    return pd.DataFrame(rows).T


def published_table(rows: Sequence[PublishedRow]) -> pd.DataFrame:
    """A row a published method, with how it is known; NaN where the source does not say."""
    return pd.DataFrame(
        {
            "method": [f"{row.method} ({row.source})" for row in rows],
            **{
                name: pd.array([getattr(row, name) for row in rows], dtype="Float64")
                for name in ("mse", "mae", "ssim", "psnr")
            },
            "known": [row.known for row in rows],
            "note": [_note(row) for row in rows],
        }
    ).set_index("method")


def write(scored: Mapping[str, Scored], path: Path) -> Path:
    """The scores by lead as CSV; raises ProductError where it cannot be written."""
    with written_beside(path) as beside:
        by_lead(scored).to_csv(beside, index=False, float_format="%.6g")
    return path


def _values(of: Scored) -> dict[str, list[float]]:
    values = {
        "mse": of.frames.mse_per_frame,
        WITHIN: of.within.mse_per_frame,
        "mae": of.frames.mae_per_frame,
        "ssim": of.frames.ssim_per_frame,
        "psnr": of.frames.psnr_per_frame,
    }
    events = {f"csi {event}": table.csi.tolist() for event, table in of.events.items()}
    return {name: found.tolist() for name, found in values.items()} | events


def _note(row: PublishedRow) -> str:
    frames = " ".join(f"{value:g}" for value in row.mse_per_frame)
    return "; ".join(part for part in (row.note, frames and f"MSE by frame {frames}") if part)


def _short(value: float) -> str:
    return f"{value:.4g}"


def _records(table: pd.DataFrame) -> list[dict[str, object]]:
    records = table.to_dict(orient="records")
    return [
        {
            str(name): None if isinstance(value, float) and not math.isfinite(value) else value
            for name, value in record.items()
        }
        for record in records
    ]
