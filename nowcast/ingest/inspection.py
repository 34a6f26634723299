"""What is in a file or folder, told without a forecast."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from nowcast.field import schema
from nowcast.field.errors import MissingFramesError, SourceError
from nowcast.ingest import walk
from nowcast.ingest.archive import Archive
from nowcast.ingest.window import utc
from nowcast.ingest.xarray_engine import open_any

if TYPE_CHECKING:
    from pathlib import Path

    import xarray as xr
    from numpy.typing import NDArray

    from config.feed import FeedProfile
    from nowcast.field.grid import Grid

_SAMPLE = 6
_WET_MM_H = 0.1
_SHOWN = 5


@dataclass(frozen=True)
class Rain:
    """What a sample of frames shows.

    ``wet`` is the share of seen cells with at least 0.1 mm/h, ``unseen`` that of cells without a
    value, ``maximum_mm_h`` the largest rate (None where nothing was seen), before any cap.
    """

    frames: int
    wet: float
    unseen: float
    maximum_mm_h: float | None


@dataclass(frozen=True)
class FeedFrames:
    """The frames of one feed in a folder, or of one file.

    ``gaps`` holds (last before, first after, number missing); ``grids`` has more than one entry
    where frames do not fit together; ``problems`` names sampled files that could not be read.
    """

    feed: str
    title: str
    unit: str
    series: str
    other_series: dict[str, int]
    times: tuple[str, ...]
    cadence_minutes: float | None
    gaps: tuple[tuple[str, str, int], ...]
    grids: tuple[str, ...]
    crs: tuple[str, ...]
    corners_lonlat: dict[str, tuple[float, float]]
    rain: Rain | None
    ignored: tuple[str, ...]
    problems: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        """For the screen."""
        every = f"every {self.cadence_minutes:g} min" if self.cadence_minutes else "no cadence"
        found = [
            f"feed     {self.feed}: {self.title}" + (f" [{self.series}]" if self.series else ""),
            f"frames   {len(self.times)}, {self.times[0]} to {self.times[-1]}, {every}",
            f"gaps     {len(self.gaps) or 'none'}",
        ]
        found += [
            f"         {missing} missing between {after} and {before}"
            for after, before, missing in self.gaps[:_SHOWN]
        ]
        if len(self.gaps) > _SHOWN:
            found.append(f"         and {len(self.gaps) - _SHOWN} more")
        found += [f"grid     {grid}" for grid in self.grids]
        found += [f"crs      {crs}" for crs in self.crs]
        if self.corners_lonlat:
            places = (f"{n} {lon:.3f} {lat:.3f}" for n, (lon, lat) in self.corners_lonlat.items())
            found.append(f"corners  {', '.join(places)} (degrees east and north)")
        found.append(f"unit     {self.unit}, read as mm h-1")
        if self.rain is not None:
            highest = self.rain.maximum_mm_h
            found.append(
                f"rain     wet {self.rain.wet:.1%} of what is seen, unseen {self.rain.unseen:.1%}, "
                + ("nothing seen" if highest is None else f"at most {highest:.4g} mm/h")
                + f" (in {self.rain.frames} frames)"
            )
        found += [f"series   {n} frames of {name} left" for name, n in self.other_series.items()]
        found += [f"ignored  {item}" for item in self.ignored]
        return found + [f"problem  {item}" for item in self.problems]


@dataclass(frozen=True)
class Inspection:
    """All that was found in a path: sequences of radar frames, or else the variables of a file."""

    path: str
    sequences: tuple[FeedFrames, ...] = ()
    variables: dict[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it."""
        return asdict(self)

    def lines(self) -> list[str]:
        """For the screen."""
        found = [f"path     {self.path}"]
        for sequence in self.sequences:
            found += ["", *sequence.lines()] if len(self.sequences) > 1 else sequence.lines()
        return found + [f"variable {name} {text}" for name, text in self.variables.items()]


def inspect_path(
    path: Path,
    *,
    profile: FeedProfile | None = None,
    profiles: Iterable[FeedProfile] = (),
    series: str | None = None,
) -> Inspection:
    """What a file or folder holds: of ``profile``, or of each of ``profiles`` that knows names.

    Where none does, the generic ones look inside the files of a folder; a single file is opened
    whatever it is. Decodes a few frames at most. Raises SourceError where nothing is found.
    """
    if profile is not None:
        return Inspection(str(path), (_sequence(Archive(path, profile, series=series)),))
    if not path.is_dir() or walk.is_store(path):
        known = [p for p in profiles if p.match(path.name) is not None]
        if known:
            return Inspection(str(path), (_sequence(Archive(path, known[0], series=series)),))
        return _opened(path)
    names = [file.name for file in walk.files(path, leave=lambda _reason, _name: None)]
    known, generic = [], []
    for candidate in profiles:
        if candidate.is_generic:
            generic.append(candidate)
        elif any(candidate.match(name) is not None for name in names):
            known.append(candidate)
    found = []
    for candidate in known or generic:
        try:
            found.append(_sequence(Archive(path, candidate, series=series)))
        except MissingFramesError:
            continue
    if not found:
        raise MissingFramesError(
            f"{path}: no radar frames that any feed knows among {len(names)} files"
            + (f", such as {', '.join(names[:3])}" if names else "")
        )
    return Inspection(str(path), tuple(found))


