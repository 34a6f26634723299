"""Making ahead what the first look at a forecast takes longest for."""

from __future__ import annotations

import threading
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from nowcast.field.errors import NowcastError
from nowcast.products.description import stamp
from nowcast.web.geography import geography_of
from nowcast.web.mercator import picture_raster

if TYPE_CHECKING:
    from nowcast.web.gallery import Gallery
    from nowcast.web.opened import Opened


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
        # Not at a lower priority: a thread that is put off holds up those that answer.
        with suppress(NowcastError):
            opened = self.gallery.open(name)
            picture_raster(opened.grid)
            geography_of(opened.grid)
            self._paint(opened)
            opened.series()

    def _paint(self, opened: Opened) -> None:
        """The pictures of the loop in the order in which a page asks for them: from now on."""
        layers, issued = self.gallery.layers(opened), stamp(opened.issued)
        seen = layers["radar"].times if "radar" in layers else ()
        past = [("radar", time) for time in seen if time <= issued]
        for layer, time in (*past[-1:], *(("rate", time) for time in opened.times), *past[:-1]):
            self.gallery.picture(opened.listed.id, layer, time)
