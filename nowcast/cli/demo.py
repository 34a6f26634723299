"""``nowcast demo``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nowcast.cli.common import progress, say


def add_to(app: typer.Typer) -> None:
    """Join the command to the program."""
    app.command()(demo)


def demo(
    out: Annotated[Path, typer.Option("--out", help="Folder to write into.")] = Path("demo"),
) -> None:
    """Run the main job on a simulated storm: archive, forecasts, maps, animation, scores.

    Needs no network and no data. The storm is simulated, and every picture says so.

    Example:

        nowcast demo --out demo
    """
    from nowcast import build
    from nowcast import demonstration as shown
    from nowcast.cli.scores import scored
    from nowcast.hindcast import Hindcast
    from nowcast.pictures import draw_beside_observation, draw_pictures
    from nowcast.products.reading import read_forecast

    say("1/4  writing a SIMULATED storm as ODIM HDF5 files: no radar saw it")
    with progress("writing", shown.FRAMES) as advance:
        simulated = shown.write_archive(out / "archive", heard=advance)
    source = build.archive("odim", simulated.folder)

    say(f"2/4  forecasting {len(simulated.issue_times)} times with {', '.join(shown.METHODS)}")
    hindcast = Hindcast(
        source=source,
        nowcasters=build.methods(shown.METHODS, build.MethodOptions()),
        steps=shown.LEADS,
        out=out / "forecasts",
    )
    with progress("forecasting", len(simulated.issue_times) * len(shown.METHODS)) as advance:
        for done in hindcast.run(simulated.issue_times):
            advance(done.method)
            if done.problem:
                say(f"no forecast: {done.method}: {done.problem}")

    say("3/4  scoring all methods on the same pixels")
    scored(out / "forecasts", source, methods=shown.METHODS)

    say("4/4  drawing the maps and the animation of the last forecast")
    issued = simulated.issue_times[-1]
    forecasts = [read_forecast(hindcast.path(method, issued)) for method in shown.METHODS]
    past = source.read(end=issued, frames=6)
    for path in draw_pictures(forecasts[0], into=out / "maps", past=past):
        typer.echo(str(path))
    observed = source.frames_between(issued, source.latest)
    typer.echo(
        str(draw_beside_observation(forecasts, observed, path=out / "maps" / "comparison.png"))
    )
    say(f"Look at {out / 'maps'} and {out / 'forecasts'}. The storm is simulated.")
