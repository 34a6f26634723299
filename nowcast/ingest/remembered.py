"""A scan of an archive, written down: files whose names tell no time are opened once, not again.

A thousand ODIM files take eight seconds to look into. A process that begins again, as a replay does
that was killed, need not do so where nothing in the folder has changed.
"""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from nowcast.field.atomic import make_folder, written_beside
from nowcast.field.errors import ProductError
from nowcast.ingest import walk
from nowcast.ingest.catalogue import AHEAD, Catalogue, Entry, Ignored
from nowcast.ingest.digest import written_state

if TYPE_CHECKING:
    from nowcast.ingest.archive import Archive


def remembered(archive: Archive, note: Path) -> Archive:
    """The archive with its frames listed: from ``note``, or by a scan that is noted there.

    The note holds for the same feed, series and files (names, sizes, times of writing); another,
    or a damaged one, is written anew. A note that cannot be written costs time, and nothing else.
    Raises what ``Catalogue.scan`` raises.
    """
    mark = _mark(archive)
    known = _read(note, mark)
    if known is None:
        known = archive.catalogue
        # Frames ahead of the clock will count one day, without any file having changed.
        if all(left.reason != AHEAD for left in known.ignored):
            with suppress(ProductError):
                _write(note, known, mark)
    return replace(archive, listed=known)


def _mark(archive: Archive) -> str:
    """Differs where the files, or what is asked of them, do."""
    mark = hashlib.sha256(archive.profile.model_dump_json().encode())
    mark.update(f"{archive.folder.absolute()} {archive.series}".encode(errors="surrogateescape"))
    for path in walk.files(archive.folder, leave=lambda *_: None):
        with suppress(OSError):  # gone meanwhile, or a link that leads nowhere
            told = f"\n{path} {written_state(path)}"
            mark.update(told.encode(errors="surrogateescape"))
    return mark.hexdigest()


def _write(note: Path, known: Catalogue, mark: str) -> None:
    told = {
        "mark": mark,
        "folder": str(known.folder),
        "series": known.series,
        "times_ns": known.times.astype(np.int64).tolist(),
        "entries": [(entry.written_ns, str(entry.path), entry.named) for entry in known.entries],
        "others": known.others,
        "ignored": [(left.reason, left.count, left.examples) for left in known.ignored],
    }
    make_folder(note.parent)
    with written_beside(note) as beside:
        beside.write_text(json.dumps(told), encoding="utf-8")


def _read(note: Path, mark: str) -> Catalogue | None:
    """What the note says; None where there is none, or one of other files."""
    try:
        told = json.loads(note.read_text(encoding="utf-8"))
        if told["mark"] != mark:
            return None
        return Catalogue(
            folder=Path(told["folder"]),
            series=told["series"],
            times=np.array(told["times_ns"], dtype=np.int64).astype("datetime64[ns]"),
            entries=tuple(Entry(ns, Path(path), named) for ns, path, named in told["entries"]),
            others=told["others"],
            ignored=tuple(Ignored(why, n, tuple(names)) for why, n, names in told["ignored"]),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None
