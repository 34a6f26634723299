"""What a verification page says in sentences."""

from __future__ import annotations

import pandas as pd

from nowcast.report.pairs import BETTER, UNRESOLVED, UNSCORED, WORSE
from nowcast.report.tables import grouped, score_name
from nowcast.verify.interval_table import FEWEST_CYCLES

_CONJUNCTION = " and "


def pair_words(first: str, second: str, compared: pd.DataFrame, *, cycles: int) -> str:
    """One paragraph: by which scores a method is better than another, worse, or neither."""
    if cycles < FEWEST_CYCLES:
        return (
            f"{first} against {second}: not resolved. There are {cycles} forecasts, and of fewer "
            f"than {FEWEST_CYCLES} no interval is drawn: the differences below tell of these cases "
            "alone."
        )
    held = {
        word: compared[compared["verdict"] == word]
        for word in (BETTER, WORSE, UNRESOLVED, UNSCORED)
    }
    sentences = [
        f"{first} against {second}, mean over the leads of {len(compared)} scores: "
        f"better by {_listed(held[BETTER])}; worse by {_listed(held[WORSE])}; "
        f"not resolved by {_listed(held[UNRESOLVED])}."
    ]
    if len(held[UNSCORED]):
        sentences.append(f"Not scored: {_listed(held[UNSCORED])}.")
    return " ".join(sentences)


def _listed(rows: pd.DataFrame) -> str:
    """``20 (MAE; CSI at 0.1, 0.5 and 1 mm/h)``, or ``none``."""
    if rows.empty:
        return "none"
    names = []
    for (score, scale), of_score in grouped(rows, "score", "scale_cells"):
        words = score_name(str(score))
        if pd.notna(scale):
            words += f" in {scale:g} cells"
        thresholds = [f"{value:g}" for value in of_score["threshold_mm_h"].dropna()]
        if thresholds:
            words += f" at {joined(thresholds)} mm/h"
        names.append(words)
    return f"{len(rows)} ({'; '.join(names)})"


def joined(words: list[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    return _CONJUNCTION.join(filter(None, (", ".join(words[:-1]), *words[-1:])))
