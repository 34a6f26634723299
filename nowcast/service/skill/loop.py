"""The closed loop: every published forecast is scored when its truth arrives.

``SkillChore`` does it a piece at a time while no live cycle is due: first the rivals of a forecast,
then all leads that are valid at the time of a frame, then what is made of the sums: tables of the
days, and the decision which method to prefer. What is heavy runs in a child process; what it found
is stored by this process in one transaction, so that a kill at any moment loses at most a piece,
which is done again.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from nowcast.field.errors import NowcastError
from nowcast.service.child import Limits, call
from nowcast.service.hooks import Event
from nowcast.service.skill import rivals
from nowcast.service.skill.forecasts import published_forecasts
from nowcast.service.skill.judging import DueLead, Measure, judge

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from nowcast.service.forecasting import Recipe
    from nowcast.service.hooks import Listener
    from nowcast.service.layout import Layout
    from nowcast.service.skill.forecasts import Accepted, PublishedForecast
    from nowcast.service.skill.keepers import Keeper
    from nowcast.service.skill.rivals import Rivals
    from nowcast.service.skill.store import SkillStore

_SLACK = np.timedelta64(30, "s")  # a frame's time and a lead's may differ by that much


@dataclass(frozen=True)
class SkillSettings:
    """How far the closed loop goes.

    Attributes:
        measure: thresholds and scales.
        backlog_hours: forecasts that were issued further back are not scored any more.
        limits: of a child process.

    """

    measure: Measure = field(default_factory=Measure)
    backlog_hours: float = 24.0
    limits: Limits = field(default_factory=lambda: Limits(seconds=180.0, niceness=10))


class _Open(NamedTuple):
    """A published forecast of which leads are still to be scored; its rivals, if made."""

    published: PublishedForecast
    rivals: Rivals | None
    leads: tuple[int, ...]  # s, not yet scored


@dataclass
class SkillChore:
    """The closed loop as a chore of the service.

    Attributes:
        layout: where things lie.
        store: where the sums go.
        accepted: gives the frames that are accepted now.
        recipe: makes methods of names.
        methods: to compare. MIM is one of them, so that it is scored while another method is
            published and can come back.
        settings: how far to go.
        keepers: work that follows when everything is scored.
        listeners: are told what was scored, and what could not be.

    """

    layout: Layout
    store: SkillStore
    accepted: Callable[[], Accepted]
    recipe: Recipe
    methods: tuple[str, ...] = ("mim", "extrapolation", "persistence")
    settings: SkillSettings = field(default_factory=SkillSettings)
    keepers: tuple[Keeper, ...] = ()
    listeners: tuple[Listener, ...] = ()
    # What failed is tried again after a restart, not every few seconds.
    _given_up: set[tuple[str, int]] = field(default_factory=set)

    @property
    def name(self) -> str:
        """The chore in logs."""
        return "skill"

    @property
    def shadow(self) -> Path:
        """The folder of what the other methods would have said."""
        return self.layout.root / "shadow"

    def work(self, now: np.datetime64) -> bool:
        """Do one piece of the loop; whether there was any to do.

        Raises StoreError where sums cannot be kept. A forecast that cannot be scored is told to the
        listeners, and the others go on.
        """
        opened = self._open(now)
        return (
            self._make_rivals(opened)
            or self._judge(opened)
            or self._tidy(opened)
            or any(keeper.keep(now) for keeper in self.keepers)
        )

    def _open(self, now: np.datetime64) -> list[_Open]:
        """What may have leads to score, newest first."""
        since = now - np.timedelta64(round(self.settings.backlog_hours * 3600), "s")
        scored = self.store.scored_leads(since=since)
        opened = []
        for one in reversed(published_forecasts(self.layout.published, since=since)):
            done = scored.get(one.cycle, set())
            made = rivals.read_rivals(self.shadow / one.cycle)
            if made is not None:
                left = tuple(lead for lead in made.lead_seconds if lead not in done)
                opened.append(_Open(one, made, left))
            elif not done:  # else all leads were scored, and the rivals went
                opened.append(_Open(one, None, ()))
        return opened

    def _make_rivals(self, opened: list[_Open]) -> bool:
        """The rivals of the newest forecast that has none."""
        for published, made, _ in opened:
            if made is None and (published.cycle, 0) not in self._given_up:
                self._make_rivals_of(published)
                return True
        return False

    def _make_rivals_of(self, published: PublishedForecast) -> None:
        into, limits = self.shadow / published.cycle, self.settings.limits
        try:
            made = call(
                rivals.make_rivals,
                published,
                self.accepted(),
                self.recipe,
                self.methods,
                into,
                limits=limits,
            )
        except NowcastError as error:
            self._give_up(published.cycle, 0, str(error))
            return
        for method, problem in made.problems.items():
            self._tell("rival lacking", published.cycle, method=method, reason=problem)

    def _judge(self, opened: list[_Open]) -> bool:
        """Score all leads that are valid at one time, the newest of those whose frame has come."""
        due: dict[np.datetime64, list[DueLead]] = {}
        for published, made, leads in opened:
            if made is None:
                continue
            for lead in leads:
                if (published.cycle, lead) not in self._given_up:
                    one = self._due(published, made, lead)
                    due.setdefault(published.issued + one.lead, []).append(one)
        if not due:
            return False
        accepted = self.accepted()
        times = np.array([one.valid_time for one in accepted.inputs], dtype="datetime64[ns]")
        for valid in sorted(due, reverse=True):
            if (np.abs(times - valid) <= _SLACK).any():
                self._judge_time(valid, due[valid], accepted)
                return True
        return False

    def _due(self, published: PublishedForecast, made: Rivals, lead: int) -> DueLead:
        folder = self.shadow / published.cycle
        files = {method: folder / f"{method}.nc" for method in made.methods}
        span = np.timedelta64(lead, "s")
        return DueLead(published, span, files | {published.method: published.path})

    def _judge_time(self, valid: np.datetime64, due: list[DueLead], accepted: Accepted) -> None:
        limits, measure = self.settings.limits, self.settings.measure
        try:
            judged = call(judge, due, valid, accepted, measure, limits=limits)
        except NowcastError as error:
            for one in due:
                self._give_up(one.published.cycle, _in_seconds(one.lead), str(error))
            return
        self.store.add(judged.scored)
        for scored in judged.scored:
            self._tell("lead scored", scored.cycle, lead_seconds=_in_seconds(scored.lead))
        for one in due:
            if (reason := judged.problems.get(one.published.cycle)) is not None:
                self._give_up(one.published.cycle, _in_seconds(one.lead), reason)

    def _tidy(self, opened: list[_Open]) -> bool:
        """Remove rivals that are not needed any more; no work worth another round."""
        needed = {one.published.cycle for one in opened if one.leads}
        if self.shadow.is_dir():
            rivals.sweep(self.shadow)
            for folder in self.shadow.iterdir():
                if folder.is_dir() and folder.name not in needed:
                    rivals.remove_rivals(folder)
        return False

    def _give_up(self, cycle: str, lead: int, reason: str) -> None:
        self._given_up.add((cycle, lead))
        self._tell("lead not scored", cycle, lead_seconds=lead, reason=reason)

    def _tell(self, kind: str, cycle: str, **facts: object) -> None:
        for listener in self.listeners:
            listener(Event(kind, cycle, facts))


def _in_seconds(lead: np.timedelta64) -> int:
    return int(lead / np.timedelta64(1, "s"))
