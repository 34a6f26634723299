"""An archive played as if it came in now, on time or not, whole or not."""

from __future__ import annotations

import json
import random
import shutil
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from nowcast.field.atomic import make_folder, written_beside
from nowcast.field.errors import MissingFramesError
from nowcast.service.clock import from_iso, iso, seconds

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from nowcast.service.clock import Clock, ManualClock
    from nowcast.service.reconcile import Service

Form = Literal["whole", "half", "cut", "again", "revised"]
# Files that a feed would have cleared away long ago.
_SWEEP_AFTER = np.timedelta64(12, "h")


class Delivery(NamedTuple):
    """A file that arrives.

    Attributes:
        at: when.
        source: what it is a copy of.
        form: ``whole``; ``half`` of it, the rest of which comes later; ``cut``, for good; the same
            ``again`` under another time of writing; or ``revised``: other bytes, the same frame.

    """

    at: np.datetime64
    source: Path
    form: Form


@dataclass(frozen=True)
class Faults:
    """How a feed misbehaves: shares of its frames, drawn at random from a seed.

    Attributes:
        late: come 6 to 25 minutes after the others of their time.
        duplicate: come twice.
        corrupt: are cut short, and stay so.
        missing: never come.
        revised: come again with other bytes within 20 minutes.
        partial: are seen while they are still being written.
        seed: of the draw.

    """

    late: float = 0.0
    duplicate: float = 0.0
    corrupt: float = 0.0
    missing: float = 0.0
    revised: float = 0.0
    partial: float = 0.0
    seed: int = 0

    def deliveries(
        self, frames: Iterable[tuple[np.datetime64, Path]], *, delay_seconds: float = 90.0
    ) -> list[Delivery]:
        """When the files of some valid times arrive, in order of arrival."""
        draw = random.Random(self.seed)
        found: list[Delivery] = []
        for time, path in frames:
            found += self._one(time + seconds(delay_seconds), path, draw)
        return sorted(found)

    def _one(self, at: np.datetime64, path: Path, draw: random.Random) -> Iterator[Delivery]:
        if draw.random() < self.missing:
            return
        if draw.random() < self.late:
            at += seconds(draw.uniform(360, 1500))
        if draw.random() < self.corrupt:
            yield Delivery(at, path, "cut")
            return
        if draw.random() < self.partial:
            yield Delivery(at, path, "half")
            at += seconds(draw.uniform(5, 40))
        yield Delivery(at, path, "whole")
        if draw.random() < self.duplicate:
            yield Delivery(at + seconds(draw.uniform(10, 900)), path, "again")
        if draw.random() < self.revised:
            yield Delivery(at + seconds(draw.uniform(60, 1200)), path, "revised")


# What feeds are like on a bad week.
USUAL_FAULTS = Faults(
    late=0.10, duplicate=0.05, corrupt=0.03, missing=0.02, revised=0.02, partial=0.05
)


@dataclass
class Feeder:
    """Brings deliveries into a folder when their time has come.

    Attributes:
        deliveries: in order of arrival.
        folder: where they go.
        clock: says when.
        note: where it is written down how far it has come, so that a process that was killed goes
            on from there.

    """

    deliveries: Sequence[Delivery]
    folder: Path
    clock: Clock
    note: Path
    done: int = 0
    _swept: np.datetime64 | None = field(default=None)

    def __post_init__(self) -> None:
        make_folder(self.folder)
        make_folder(self.note.parent)
        self.done, _ = progress(self.note)

    def __call__(self) -> None:
        """Deliver what is due."""
        now = self.clock.now()
        before = self.done
        while self.done < len(self.deliveries) and self.deliveries[self.done].at <= now:
            self._deliver(self.deliveries[self.done])
            self.done += 1
        if self.done != before:
            note = {"done": self.done, "now": iso(now)}
            beside = self.note.with_suffix(".new")
            beside.write_text(json.dumps(note), encoding="utf-8")
            beside.replace(self.note)
        self._sweep(now)

    @property
    def next_at(self) -> np.datetime64 | None:
        """When the next file comes; None after the last."""
        return self.deliveries[self.done].at if self.done < len(self.deliveries) else None

    def _deliver(self, delivery: Delivery) -> None:
        to = self.folder / delivery.source.name
        if delivery.source.is_dir():
            with written_beside(to) as beside:
                shutil.copytree(delivery.source, beside)
            return
        content = delivery.source.read_bytes()
        share = {"half": 0.5, "cut": 0.6}.get(delivery.form, 1.0)
        content = content[: round(share * len(content))]
        if delivery.form == "revised":
            content += b"\n"
        beside = to.with_name(f".{to.name}")
        beside.write_bytes(content)
        beside.replace(to)

    def _sweep(self, now: np.datetime64) -> None:
        """Clear away what was delivered long ago, as feeds do."""
        if self._swept is not None and now - self._swept < _SWEEP_AFTER:
            return
        self._swept = now
        recent = {one.source.name for one in self.deliveries if one.at > now - _SWEEP_AFTER}
        for path in self.folder.iterdir():
            if path.name not in recent and path.is_file():
                path.unlink(missing_ok=True)


def progress(note: Path) -> tuple[int, np.datetime64 | None]:
    """How many deliveries were made, and what time it was; nothing and None before the first."""
    try:
        told = json.loads(note.read_text(encoding="utf-8"))
        return int(told["done"]), from_iso(str(told["now"]))
    except (OSError, ValueError, KeyError, TypeError):
        return 0, None


def played(
    frames: Iterable[tuple[np.datetime64, Path]],
    *,
    start: np.datetime64,
    stop: np.datetime64,
    before: np.timedelta64,
) -> list[tuple[np.datetime64, Path]]:
    """The frames to play: from ``start`` to ``stop``, and those just before that these rest on.

    Raises MissingFramesError where there is none.
    """
    chosen = [(time, path) for time, path in frames if start - before <= time <= stop]
    if not chosen:
        raise MissingFramesError(f"no frame from {iso(start)} to {iso(stop)} to play")
    return chosen


def as_fast_as_can_be(
    service: Service, clock: ManualClock, feeder: Feeder, *, until: np.datetime64
) -> None:
    """Tick and let time pass, without waiting, until all is settled or the time has come."""
    while clock.now() < until:
        status = service.tick()
        states = status.states
        open_cycles = sum(states[state] for state in ("waiting", "ready", "running"))
        if feeder.next_at is None and not open_cycles and not status.waiting_files:
            return
        clock.advance(_pause(clock.now(), feeder.next_at))


def _pause(now: np.datetime64, due: np.datetime64 | None) -> float:
    """Seconds until there may be something to do: short where a file is just coming."""
    if due is None:
        return 30.0
    return float(np.clip((due - now) / np.timedelta64(1, "s"), 2.0, 30.0))
