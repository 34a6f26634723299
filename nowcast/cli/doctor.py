"""``nowcast doctor``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

MARKS = {"good": "ok  ", "note": "note", "bad": "BAD "}


def add_to(app: typer.Typer) -> None:
    """Join the command to the program."""
    app.command()(doctor)


def doctor(
    out: Annotated[Path, typer.Option(help="Where forecasts are to be written.")] = Path(),
    config: Annotated[
        Path | None, typer.Option("--config", help="Settings of a service, to look at it too.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say what is wrong with this installation and how to mend it; exit code 1 if anything is.

    Example:

        nowcast doctor

        nowcast doctor --json
    """
    from dataclasses import asdict

    from nowcast.diagnose import examine

    findings = list(examine(out))
    if config is not None:
        from nowcast.diagnose_service import examine_service

        findings += examine_service(config)
    if as_json:
        typer.echo(json.dumps([asdict(finding) for finding in findings], indent=2))
    else:
        for finding in findings:
            typer.echo(f"{MARKS[finding.verdict]}  {finding.check}: {finding.found}")
            if finding.mend:
                typer.echo(f"      mend: {finding.mend}")
    if any(finding.verdict == "bad" for finding in findings):
        raise typer.Exit(1)
