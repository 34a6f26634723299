"""``nowcast skill``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nowcast.cli.common import AsJson, print_json, records, say

if TYPE_CHECKING:
    import pandas as pd

_SHOWN = ("csi", "fss", "mae", "frequency_bias", "brier")


def add_to(app: typer.Typer) -> None:
    """Join the command to the program."""
    app.command()(skill)


def skill(
    config: Annotated[
        Path | None, typer.Option("--config", help="Settings of the service (TOML).")
    ] = None,
    data: Annotated[
        Path | None, typer.Option("--data", help="The service's folder, in place of --config.")
    ] = None,
    hours: Annotated[
        float, typer.Option(min=0.1, help="Forecasts issued in the last so many hours.")
    ] = 24.0,
    as_json: AsJson = False,
) -> None:
    """Say how good the forecasts of the last hours were, beside persistence and extrapolation.

    All methods are scored on the same issue times, leads and pixels. The hours end with the newest
    forecast of which something has been scored.

    Example:

        nowcast skill --config service.toml

        nowcast skill --data nowcast-data --hours 6 --json
    """
    from nowcast.build_operators import store_of
    from nowcast.field.errors import MissingFramesError, UsageError
    from nowcast.service.skill.preference import preferred
    from nowcast.service.skill.report import read_skill

    if (config is None) == (data is None):
        raise UsageError("give --config FILE or --data DIR, and not both")
    store = store_of(_folder(config) if config is not None else data or Path())
    newest = store.latest()
    if newest is None:
        raise MissingFramesError(
            f"{store.path}: nothing has been scored yet: a lead is scored when its frame has come"
        )
    report, choice = read_skill(store, now=newest, hours=hours), preferred(store)
    scores = report.scores()
    if as_json:
        print_json(
            {
                "from": f"{report.start}Z",
                "to": f"{report.stop}Z",
                "preferred": choice.method,
                "why": choice.reason,
                "scores": records(scores),
                "reliability": records(report.reliability()),
            }
        )
        return
    say(f"forecasts issued from {report.start}Z to {report.stop}Z; in brackets: 95 % intervals")
    if choice.method:
        say(f"published is {choice.method}: {choice.reason}")
    typer.echo(_table(scores).to_string())


def _folder(config: Path) -> Path:
    from nowcast.build_service import settings

    return settings(config).service.data


def _table(scores: pd.DataFrame) -> pd.DataFrame:
    """A row a score, threshold and lead, a column a method."""
    shown = scores[scores["score"].isin(_SHOWN)].copy()
    shown["cell"] = [
        f"{value:.3f} [{low:.3f} {high:.3f}]" if low == low else f"{value:.3f}"  # noqa: PLR0124
        for value, low, high in zip(shown["value"], shown["low"], shown["high"], strict=True)
    ]
    keys = ["score", "threshold_mm_h", "scale_cells", "lead_minutes"]
    filled = shown.fillna({"threshold_mm_h": -1.0, "scale_cells": -1})
    wide = filled.pivot_table(index=keys, columns="method", values="cell", aggfunc="first")
    wide["cycles"] = filled.groupby(keys)["cycles"].max()
    wide["pixels"] = filled.groupby(keys)["n"].max()
    names = [
        tuple("" if part == -1 else part for part in key) for key in wide.index.to_flat_index()
    ]
    import pandas as pd

    wide.index = pd.MultiIndex.from_tuples(names, names=["score", "mm/h", "cells", "lead min"])
    return wide
