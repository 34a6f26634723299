"""Where things lie in the service's folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

MANIFEST = "MANIFEST.json"


@dataclass(frozen=True)
class Layout:
    """The folder of one service.

    ::

        state/ledger.sqlite      frames and cycles
        state/lock               held by the service that works here
        frames/TIME.SHA/NAME     copies of the accepted files: what forecasts rest on
        quarantine/NAME          refused files, and NAME.reason.json beside each
        staging/CYCLE.XXXXXXXX/  being written; emptied at every start
        published/CYCLE/         whole forecasts, never written to again
        maps/CYCLE/              pictures and slower products, which follow
        latest -> published/CYCLE
    """

    root: Path

    @property
    def ledger(self) -> Path:
        """The ledger's file."""
        return self.root / "state" / "ledger.sqlite"

    @property
    def lock(self) -> Path:
        """The file that is locked while a service works here."""
        return self.root / "state" / "lock"

    @property
    def frames(self) -> Path:
        """Accepted files."""
        return self.root / "frames"

    @property
    def quarantine(self) -> Path:
        """Refused files."""
        return self.root / "quarantine"

    @property
    def staging(self) -> Path:
        """What is being written, on the disk of what is published."""
        return self.root / "staging"

    @property
    def published(self) -> Path:
        """Whole forecasts."""
        return self.root / "published"

    @property
    def maps(self) -> Path:
        """What follows them."""
        return self.root / "maps"

    @property
    def latest(self) -> Path:
        """The link to the newest forecast."""
        return self.root / "latest"

    @property
    def folders(self) -> tuple[Path, ...]:
        """The folders that must be there."""
        return (
            self.lock.parent,
            *(self.frames, self.quarantine, self.staging, self.published, self.maps),
        )
