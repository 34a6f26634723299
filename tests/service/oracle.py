"""What must have become of a replay, reckoned from its deliveries and not from the service."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass

import numpy as np

from nowcast.service import published
from nowcast.service.cycles import STANDING, TERMINAL, Cycles
from nowcast.service.ledger import Ledger
from nowcast.service.names import CycleId


@dataclass(frozen=True)
class Verdict:
    """Counts, and everything that is wrong."""

    cycles: int
    feasible: int
    feasible_published: int
    states: dict[str, int]
    wrong: list[str]


def judge(played, frames) -> Verdict:
    """Hold a finished replay against what its feed delivered."""
    late = np.timedelta64(round(played.settings.feed.late_minutes * 60), "s")
    whole, cut = _contents(played.feeder.deliveries)
    times = dict(frames)
    feasible = set()
    by_path = {path: time for time, path in times.items()}
    for delivery in played.feeder.deliveries:
        time = by_path[delivery.source]
        if delivery.form in ("whole", "again", "revised") and delivery.at - time <= late:
            feasible.add(time)
    wrong: list[str] = []
    with Ledger.opened(played.layout.ledger) as ledger:
        wrong += ledger.problems()
        rows = Cycles(ledger).between(frames[0][0], frames[-1][0])
    for row in rows:
        if row.state not in TERMINAL:
            wrong.append(f"{row.id} is {row.state}")
    firsts = Counter(row.id.issue_time for row in rows if row.id.version == 1)
    wrong += [f"{time} has {count} cycles" for time, count in firsts.items() if count != 1]
    standing = {row.id.issue_time for row in rows if row.state in STANDING}
    last = max(feasible)
    wrong += [f"{time} has no cycle" for time in times if time <= last and time not in firsts]
    there = published.cycles(played.layout)
    known = {row.id for row in rows if row.state in STANDING}
    wrong += [f"{cycle} is published, the ledger does not say so" for cycle in set(there) - known]
    for cycle in there:
        wrong += _wrong_with(played, cycle, whole, cut)
    found = published.latest(played.layout)
    if there and (found is None or found.id != max(there)):
        wrong.append(f"latest is {found and found.id}, the newest is {max(there)}")
    return Verdict(
        cycles=len(firsts),
        feasible=len(feasible),
        feasible_published=len(feasible & standing),
        states=dict(Counter(row.state for row in rows)),
        wrong=wrong,
    )


def _contents(deliveries) -> tuple[set[str], set[str]]:
    """The digests of what may be rested on, and of what may not."""
    whole, cut = set(), set()
    for delivery in deliveries:
        content = delivery.source.read_bytes()
        if delivery.form == "cut":
            cut.add(_sha(content[: round(0.6 * len(content))]))
        elif delivery.form == "half":
            cut.add(_sha(content[: round(0.5 * len(content))]))
        else:
            whole.add(_sha(content + b"\n" if delivery.form == "revised" else content))
    return whole, cut


def _wrong_with(played, cycle: CycleId, whole: set[str], cut: set[str]) -> list[str]:
    one = published.open_cycle(played.layout, cycle)
    inputs = set(one.manifest.inputs.values())
    lines = [f"{cycle}: {problem}" for problem in one.problems()]
    if inputs & cut or not inputs <= whole:
        lines.append(f"{cycle} rests on a frame that was never accepted")
    if not inputs:
        lines.append(f"{cycle} names no input")
    return lines


def _sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
