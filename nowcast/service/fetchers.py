"""The programs that bring files into the feed's folder, kept alive."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from nowcast.service.hooks import Event

if TYPE_CHECKING:
    from nowcast.service.clock import Clock
    from nowcast.service.hooks import Listener, Status

# A fetcher that ends is started again after this, twice as long each time, up to the longest.
_FIRST_REST, _LONGEST_REST = 2.0, 300.0
_GOODBYE_SECONDS = 5.0

Command = tuple[str, ...]


@dataclass
class Fetchers:
    """Child processes that fetch; they end with the service, however it ends.

    Attributes:
        commands: what to run, one a source.
        clock: for pauses.
        heard: is told of those that end.

    """

    commands: Sequence[Command]
    clock: Clock
    heard: Listener
    _running: dict[Command, subprocess.Popen[bytes]] = field(default_factory=dict)
    _due: dict[Command, float] = field(default_factory=dict)
    _rest: dict[Command, float] = field(default_factory=dict)

    def __call__(self, status: Status) -> None:  # noqa: ARG002 - what follows a tick is given it
        """Start what is not running and may be."""
        passed = self.clock.monotonic()
        for command in self.commands:
            process = self._running.get(command)
            if process is not None and process.poll() is None:
                continue
            if process is not None:
                self._mourn(command, process.returncode, passed)
            if passed >= self._due.get(command, passed):
                self._running[command] = self._start(command)

    def stop(self) -> None:
        """End them all."""
        for process in self._running.values():
            process.terminate()
        for process in self._running.values():
            try:
                process.wait(_GOODBYE_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._running.clear()

    def _mourn(self, command: Command, code: int, passed: float) -> None:
        del self._running[command]
        rest = min(_LONGEST_REST, 2 * self._rest.get(command, _FIRST_REST / 2))
        self._rest[command] = rest
        self._due[command] = passed + rest
        facts = {"command": " ".join(command), "code": code, "again_in_seconds": rest}
        self.heard(Event("fetcher ended", facts=facts))

    @staticmethod
    def _start(command: Command) -> subprocess.Popen[bytes]:
        # Its notes go where ours go; it waits for no input.
        tethered = (sys.executable, "-m", "nowcast.service.tether", *command)
        return subprocess.Popen(tethered, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)


def fetch_command(source: str, into: str, *, minutes: float) -> Command:
    """The command that fetches a source into a folder."""
    return (
        *(sys.executable, "-m", "nowcast", "fetch", "--source", source),
        *("--into", into, "--since", f"{max(1, round(minutes))}m"),
    )