def _sequence(archive: Archive) -> FeedFrames:
    catalogue, profile = archive.catalogue, archive.profile
    step = archive.cadence if profile.cadence_minutes or catalogue.spacing else None
    frames, problems = _sample(archive)
    grids: list[Grid] = []
    for _, grid in frames:
        if not any(grid.same_as(other) for other in grids):
            grids.append(grid)
    return FeedFrames(
        feed=profile.name,
        title=profile.title,
        unit=profile.unit,
        series=catalogue.series,
        other_series=catalogue.others,
        times=tuple(utc(time) for time in catalogue.times),
        cadence_minutes=float(step / np.timedelta64(1, "m")) if step is not None else None,
        gaps=tuple(
            (utc(gap.after), utc(gap.before), gap.missing)
            for gap in (catalogue.gaps(step) if step is not None else ())
        ),
        grids=tuple(map(str, grids)),
        crs=tuple(dict.fromkeys(_crs(grid) for grid in grids)),
        corners_lonlat=_corners(grids[0]) if grids else {},
        rain=_rain([rate for rate, _ in frames]),
        ignored=tuple(map(str, catalogue.ignored)),
        problems=tuple(problems),
    )


def _sample(archive: Archive) -> tuple[list[tuple[NDArray[np.float32], Grid]], list[str]]:
    """A few frames, evenly over the catalogue, as the files hold them; and what went wrong."""
    uncapped = archive.profile.model_copy(update={"maximum_rate_mm_h": None})
    raw = Archive(archive.folder, uncapped, series=archive.series, now=archive.now)
    count = min(_SAMPLE, raw.times.size)
    frames, problems = [], []
    for index in np.unique(np.linspace(0, raw.times.size - 1, count).astype(int)):
        try:
            one = raw.frames_between(raw.times[index], raw.times[index])
        except SourceError as error:
            problems.append(str(error))
            continue
        frames.append((one["rainfall_rate"].values[0], schema.grid_of(one)))
    return frames, problems


def _rain(rates: list[NDArray[np.float32]]) -> Rain | None:
    if not rates:
        return None
    seen = [rate[np.isfinite(rate)] for rate in rates]
    cells, known = sum(rate.size for rate in rates), sum(part.size for part in seen)
    wet = sum(int((part >= _WET_MM_H).sum()) for part in seen)
    return Rain(
        frames=len(rates),
        wet=wet / max(known, 1),
        unseen=1 - known / cells,
        maximum_mm_h=max((float(part.max()) for part in seen if part.size), default=None),
    )


def _crs(grid: Grid) -> str:
    code = grid.crs.to_authority()
    if code is not None:
        return f"{grid.crs.name} ({':'.join(code)})"
    with warnings.catch_warnings():
        # A PROJ string cannot say all that WKT can; for the eye it says enough.
        warnings.simplefilter("ignore", UserWarning)
        return str(grid.crs.to_proj4())


def _corners(grid: Grid) -> dict[str, tuple[float, float]]:
    """Longitude and latitude of the centres of the corner cells."""
    bottom, right = grid.height - 1, grid.width - 1
    places = {"NW": (0, 0), "NE": (0, right), "SW": (bottom, 0), "SE": (bottom, right)}
    return {name: grid.lonlat_of(*place) for name, place in places.items()}


def _opened(path: Path) -> Inspection:
    dataset = open_any(path)
    if "rainfall_rate" in dataset and dataset["rainfall_rate"].dims == ("time", "y", "x"):
        return Inspection(str(path), (_of_frames(dataset),))
    described = {
        str(name): f"({', '.join(f'{d} {n}' for d, n in variable.sizes.items())}) "
        f"{variable.attrs.get('units', '')}".rstrip()
        for name, variable in dataset.data_vars.items()
    }
    return Inspection(str(path), variables=described)


def _of_frames(dataset: xr.Dataset) -> FeedFrames:
    """A file of a known format whose name no feed knows."""
    times = dataset["time"].values
    try:
        grid: Grid | None = schema.grid_of(dataset)
    except SourceError:
        grid = None
    return FeedFrames(
        feed="none by its name",
        title=str(dataset.attrs.get("title", "radar")),
        unit="as the file says",
        series="",
        other_series={},
        times=tuple(utc(time) for time in times),
        cadence_minutes=None,
        gaps=(),
        grids=(str(grid),) if grid else (),
        crs=(_crs(grid),) if grid else (),
        corners_lonlat=_corners(grid) if grid else {},
        rain=_rain(list(dataset["rainfall_rate"].values)),
        ignored=(),
    )
