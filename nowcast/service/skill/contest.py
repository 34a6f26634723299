"""Whether MIM has lost to a simpler method of late, so that the simpler one is published.

The rule. Over the trailing window, on the same cycles, leads and pixels, MIM is compared with each
simpler method. CSI decides, pooled over the leads: was rain said where it rained? Where CSI cannot
tell, the mean absolute error does. (The error alone would prefer a forecast that dries the field:
it misses all rain, and is close to the truth in most places.) A difference counts only beyond
chance, that is where 0 lies outside the interval of a block bootstrap. So one bad cycle is not
enough, and neither is a short record: below ``minimum_blocks`` blocks nothing is decided.

MIM comes back where it is at least as good again in both scores over the last ``return_hours``, and
no sooner than ``hold_hours`` after it was dropped: what is in doubt stays as it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from nowcast.service.skill.preference import BEST, GateSettings, Preference, preferred
from nowcast.service.skill.store import Decision
from nowcast.verify.bootstrap import Resampling, difference_interval

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from nowcast.service.skill.store import SkillStore
    from nowcast.verify.bootstrap import Interval
    from nowcast.verify.tally import Tally


class Contest(NamedTuple):
    """MIM less another method over some cycles."""

    other: str
    cycles: int
    csi: Interval
    mae: Interval

    @property
    def is_lost(self) -> bool:
        """Whether MIM is worse beyond chance."""
        if _below(self.csi):
            return True
        return not _above(self.csi) and _above(self.mae)

    @property
    def is_level(self) -> bool:
        """Whether MIM is at least as good in what can be told; needs cycles with rain."""
        return bool(self.csi.value >= 0) and bool(self.mae.value <= 0)

    def __str__(self) -> str:
        csi, mae = self.csi, self.mae
        return (
            f"CSI {csi.value:+.3f} ({csi.low:+.3f} to {csi.high:+.3f}), mean absolute error "
            f"{mae.value:+.3f} mm/h ({mae.low:+.3f} to {mae.high:+.3f}) against {self.other} over "
            f"{self.cycles} cycles"
        )


def decide(store: SkillStore, now: np.datetime64, settings: GateSettings) -> Preference:
    """The preference after a look at the sums; a change is kept in the store.

    Raises StoreError where the store cannot be used.
    """
    last = store.decision()
    dropped = last is not None and last.method != BEST
    if last is not None and now - last.decided < _hours(settings.hold_hours):
        return preferred(store)
    look = _taken_back if dropped else _dropped
    return look(store, now, settings)


def contests(tallies: Mapping[str, Sequence[Tally]], settings: GateSettings) -> tuple[Contest, ...]:
    """MIM against each simpler method; none where there are too few cycles to tell."""
    ours = tallies.get(BEST, ())
    if len(ours) < settings.block_cycles * settings.minimum_blocks:
        return ()
    drawn = Resampling(level=settings.level, block_cycles=settings.block_cycles)
    gists = {
        method: [_gist(tally, settings.threshold_mm_h) for tally in tallies[method]]
        for method in (BEST, *settings.simpler)
        if method in tallies
    }
    found = []
    for other in settings.simpler:
        if other in gists:
            csi, mae = (
                difference_interval(gists[BEST], gists[other], score, resampling=drawn)
                for score in (_csi, _mae)
            )
            found.append(Contest(other, len(ours), csi, mae))
    return tuple(found)


def _dropped(store: SkillStore, now: np.datetime64, settings: GateSettings) -> Preference:
    """MIM is dropped where it has lost; the best of those that beat it takes its place."""
    tallies = store.tallies(start=now - _hours(settings.window_hours), stop=now)
    lost = [contest for contest in contests(tallies, settings) if contest.is_lost]
    if not lost:
        return preferred(store)
    # MIM less the other is the least where the other is the best.
    winner = min(lost, key=lambda contest: float(np.nan_to_num(contest.csi.value)))
    reason = f"{BEST} has been worse over {settings.window_hours:g} h: {winner}"
    store.decide(Decision(now, winner.other, reason))
    return Preference(winner.other, reason)


def _taken_back(store: SkillStore, now: np.datetime64, settings: GateSettings) -> Preference:
    """MIM is taken back where it has been level with all simpler methods."""
    tallies = store.tallies(start=now - _hours(settings.return_hours), stop=now)
    held = contests(tallies, settings)
    if not held or not all(contest.is_level for contest in held):
        return preferred(store)
    reason = f"level again over {settings.return_hours:g} h: {'; '.join(map(str, held))}"
    store.decide(Decision(now, BEST, reason))
    return Preference("", "")


def _gist(tally: Tally, threshold_mm_h: float) -> Tally:
    """The sums that a contest looks at, pooled over the leads."""
    apart = np.abs(np.asarray(tally.thresholds_mm_h) - threshold_mm_h)
    nearest = int(apart.argmin())
    table, errors = tally.contingency, tally.errors
    return tally.named(BEST).with_pieces(
        {
            "coverage": tally.coverage,
            "contingency": type(table).of(
                {name: sums[:, nearest].sum(axis=0) for name, sums in table.arrays().items()}
            ),
            "errors": type(errors).of(
                {name: sums.sum(axis=0) for name, sums in errors.arrays().items()}
            ),
        }
    )


def _csi(tally: Tally) -> NDArray[np.float64]:
    return tally.contingency.csi


def _mae(tally: Tally) -> NDArray[np.float64]:
    return tally.errors.mae


def _below(interval: Interval) -> bool:
    return bool(interval.high < 0)


def _above(interval: Interval) -> bool:
    return bool(interval.low > 0)


def _hours(count: float) -> np.timedelta64:
    return np.timedelta64(round(count * 3600), "s")
