"""Every alert fires for its fault, on the very numbers that the service answers a scrape with."""

from __future__ import annotations

import shutil
import subprocess
import urllib.request
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from nowcast.service.hooks import Event, Status
from nowcast.service.operators.health import Health, HealthServer
from nowcast.service.operators.metrics import Metrics
from nowcast.service.skill.store import Decision, SkillStore

RULES = Path(__file__).parents[2] / "config/alerts/nowcast.yml"
NOW = np.datetime64("2026-06-01T12:00", "ns")
MINUTE = np.timedelta64(1, "m")
WELL = Status(
    now=NOW,
    tick=0.0,
    tick_seconds=0.1,
    newest_frame=NOW - 2 * MINUTE,
    last_publish=NOW - MINUTE,
    rung="mim",
    states={"published": 8},
)


class Watched:
    """A service's metrics behind its health server, and a clock that is set by hand."""

    def __init__(self, folder: Path) -> None:
        self.passed = 0.0
        self.store = SkillStore(folder / "skill.sqlite")
        self.metrics = Metrics(folder, 300.0, self.store, monotonic=lambda: self.passed)
        # One of each, so that the counters are there before they grow.
        self.hear("frame rejected", kind="Format")
        self.hear("child died", what="mim")
        self.hear("chore failed", chore="skill")
        self.metrics.note(WELL)

    def hear(self, what_happened: str, times: int = 1, /, **facts: object) -> None:
        for _ in range(times):
            self.metrics.hear(Event(what_happened, "20260601T1200Z", facts))

    def stand(self, **changes: object) -> None:
        self.metrics.note(replace(WELL, **changes))

    def scrape(self) -> dict[str, float]:
        """What Prometheus would store: series -> value."""
        with HealthServer(Health(self.metrics), port=0) as server:
            assert server._server is not None
            url = f"http://127.0.0.1:{server._server.server_port}/metrics"
            text = urllib.request.urlopen(url, timeout=10).read().decode()
        return {
            f"{sample.name}{{{labels}}}": sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if not sample.name.endswith("_created")
            for labels in [",".join(f'{k}="{v}"' for k, v in sorted(sample.labels.items()))]
        }


def stall(watched: Watched) -> None:
    watched.passed += 90


FAULTS: dict[str, Callable[[Watched], object]] = {
    "NowcastStalled": stall,
    "NowcastSilent": lambda it: it.stand(last_publish=NOW - 16 * MINUTE),
    "NowcastFeedLate": lambda it: it.stand(newest_frame=NOW - 21 * MINUTE),
    "NowcastCyclesFail": lambda it: it.hear("cycle failed"),
    "NowcastFallback": lambda it: it.stand(rung="persistence"),
    "NowcastMimBeaten": lambda it: it.store.decide(Decision(NOW, "extrapolation", "worse")),
    "NowcastFramesRejected": lambda it: it.hear("frame rejected", 4, kind="Format"),
    "NowcastChildrenDie": lambda it: it.hear("child died", 3, what="mim"),
    "NowcastTicksFail": lambda it: it.hear("tick failed", 4),
    "NowcastChoresFail": lambda it: it.hear("chore failed", 4, chore="skill"),
    "NowcastFetcherEnds": lambda it: it.hear("fetcher ended", 4),
    "NowcastQueue": lambda it: it.stand(states={"ready": 5}),
    "NowcastClockSuspect": lambda it: it.stand(clock_suspect="set back by an hour"),
}
# Faults of the machine, put into the numbers themselves.
IN_NUMBERS = {
    "NowcastDiskShort": {"nowcast_disk_free_ratio{}": 0.04},
    "NowcastNotVerified": {"nowcast_skill_age_seconds{}": 7 * 3600.0},
    "NowcastAbsent": {"nowcast_tick_age_seconds{}": None},
}


