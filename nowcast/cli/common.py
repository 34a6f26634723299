"""Options that several commands share, and how they report."""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from config import nearest

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence

    import pandas as pd

Word = TypeVar("Word", bound=str)
Feed = Annotated[str, typer.Option("--feed", help="The radar feed; see: nowcast feeds.")]
ArchiveFolder = Annotated[
    Path, typer.Option("--archive", help="Folder of radar files, at any depth.", show_default=False)
]
Series = Annotated[
    str | None,
    typer.Option(help="Which of several series in the folder (radar, zone, grid)."),
]
Out = Annotated[Path, typer.Option("--out", help="Folder to write into.", show_default=False)]
Leads = Annotated[int, typer.Option(min=1, max=288, help="Time steps to forecast.")]
Weights = Annotated[
    Path | None, typer.Option(help="Weights of MIM (.safetensors) instead of those that ship.")
]
Device = Annotated[str, typer.Option(help="Where torch computes: cpu or cuda.")]
Members = Annotated[
    int | None,
    typer.Option(min=1, help="Members of an ensemble: of MIM where asked for, of STEPS 20."),
]
Seed = Annotated[int, typer.Option(help="Seed of what is drawn at random.")]
Probabilities = Annotated[bool, typer.Option(help="Write MIM's probabilities of exceedance too.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")]


def say(text: str) -> None:
    """A message for a person, on standard error: standard output is for results."""
    typer.echo(text, err=True)


def print_json(value: Any) -> None:
    """A result for a program."""
    typer.echo(json.dumps(value, indent=2, default=str))


def print_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A result for a person, in columns as wide as the terminal allows."""
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for heading in headings:
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*row)
    Console().print(table)


def records(table: pd.DataFrame) -> list[dict[Hashable, Any]]:
    """The rows of a table for JSON, which knows no NaN: null in its place."""
    return table.astype(object).where(table.notna(), None).to_dict(orient="records")


def choice(text: str, *, known: Sequence[Word], option: str) -> Word:
    """The word that ``text`` is; raises UsageError for an unknown one."""
    from nowcast.field.errors import UsageError

    for word in known:
        if word == text.strip():
            return word
    near = nearest.near(text, known=known)
    hint = f" Did you mean {near}?" if near else ""
    raise UsageError(f"{option} {text.strip()}: expected one of {', '.join(known)}.{hint}")


def choices(text: str | None, *, known: Sequence[Word], option: str) -> list[Word]:
    """The words of ``text`` between commas, none for None; raises UsageError for an unknown one."""
    words = (text or "").split(",")
    return [choice(word, known=known, option=option) for word in words if word.strip()]


def numbers(text: str | None, *, option: str) -> list[float]:
    """The numbers of ``text`` between commas, none for None; raises UsageError for other words."""
    from nowcast.field.errors import UsageError

    try:
        return [float(word) for word in (text or "").split(",") if word.strip()]
    except ValueError as error:
        raise UsageError(f"{option} {text}: expected numbers separated by commas") from error


@contextlib.contextmanager
def progress(title: str, total: int) -> Iterator[Callable[[str], None]]:
    """A bar on standard error for ``total`` pieces of work; call the result after each.

    Without a terminal nothing is drawn.
    """
    if total < 2 or not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(title, total=total)

        def advance(what: str) -> None:
            bar.update(task, advance=1, description=f"{title} {what}".rstrip())

        yield advance
