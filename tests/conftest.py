"""What every test shares: reproducible hypothesis runs, and the folder of real data."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

# The 200 ms deadline fails on the first pyproj transformer; derandomised, a red build stays red.
settings.register_profile("project", deadline=None, derandomize=True, max_examples=40)
settings.load_profile("project")

_ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real radar, traffic and map data; the test is skipped where it is absent."""
    folder = Path(os.environ.get("NOWCAST_SHARED_DATA", _ROOT / "../shared/data")).resolve()
    if not (folder / "radar").is_dir():
        pytest.skip(f"no real data under {folder}: set NOWCAST_SHARED_DATA")
    return folder


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """In CI nothing may skip: a skipped test is a red build."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("NOWCAST_NOTHING_SKIPS") and reporter is not None and exitstatus == 0:
        skipped = reporter.stats.get("skipped", [])
        if skipped:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
            reporter.write_line(f"{len(skipped)} tests skipped, expected none here", red=True)