@pytest.fixture(scope="module")
def promtool() -> str:
    found = shutil.which("promtool")
    if found is None:
        pytest.skip("no promtool here: apt-get install --no-install-recommends prometheus")
    return found


def rules() -> list[dict]:
    (group,) = yaml.safe_load(RULES.read_text())["groups"]
    return group["rules"]


def series(before: dict[str, float], after: dict[str, float | None]) -> list[dict]:
    """Ten minutes of one scrape a minute, then twenty of the other; None: no longer there."""
    written = []
    for name, early in before.items():
        late = after.get(name, early)
        values = [_number(early)] * 10 + ["stale" if late is None else _number(late)] * 20
        if late is None:
            values[11:] = ["_"] * 19
        written.append({"series": name, "values": " ".join(values)})
    return written


def _number(value: float | None) -> str:
    return "Inf" if value == float("inf") else f"{value:.12g}"


def fires(alerts: list[str], *, count: int) -> list[dict]:
    """After the first ten minutes nothing fires; at the end each of these alerts does."""
    names = "|".join(alerts)
    quiet = {"expr": 'count(ALERTS{alertstate="firing"})', "eval_time": "9m", "exp_samples": []}
    loud = {
        "expr": f'count(count by (alertname) (ALERTS{{alertstate="firing",alertname=~"{names}"}}))',
        "eval_time": "29m",
        "exp_samples": [{"labels": "{}", "value": count}] if count else [],
    }
    return [quiet, loud]


def well_and_ill(folder: Path, fault: Callable[[Watched], object]) -> tuple[dict, dict]:
    watched = Watched(folder)
    before = watched.scrape()
    fault(watched)
    return before | {"nowcast_skill_age_seconds{}": 60.0}, watched.scrape() | {
        "nowcast_skill_age_seconds{}": 60.0
    }


def test_every_alert_fires_for_its_fault_and_for_no_other(promtool: str, tmp_path: Path) -> None:
    cases = []
    for alert, fault in FAULTS.items():
        (folder := tmp_path / alert).mkdir()
        before, after = well_and_ill(folder, fault)
        cases.append((alert, before, after))
    (folder := tmp_path / "machine").mkdir()
    before, _ = well_and_ill(folder, Watched.stand)
    # The first state has plenty of room, whatever the disk of this machine has.
    room = {"nowcast_disk_free_ratio{}": 0.5, "nowcast_disk_free_bytes{}": 5e10}
    cases += [(alert, before, before | numbers) for alert, numbers in IN_NUMBERS.items()]
    tests = []
    for alert, before, after in cases:
        changed = {name: value for name, value in after.items() if before.get(name) != value}
        whole = dict.fromkeys(after, 0.0) | before | room
        tests.append(
            {
                "name": alert,
                "interval": "1m",
                "input_series": series(whole, {**after, **room, **changed}),
                "promql_expr_test": [
                    *fires([alert], count=1),
                    # What fires besides is that alert alone.
                    {
                        "expr": f'count(ALERTS{{alertstate="firing",alertname!="{alert}"}})',
                        "eval_time": "29m",
                        "exp_samples": [],
                    },
                ],
            }
        )
    names = {rule["alert"] for rule in rules()}
    assert {alert for alert, _, _ in cases} == names
    path = tmp_path / "alerts.test.yml"
    path.write_text(
        yaml.safe_dump({"rule_files": [str(RULES)], "evaluation_interval": "1m", "tests": tests})
    )
    told = subprocess.run(
        [promtool, "test", "rules", str(path)], capture_output=True, text=True, check=False
    )
    assert told.returncode == 0, told.stdout + told.stderr


def test_the_rules_are_sound(promtool: str) -> None:
    told = subprocess.run(
        [promtool, "check", "rules", "--lint-fatal", str(RULES)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 0, told.stdout + told.stderr
    runbook = (RULES.parents[2] / "docs/operations.md").read_text()
    assert [rule["alert"] for rule in rules() if rule["alert"] not in runbook] == []
