"""How good the forecasts were, for the page: of a service's sums, or a hindcast's tables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from nowcast.field.errors import MissingFramesError
from nowcast.service.skill.report import read_skill

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

    from nowcast.service.skill.store import SkillStore

_SCORES = ("csi", "fss", "mae", "brier", "frequency_bias")
_RELIABILITY = ("method", "lead_minutes", "threshold_mm_h", "n", "mean_probability")
_DIGITS = 4


class SkillSource(Protocol):
    """Where scores come from."""

    def facts(self) -> dict[str, Any]:
        """``about`` in words, and the rows of ``scores`` and ``reliability``; empty for none."""
        ...


@dataclass(frozen=True)
class NoSkill:
    """No scores beside these forecasts."""

    def facts(self) -> dict[str, Any]:
        """Nothing, and how to get some."""
        return _facts("Nothing has been scored here: a lead is scored when its frame has come.")


@dataclass(frozen=True)
class ServiceSkill:
    """The sums that a service keeps, of the last hours of what was scored."""

    store: SkillStore
    hours: float = 24.0

    def facts(self) -> dict[str, Any]:
        """The scores, of the hours before the newest scored forecast."""
        newest = self.store.latest()
        if newest is None:
            return NoSkill().facts()
        report = read_skill(self.store, now=newest, hours=self.hours)
        try:
            scores, reliability = report.scores(), report.reliability()
        except MissingFramesError:
            return NoSkill().facts()
        until = np.datetime_as_string(newest, unit="m")
        about = f"Forecasts issued in the {self.hours:g} h up to {until}Z, all on the same pixels."
        return _facts(about, scores, reliability)


@dataclass(frozen=True)
class HindcastSkill:
    """``scores.csv`` and ``reliability.csv`` as ``nowcast hindcast`` and ``verify`` write them."""

    folder: Path

    def facts(self) -> dict[str, Any]:
        """The scores of the whole hindcast."""
        import pandas as pd  # noqa: PLC0415 - heavy

        scores, reliability = self.folder / "scores.csv", self.folder / "reliability.csv"
        if not scores.is_file():
            return NoSkill().facts()
        about = "Scores of the whole hindcast, all methods on the same pixels."
        bins = pd.read_csv(reliability) if reliability.is_file() else None
        return _facts(about, pd.read_csv(scores), bins)


def _facts(
    about: str, scores: pd.DataFrame | None = None, reliability: pd.DataFrame | None = None
) -> dict[str, Any]:
    told: dict[str, Any] = {"about": about, "scores": [], "reliability": []}
    if scores is not None:
        told["scores"] = _rows(scores[scores["score"].isin(_SCORES)])
    if reliability is not None and len(reliability):
        known = reliability[reliability["n"] > 0]
        columns = [*_RELIABILITY, "observed_frequency"]
        told["reliability"] = _rows(known[columns])
    return told


def _rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as JSON has them: NaN is None."""
    return [
        {str(name): _plain(value) for name, value in row.items()}
        for row in table.to_dict(orient="records")
    ]


def _plain(value: Any) -> Any:
    if isinstance(value, str):
        return value
    return round(float(value), _DIGITS) if np.isfinite(value) else None
