"""How training went: loss and validation over the time spent, one line a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nowcast.benchmark.log import TrainingLog
from nowcast.field.errors import UsageError
from nowcast.products.charts import quieten, save

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

_POINTS = 60  # means that a curve of losses is drawn through


def draw_curves(logs: Mapping[str, Path], *, title: str, path: Path) -> Path:
    """The logs of some runs, by name, as PNG or SVG.

    The losses, on the left, are each run's own and compare only where the recipe's loss is the
    same; the errors on validation sequences, on the right, always compare. Raises UsageError for a
    log without losses, ProductError where it cannot be written.
    """
    from matplotlib.figure import Figure  # noqa: PLC0415

    figure = Figure(figsize=(9, 3.6), layout="constrained")
    losses, scores = figure.subplots(1, 2)
    for name, log in logs.items():
        records = TrainingLog.read(log).records
        minutes, loss = _series(records, "loss")
        if not len(loss):
            raise UsageError(f"{log}: holds no losses, expected the log of a training run")
        losses.plot(*_thinned(minutes, loss), label=name)
        scores.plot(*_series(records, "score"), marker="o", markersize=3, label=name)
    for axes, what in ((losses, "training loss"), (scores, "MSE a frame, validation")):
        quieten(axes)
        axes.set(xlabel="minutes", ylabel=what, yscale="log")
    losses.legend(frameon=False, fontsize=8)
    figure.suptitle(title)
    return save(figure, path)


def _series(
    records: list[dict[str, float]], kind: str
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    chosen = [record for record in records if kind in record]
    minutes = np.array([record["seconds"] / 60 for record in chosen])
    return minutes, np.array([record[kind] for record in chosen])


def _thinned(
    minutes: NDArray[np.float64], values: NDArray[np.float64]
) -> tuple[list[float], list[float]]:
    """Means of so many parts of a curve that it can be read."""
    parts = np.array_split(np.arange(len(values)), min(_POINTS, len(values)))
    return [float(minutes[part].mean()) for part in parts], [
        float(values[part].mean()) for part in parts
    ]
