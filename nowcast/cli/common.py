"""Options that several commands share, and how they report."""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

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
Members = Annotated[int, typer.Option(min=1, help="Members of an ensemble method.")]
Seed = Annotated[int, typer.Option(help="Seed of what is drawn at random.")]
Probabilities = Annotated[bool, typer.Option(help="Write MIM's probabilities of exceedance too.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")]


def say(text: str) -> None:
    """A message for a person, on standard error: standard output is for results."""
    typer.echo(text, err=True)


def print_json(value: Any) -> None:
    """A result for a program."""
    typer.echo(json.dumps(value, indent=2, default=str))


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
