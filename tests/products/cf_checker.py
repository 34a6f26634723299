"""The compliance checker of IOOS, at its strictest, on a file of ours."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from compliance_checker.suite import CheckSuite


def findings(path: Path, checker: str = "cf:1.11") -> list[str]:
    """What the checker finds fault with, errors and warnings alike."""
    suite = _suite()
    dataset = suite.load_dataset(str(path))
    try:
        ((results, failures),) = suite.run_all(dataset, [checker], [], []).values()
    finally:
        dataset.close()
    assert not failures, failures
    assert len(results) > 5
    faults = []
    for result in results:
        scored = isinstance(result.value, tuple)
        passed = result.value[0] == result.value[1] if scored else bool(result.value)
        if not passed:
            faults += [f"{result.name}: {text}" for text in result.msgs or ["no message"]]
    return faults


@cache
def _suite() -> CheckSuite:
    CheckSuite.load_all_available_checkers()
    return CheckSuite()
