"""The ledger's pages on input: what was said of each file, and which frame holds for each time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

from nowcast.service.clock import from_iso, iso

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np

    from nowcast.service.ledger import Ledger, Row

Verdict = Literal["accepted", "duplicate", "rejected", "left"]


class FileState(NamedTuple):
    """What tells one state of a file from another without reading it."""

    bytes: int
    written_ns: int


class Frame(NamedTuple):
    """An accepted frame; ``path`` is relative to the service's folder."""

    valid_time: np.datetime64
    revision: int
    sha256: str
    path: str
    seen: np.datetime64


@dataclass(frozen=True)
class Frames:
    """Input as the ledger knows it."""

    ledger: Ledger

    def judged(self) -> Mapping[str, FileState]:
        """The state in which each file was judged, by path."""
        rows = self.ledger.rows("SELECT path, bytes, written_ns FROM file")
        return {str(path): FileState(int(size), int(ns)) for path, size, ns in rows}  # type: ignore[arg-type]

    def judge(
        self, path: str, state: FileState, *, sha256: str, verdict: Verdict, reason: str, now: str
    ) -> None:
        """Keep what is said of a file in that state."""
        self.ledger.change(
            "INSERT OR REPLACE INTO file VALUES (?, ?, ?, ?, ?, ?, ?)",
            (path, *state, sha256, verdict, reason, now),
        )

    def known(self, valid_time: np.datetime64, sha256: str) -> str:
        """The status of a content for a time; empty where it was never seen."""
        rows = self.ledger.rows(
            "SELECT status FROM frame WHERE valid_time = ? AND sha256 = ?",
            (iso(valid_time), sha256),
        )
        return str(rows[0][0]) if rows else ""

    def accept(
        self, valid_time: np.datetime64, *, sha256: str, path: str, size: int, now: np.datetime64
    ) -> int | None:
        """Take a content for a time; its revision, or None where it is the one that was seen."""
        return self._add(valid_time, sha256, path, size, (iso(now), "accepted", ""))

    def reject(
        self, valid_time: np.datetime64, *, sha256: str, size: int, now: np.datetime64, reason: str
    ) -> None:
        """Note a content for a time that nothing may rest on."""
        self._add(valid_time, sha256, "", size, (iso(now), "rejected", reason))

    def newest(self) -> Frame | None:
        """The accepted frame of the latest time."""
        rows = self.ledger.rows(f"{_ACCEPTED} ORDER BY valid_time DESC, revision DESC LIMIT 1")
        return _frame(rows[0]) if rows else None

    def before(self, valid_time: np.datetime64 | None) -> Frame | None:
        """The accepted frame of the latest time before that; None takes the latest of all."""
        if valid_time is None:
            return self.newest()
        rows = self.ledger.rows(
            f"{_ACCEPTED} AND valid_time < ? ORDER BY valid_time DESC, revision DESC LIMIT 1",
            (iso(valid_time),),
        )
        return _frame(rows[0]) if rows else None

    def between(self, start: np.datetime64, stop: np.datetime64) -> list[Frame]:
        """For each time from ``start`` to ``stop``, both included, its newest accepted frame."""
        rows = self.ledger.rows(
            f"{_ACCEPTED} AND valid_time BETWEEN ? AND ? ORDER BY valid_time, revision",
            (iso(start), iso(stop)),
        )
        latest = {row[0]: _frame(row) for row in rows}
        return list(latest.values())

    def refusal(self, valid_time: np.datetime64) -> str:
        """Why the last content for a time that was refused was refused; empty where none was."""
        rows = self.ledger.rows(
            "SELECT reason FROM frame WHERE status = 'rejected' AND valid_time = ? "
            "ORDER BY revision DESC LIMIT 1",
            (iso(valid_time),),
        )
        return str(rows[0][0]) if rows else ""

    def counts(self) -> dict[str, int]:
        """Frames by status."""
        rows = self.ledger.rows("SELECT status, COUNT(*) FROM frame GROUP BY status")
        return {str(status): int(count) for status, count in rows}  # type: ignore[arg-type]

    def forget(self, before: np.datetime64) -> None:
        """Drop what was seen of times, and said of files, before a time."""
        self.ledger.change("DELETE FROM frame WHERE valid_time < ?", (iso(before),))
        self.ledger.change("DELETE FROM file WHERE looked < ?", (iso(before),))

    def _add(
        self,
        valid_time: np.datetime64,
        sha256: str,
        path: str,
        size: int,
        said: tuple[str, str, str],
    ) -> int | None:
        time = iso(valid_time)
        (latest,) = self.ledger.rows(
            "SELECT MAX(revision) FROM frame WHERE valid_time = ?", (time,)
        )
        revision = int(latest[0] or 0) + 1
        added = self.ledger.change(
            "INSERT OR IGNORE INTO frame VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (time, revision, sha256, path, size, *said),
        )
        return revision if added else None


_ACCEPTED = "SELECT valid_time, revision, sha256, path, seen FROM frame WHERE status = 'accepted'"


def _frame(row: Row) -> Frame:
    time, revision, sha256, path, seen = row
    return Frame(
        from_iso(str(time)), int(str(revision)), str(sha256), str(path), from_iso(str(seen))
    )
