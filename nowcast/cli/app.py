"""The program: its commands, and what a user sees when something goes wrong."""

from __future__ import annotations

import sys
from importlib import metadata
from typing import Annotated

import typer

from nowcast.cli import (
    benchmark,
    demo,
    doctor,
    feeds,
    fetch,
    forecast,
    gauges,
    learn,
    pictures,
    points,
    scores,
    serve,
    skill,
    view,
)
from nowcast.field.errors import NowcastError
from nowcast.large_blocks import keep_large_blocks

# Commands that work on large tensors.
HEAVY = {"run", "hindcast", "train", "demo", "verify", "decide", "benchmark"}
EPILOGUE = (
    "Exit codes: 0 done, 1 failed, 2 wrong use, 65 unusable data, 66 missing frames, "
    "69 no method could answer, 73 cannot write, 75 done by another process already, "
    "76 not to be fetched, 77 not to be asked, 78 unusable weights, 130 interrupted."
)

app = typer.Typer(
    name="nowcast",
    help="Radar nowcasting with MIM: raw radar files in; CF NetCDF, maps and scores out.",
    epilog=EPILOGUE,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
groups = (
    feeds,
    fetch,
    forecast,
    scores,
    gauges,
    pictures,
    points,
    learn,
    doctor,
    demo,
    serve,
    skill,
    view,
    benchmark,
)
for group in groups:
    group.add_to(app)


def _print_version(wanted: bool) -> None:  # noqa: FBT001 - typer's callback
    if wanted:
        typer.echo(f"nowcast {metadata.version('mim-nowcast')}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run the program; a user's mistake is one sentence and an exit code, no traceback."""
    if HEAVY & set(sys.argv[1:2]):
        keep_large_blocks(["-m", "nowcast", *sys.argv[1:]])
    try:
        app()
    except NowcastError as error:
        typer.echo(f"nowcast: {error}", err=True)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        typer.echo("nowcast: interrupted", err=True)
        sys.exit(130)
