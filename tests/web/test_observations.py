"""What the radar saw around a forecast: nothing that had come before it may be missing."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nowcast import build
from nowcast.products.description import stamp
from nowcast.web.observations import Observations
from tests.service.feed_samples import write_frames

HOUR = np.timedelta64(1, "h")


def test_a_newer_forecast_has_all_frames_of_its_past_whatever_was_scanned(tmp_path: Path) -> None:
    """The clock stands still, so nothing but the newer issue time can lead to a scan."""
    written = write_frames(tmp_path / "kept", count=5)
    times = [time for time, _ in written]
    incoming = tmp_path / "incoming"
    incoming.mkdir()
    seen = Observations(build.archive("odim", incoming), monotonic=lambda: 0.0)

    def come(count: int) -> None:
        for _, path in written[:count]:
            (incoming / path.name).write_bytes(path.read_bytes())

    def names(issued: np.datetime64) -> list[str]:
        return list(seen.around(issued, past=HOUR, ahead=HOUR))

    assert names(times[0]) == []  # none has come
    come(3)
    assert names(times[2]) == [stamp(time) for time in times[:3]]
    come(5)
    assert names(times[2]) == [stamp(time) for time in times[:3]]  # not scanned anew
    assert names(times[4]) == [stamp(time) for time in times]
