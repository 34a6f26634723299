"""What our charts share: a look for each method, quiet axes, one legend, PNG or SVG."""

from __future__ import annotations

from dataclasses import dataclass
from textwrap import wrap
from typing import TYPE_CHECKING, Any

import numpy as np

from nowcast.field.atomic import written_beside
from nowcast.field.errors import UsageError
from nowcast.products import style as look

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import ArrayLike

KINDS = (".png", ".svg")
# Okabe and Ito (2008), https://jfly.uni-koeln.de/color, without yellow and black.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
_MARKERS = ("o", "s", "^", "D", "v", "P")
# A method looks the same in every chart; others take what is left.
_KNOWN = ("mim", "extrapolation", "sprog", "steps", "persistence", "anvil")
_LEADS_SHOWN = 4


@dataclass(frozen=True)
class Line:
    """The look of one method: colour, marker and dashes each tell it from the others."""

    colour: str
    marker: str
    dashes: str

    def settings(self) -> dict[str, Any]:
        """As matplotlib's ``plot`` takes it."""
        return {
            "color": self.colour,
            "marker": self.marker,
            "linestyle": self.dashes,
            "markersize": 3.5,
            "linewidth": 1.4,
        }


def lines_of(methods: Sequence[str]) -> dict[str, Line]:
    """A look for each method, that of a known one always the same."""
    known = {method: _KNOWN.index(method) for method in methods if method in _KNOWN}
    free = [place for place in range(len(_KNOWN)) if place not in known.values()] or [0]
    found: dict[str, Line] = {}
    others = 0
    for method in methods:
        place = known.get(method, free[others % len(free)])
        others += method not in known
        found[method] = Line(_COLOURS[place], _MARKERS[place], "-" if method in known else "--")
    return found


def in_order(methods: Sequence[str]) -> list[str]:
    """Methods as charts list them: MIM and its rivals, then the others by name."""
    known = [method for method in _KNOWN if method in methods]
    return known + sorted(method for method in methods if method not in _KNOWN)


def some_leads(minutes: ArrayLike) -> list[float]:
    """At most four of the leads, evenly spread, the last among them."""
    leads = np.unique(np.asarray(minutes, dtype=float))
    parts = np.arange(1, _LEADS_SHOWN + 1) / _LEADS_SHOWN
    chosen = sorted({round(part * leads.size) for part in parts} - {0})
    return [float(leads[count - 1]) for count in chosen]


def require_columns(table: pd.DataFrame, columns: Sequence[str], *, what: str) -> None:
    """Refuse a table that is empty or lacks a column, with UsageError."""
    missing = [name for name in columns if name not in table.columns]
    if missing or table.empty:
        raise UsageError(
            f"{what} of {len(table)} rows without {', '.join(missing) or 'content'}, "
            f"expected columns {', '.join(columns)}"
        )


def require_kind(path: Path) -> None:
    """Refuse a picture that is neither PNG nor SVG, with UsageError."""
    if path.suffix not in KINDS:
        raise UsageError(f"{path}: pictures of kind {path.suffix!r}, expected .png or .svg")


def counted(numbers: ArrayLike) -> str:
    """Sample sizes in few letters: ``n 950``, ``n 1.2 M``, ``n 1.1 M to 1.3 M``."""
    sizes = np.asarray(numbers, dtype=float)
    if not sizes.size:
        return "n 0"
    least, most = number(sizes.min()), number(sizes.max())
    return f"n {least}" if least == most else f"n {least} to {most}"


def number(size: float) -> str:
    """A large number in few letters: ``950``, ``1.2 M``."""
    for unit, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if size >= 0.9995 * unit:
            return f"{size / unit:.3g} {letter}"
    return f"{size:.0f}"


def quieten(axes: Axes) -> None:
    """Small figures, a pale grid behind the lines, no frame above and at the right."""
    axes.tick_params(labelsize=7.5)
    axes.grid(color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def put_legend(figure: Figure, axes: Axes, *, note: str = "") -> None:
    """The legend of one axes below all of them, headed by a note."""
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(
        handles,
        labels,
        loc="outside lower center",
        ncols=min(len(labels), 6) or 1,
        frameon=False,
        fontsize=8.5,
        title=_folded(note, inches=figure.get_figwidth()),
        title_fontproperties={"size": 7},
    )


def _folded(note: str, *, inches: float) -> str:
    """The note in as many lines as the picture's width needs."""
    return "\n".join(wrap(note, max(int(inches * 17), 20)))


def put_title(figure: Figure, title: str) -> None:
    """The title above all axes."""
    figure.suptitle(title, fontsize=12, weight="bold", color=look.INK)


def save(figure: Figure, path: Path) -> Path:
    """Write the picture, PNG or SVG by its suffix; the same figure gives the same bytes.

    Raises UsageError for another suffix, ProductError where it cannot be written.
    """
    import matplotlib as mpl  # noqa: PLC0415

    require_kind(path)
    kind = path.suffix[1:]
    # Without these two an SVG would differ from run to run.
    metadata = {"Date": None} if kind == "svg" else {}
    with written_beside(path) as beside, mpl.rc_context({"svg.hashsalt": "nowcast"}):
        figure.savefig(beside, format=kind, dpi=look.DPI, metadata=metadata)
    return path
