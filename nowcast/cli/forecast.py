"""``nowcast run`` and ``nowcast hindcast``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nowcast.cli import common
from nowcast.cli.common import print_json, progress, say

if TYPE_CHECKING:
    from nowcast.field.schema import Forecast
    from nowcast.products.base import Product

RUN_METHOD_HELP = (
    "mim, extrapolation, persistence, sprog, anvil or steps, and an error where it cannot answer. "
    "Left out: mim, with extrapolation and persistence to stand in."
)


def add_to(app: typer.Typer) -> None:
    """Join the commands to the program."""
    app.command()(run)
    app.command()(hindcast)


def run(
    feed: common.Feed,
    archive: common.ArchiveFolder,
    out: common.Out,
    at: Annotated[str, typer.Option(help="latest, or a UTC time as 2015-05-15T17:20Z.")] = "latest",
    leads: common.Leads = 24,
    method: Annotated[str | None, typer.Option(help=RUN_METHOD_HELP)] = None,
    weights: common.Weights = None,
    device: common.Device = "cpu",
    members: common.Members = None,
    seed: common.Seed = 1,
    series: common.Series = None,
    probabilities: common.Probabilities = True,
    differences: Annotated[
        bool,
        typer.Option(help="Write what MIM's difference memory adds to the rain: growth, decay."),
    ] = False,
    maps: Annotated[bool, typer.Option(help="Draw a map of every lead.")] = True,
    cog: Annotated[bool, typer.Option(help="Write a cloud-optimised GeoTIFF.")] = False,
    zarr: Annotated[bool, typer.Option(help="Write a Zarr store.")] = False,
    stations: Annotated[
        Path | None, typer.Option(help="List of places (CSV, GeoJSON): write their rain too.")
    ] = None,
    as_json: common.AsJson = False,
) -> None:
    """Issue one forecast from an archive: OUT/YYYYmmddTHHMMZ.nc, and its maps beside it.

    Example:

        nowcast run --feed knmi --archive DATA/radar/knmi --leads 12 --out runs/knmi

        nowcast run --feed mch --archive DATA/radar/mch --at 2015-05-15T17:20Z --leads 6 --out runs/mch

        nowcast run --feed openmrg --archive DATA/radar/openmrg --leads 6 --members 10 --out runs/g
    """  # noqa: E501 - an example is one line
    from nowcast import build
    from nowcast.cycle import Cycle
    from nowcast.field.atomic import make_folder

    options = build.MethodOptions(
        weights=weights,
        device=device,
        members=members,
        seed=seed,
        probabilities=probabilities,
        effects=differences,
    )
    nowcaster = build.nowcaster(method, options)
    source = build.archive(feed, archive, series=series)
    issued = build.issue_time(at, source)
    products: tuple[Product, ...] = build.products(maps=maps, cog=cog, zarr=zarr)
    if stations is not None:
        products += build.points(build.stations(stations), source=source)
    for ignored in source.catalogue.ignored:
        say(f"ignored {ignored}")
    cycle = Cycle(source=source, nowcaster=nowcaster, products=products)
    made = cycle.run(issued=issued, steps=leads, into=make_folder(out))
    report = _report(made.forecast, made.written)
    if as_json:
        print_json(report)
        return
    say(f"issued {report['issued']}: {report['source']}")
    if report["degraded_reason"]:
        say(f"degraded: {report['degraded_reason']}")
    for path in made.written:
        typer.echo(str(path))


def _report(forecast: Forecast, written: tuple[Path, ...]) -> dict[str, Any]:
    return {
        "issued": f"{forecast['forecast_reference_time'].values.astype('datetime64[m]')}Z",
        "source": forecast.attrs["source"],
        "degraded_reason": forecast.attrs.get("degraded_reason", ""),
        "leads": forecast.sizes["lead_time"],
        "written": [str(path) for path in written],
    }


def hindcast(
    feed: common.Feed,
    archive: common.ArchiveFolder,
    issue_times: Annotated[
        Path, typer.Option(help="File of UTC times, one a line: 2015-05-15T17:20Z.")
    ],
    out: common.Out,
    methods: Annotated[
        str, typer.Option(help="Methods, separated by commas.")
    ] = "mim,sprog,extrapolation",
    leads: common.Leads = 12,
    weights: common.Weights = None,
    device: common.Device = "cpu",
    members: common.Members = None,
    seed: common.Seed = 1,
    series: common.Series = None,
    probabilities: common.Probabilities = True,
    workers: Annotated[int, typer.Option(min=1, help="Processes that forecast.")] = 1,
    scheduler: Annotated[
        str | None,
        typer.Option(help="A dask scheduler, tcp://HOST:PORT, whose workers forecast instead."),
    ] = None,
    as_json: common.AsJson = False,
) -> None:
    """Forecast at many past times with several methods, and score them: OUT/METHOD/*.nc.

    Forecasts that are there already are kept, so that an interrupted hindcast goes on. The scores
    stand in OUT/scores.csv and OUT/scores.nc.

    Example:

        nowcast hindcast --feed mch --archive DATA/radar/mch --issue-times TIMES --out runs/past
    """
    from nowcast import build, parallel
    from nowcast.field.errors import MissingFramesError
    from nowcast.hindcast import Hindcast

    options = build.MethodOptions(
        weights=weights, device=device, members=members, seed=seed, probabilities=probabilities
    )
    names = [name.strip() for name in methods.split(",") if name.strip()]
    nowcasters = build.methods(names, options)
    times = build.issue_times(issue_times)
    source = build.archive(feed, archive, series=series)
    work = Hindcast(source=source, nowcasters=nowcasters, steps=leads, out=out.absolute())
    problems: list[str] = []
    made = 0
    crew = parallel.executor(workers=workers, scheduler=scheduler)
    with crew as executor, progress("forecasting", len(times) * len(names)) as advance:
        for done in work.run(times, executor=executor):
            advance(f"{done.method} {done.issued.astype('datetime64[m]')}Z")
            made += done.path is not None
            if done.problem:
                problems.append(
                    f"{done.method} at {done.issued.astype('datetime64[m]')}Z: {done.problem}"
                )
    for problem in problems:
        say(f"no forecast: {problem}")
    if not made:
        raise MissingFramesError(f"not one forecast could be made: {problems[0]}")
    from nowcast.cli.scores import scored

    scored(out, source, methods=names, as_json=as_json)
    if problems:
        raise typer.Exit(1)
