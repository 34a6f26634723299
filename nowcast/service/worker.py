"""The ladder: each rung in a child process of its own, until one gives a forecast.

A method that hangs, crashes or eats the memory takes its child with it; the next one begins in a
fresh child.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from nowcast.field.atomic import make_folder
from nowcast.field.errors import ChildError, MethodError
from nowcast.service import crash
from nowcast.service.forecasting import make
from nowcast.service.hooks import Event
from nowcast.service.publish import remove

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from nowcast.service.aside import Call
    from nowcast.service.child import Limits
    from nowcast.service.forecasting import Made, Order, Recipe
    from nowcast.service.hooks import Listener


@dataclass(frozen=True)
class Worker:
    """Makes forecasts.

    Attributes:
        methods: the ladder, best first.
        recipe: makes things of names in the child.
        call: how functions are called there.
        first, later: the limits of the first rung, and of each later one.
        heard: is told of children that die and of rungs that do not answer.

    """

    methods: tuple[str, ...]
    recipe: Recipe
    call: Call
    first: Limits
    later: Limits
    heard: Listener

    @property
    def patience_seconds(self) -> float:
        """How long a forecast can take when every rung uses up its time."""
        return self.first.seconds + (len(self.methods) - 1) * self.later.seconds

    def make(self, order: Order, staged: Path, preferred: tuple[str, str] = ("", "")) -> Made:
        """A forecast, its files in the staged folder.

        ``preferred`` names the method to begin with instead of the first, and says why. Raises
        MethodError where no rung answers, ChildError where one of them died rather than decline,
        SourceError (frames) and ProductError (disk).
        """
        method, why = preferred
        ladder = self._ladder(method)
        reasons = [why] if why and ladder[0] != self.methods[0] else []
        died = False
        for position, rung in enumerate(ladder):
            limits = self.first if position == 0 else self.later
            remove(staged)
            make_folder(staged)
            try:
                made: Made = self.call(
                    make, order, rung, self.recipe, reasons, staged, limits=limits
                )
            except (MethodError, ChildError) as error:
                reasons.append(f"{rung}: {error}")
                died |= isinstance(error, ChildError)
                self._tell(order, rung, error)
                continue
            crash.at("forecast.made")
            return made
        said = f"no method could answer: {'; '.join(reasons)}"
        raise ChildError(said) if died else MethodError(said)

    def _ladder(self, preferred: str) -> Sequence[str]:
        """The methods in the order in which they are tried."""
        if preferred not in self.methods:
            return self.methods
        return self.methods[self.methods.index(preferred) :]

    def _tell(self, order: Order, rung: str, error: MethodError | ChildError) -> None:
        kind = "child died" if isinstance(error, ChildError) else "rung failed"
        facts = {"what": rung, "reason": str(error), "kind": type(error).__name__}
        self.heard(Event(kind, str(order.cycle), facts))
