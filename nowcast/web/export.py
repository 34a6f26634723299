"""The page as a folder of files, for a plain web server or an object store."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from nowcast.field.atomic import make_folder, written_beside
from nowcast.field.errors import MissingFramesError
from nowcast.web import facts
from nowcast.web.drift import motion_facts
from nowcast.web.geography import geography_of
from nowcast.web.page import assets

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from nowcast.web.gallery import Gallery
    from nowcast.web.opened import Opened


def export_site(gallery: Gallery, into: Path, *, newest: int) -> int:
    """Write the page with the newest forecasts; how many files that are.

    The folder appears whole, in place of one that was there. A click on a place reads the colours
    of the pictures there, as there is nobody to ask; readings of gauges are in a file. Raises
    MissingFramesError where there is no forecast, and ProductError.
    """
    names = [one.id for one in gallery.listed()[:newest]]
    if not names:
        raise MissingFramesError("no forecast to make a site of")
    make_folder(into.absolute().parent)
    count = 0
    with written_beside(into.absolute()) as beside:
        for address, body in _contents(gallery, names):
            path = beside / address
            make_folder(path.parent)
            path.write_bytes(body)
            count += 1
    return count


def _contents(gallery: Gallery, names: list[str]) -> Iterator[tuple[str, bytes]]:
    """Address and content of every file."""
    for address, asset in assets().items():
        yield address, asset.body
    index = facts.index_facts(gallery, static=True)
    index["forecasts"] = [one for one in index["forecasts"] if one["id"] in names]
    yield "data/index.json", _json(index)
    yield "data/skill.json", _json(gallery.skill.facts())
    for name in names:
        opened = gallery.open(name)
        for address, body in _forecast(gallery, opened):
            yield f"data/{name}/{address}", body


def _forecast(gallery: Gallery, opened: Opened) -> Iterator[tuple[str, bytes]]:
    yield "forecast.json", _json(facts.forecast_facts(gallery, opened))
    yield "geography.json", _json(geography_of(opened.grid))
    yield "motion.json", _json(motion_facts(opened))
    yield "cells.json", _json(gallery.cells(opened.listed.id))
    yield "gauges.json", _json(gallery.gauges.around(opened))
    for layer in gallery.layers(opened).values():
        for time in layer.times:
            yield f"{layer.id}/{time}.png", gallery.picture(opened.listed.id, layer.id, time)


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
