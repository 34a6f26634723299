"""``xr.open_dataset(path, engine="nowcast")``: radar, gauges, weather and traffic alike."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from xarray.backends import BackendEntrypoint

# xarray loads every engine when it opens any file: nothing else is imported here.
if TYPE_CHECKING:
    from collections.abc import Iterable

    import xarray as xr


class NowcastBackend(BackendEntrypoint):
    """Opens what the project reads, each format as ``nowcast run`` sees it.

    Radar becomes ``rainfall_rate`` (time, y, x) in mm h-1 with NaN for unseen and 0 for dry;
    weather and traffic become their fields under the same dimensions, gauges their amounts in mm
    (station, time). All in memory.
    """

    description: ClassVar[str] = "Radar, gridded weather and gridded traffic, by mim-nowcast"
    open_dataset_parameters: ClassVar[tuple[str, ...]] = (
        "filename_or_obj",
        "drop_variables",
        "feed",
    )

    def open_dataset(
        self,
        filename_or_obj: Any,
        *,
        drop_variables: str | Iterable[str] | None = None,
        feed: str | None = None,
    ) -> xr.Dataset:
        """The dataset of one file, or of a Zarr store or folder of a known layout.

        ``feed`` names the feed whose reader and settings count; without it they are found by name
        and content. Raises NowcastError.
        """
        dataset = open_any(_path(filename_or_obj), feed=feed)
        names = [drop_variables] if isinstance(drop_variables, str) else list(drop_variables or ())
        return dataset.drop_vars(names, errors="ignore")

    def guess_can_open(self, filename_or_obj: Any) -> bool:
        """Whether a feed knows the name; content that others may open is left to them."""
        if not isinstance(filename_or_obj, str | os.PathLike):
            return False
        from config.feed import FEEDS  # noqa: PLC0415
        from config.load import ConfigError  # noqa: PLC0415

        try:
            profiles = FEEDS.all().values()
        except ConfigError:
            return False
        name = Path(filename_or_obj).name
        return any(profile.match(name) is not None for profile in profiles)


def open_any(path: Path, *, feed: str | None = None) -> xr.Dataset:
    """Radar frames where the path holds some, else gauges, traffic, other ODIM, or weather."""
    from config.feed import FEEDS  # noqa: PLC0415
    from config.load import ConfigError  # noqa: PLC0415
    from nowcast.field.errors import FormatError, MissingFramesError, UsageError  # noqa: PLC0415
    from nowcast.ingest import (  # noqa: PLC0415
        decode,
        gauges,
        gridded_traffic,
        gridded_weather,
        odim_other,
    )

    if not path.exists():
        raise MissingFramesError(f"{path}: no such file or folder")
    try:
        profiles = [FEEDS.named(feed)] if feed else list(FEEDS.all().values())
    except ConfigError as error:
        raise UsageError(str(error)) from error
    if feed:
        stamps = [stamp for _, stamp in decode.named_by(path, profiles)]
        return decode.reader_of(profiles[0]).read(path, stamp=stamps[0] if stamps else None)
    try:
        return decode.open_frames(path, profiles=profiles)
    except FormatError:
        for matches, opened in (
            (gauges.matches, gauges.read_gauges),
            (gridded_traffic.matches, gridded_traffic.open_traffic),
            (odim_other.matches, odim_other.open_other),
            (gridded_weather.matches, gridded_weather.open_weather),
        ):
            if matches(path):
                return opened(path)
        raise


def _path(filename_or_obj: Any) -> Path:
    from nowcast.field.errors import UsageError  # noqa: PLC0415

    if isinstance(filename_or_obj, str | os.PathLike) and "://" not in str(filename_or_obj):
        return Path(filename_or_obj)
    raise UsageError(f"{filename_or_obj!r}: expected the path of a file or folder on disk")
