"""Making ahead what the first look at a forecast takes longest for."""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from nowcast.field.errors import NowcastError
from nowcast.web.geography import geography_of
from nowcast.web.mercator import picture_raster

if TYPE_CHECKING:
    from nowcast.web.gallery import Gallery

_NICE = 10  # a forecast that is being made goes before


@dataclass(eq=False)
class Warmer:
    """Readies the newest forecast in the background, as soon as somebody asks which there are.

    Where nobody looks nothing is made. What goes wrong shows when it is asked for.

    Attributes:
        gallery: what is on show.

    """

    gallery: Gallery
    _ready: str = ""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def look(self) -> threading.Thread | None:
        """See to the newest forecast; the thread that is at it, None where it is ready."""
        newest = self.gallery.listed()[:1]
        with self._lock:
            if not newest or newest[0].id == self._ready:
                return None
            self._ready = newest[0].id
        thread = threading.Thread(target=self._make, args=[newest[0].id], name="warm", daemon=True)
        thread.start()
        return thread

    def _make(self, name: str) -> None:
        with suppress(OSError):  # of this thread alone, where the system knows that
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)
        with suppress(NowcastError):
            opened = self.gallery.open(name)
            picture_raster(opened.grid)
            geography_of(opened.grid)
            self.gallery.layers(opened)
            opened.series()
