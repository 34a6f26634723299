"""Listings that are kept by day or hour: which of them a stretch of time needs."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_HOUR = dt.timedelta(hours=1)


def pages(templates: Sequence[str], *, since: dt.datetime, until: dt.datetime) -> list[str]:
    """The templates with the time filled in, hour by hour, each result once, the newest first.

    Both ends count, so that the folder of a day that has just begun is looked into.
    """
    hours = [until]
    while hours[-1] > since:
        hours.append(max(since, hours[-1] - _HOUR))
    return list(
        dict.fromkeys(template.format(time=hour) for hour in hours for template in templates)
    )
