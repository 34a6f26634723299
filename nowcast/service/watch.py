"""Tells the service that something stirs in the feed's folder: a hint, never the truth.

Notifications are lost on network disks and when queues overflow, and come before a writer is done.
The tick lists the folder anew whatever this says; without it a frame is found a few seconds later.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from nowcast.service.hooks import Event

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from nowcast.service.hooks import Listener

_RETRY_SECONDS = 5.0


@dataclass
class Watch:
    """Watches a folder on a thread of its own.

    Attributes:
        folder: what is watched, at any depth; it may come later.
        wake: is called when something stirs, and once more when it should have settled.
        settle_seconds: when that is.
        heard: is told when watching is not possible.

    """

    folder: Path
    wake: Callable[[], None]
    settle_seconds: float
    heard: Listener
    _stop: threading.Event = field(default_factory=threading.Event)

    def start(self) -> None:
        """Begin."""
        threading.Thread(target=self._run, name="watch", daemon=True).start()

    def stop(self) -> None:
        """End soon."""
        self._stop.set()

    def _run(self) -> None:
        told = False
        while not self._stop.is_set():
            try:
                if self.folder.is_dir():
                    self._watch()
            except (OSError, RuntimeError) as error:
                if not told:
                    self.heard(Event("watch failed", facts={"reason": str(error)}))
                told = True
            self._stop.wait(_RETRY_SECONDS)

    def _watch(self) -> None:
        import watchfiles  # noqa: PLC0415 - of this thread alone

        settled = self.settle_seconds + 0.05
        for _ in watchfiles.watch(
            self.folder, stop_event=self._stop, debounce=100, step=20, raise_interrupt=False
        ):
            self.wake()
            later = threading.Timer(settled, self.wake)
            later.daemon = True
            later.start()
