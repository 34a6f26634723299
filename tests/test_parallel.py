"""A hindcast gives the same, whoever makes it, and after a worker or all of it was killed."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from nowcast import build, parallel
from nowcast.cli.app import app
from nowcast.demonstration import SimulatedArchive, write_archive
from nowcast.field.errors import MethodError, UsageError
from nowcast.forecast.extrapolation import Extrapolation
from nowcast.forecast.mim import Mim
from nowcast.forecast.persistence import Persistence
from nowcast.forecast.shipped import shipped_weights
from nowcast.hindcast import Hindcast
from nowcast.ingest.simulated import Storm, low_countries
from nowcast.products.reading import read_forecast

METHODS = {"extrapolation": Extrapolation(), "persistence": Persistence()}


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> SimulatedArchive:
    storm = Storm(grid=low_countries(48), motion_m_s=(12.0, 6.0), radar_range_km=40)
    return write_archive(tmp_path_factory.mktemp("archive"), storm=storm)


@pytest.fixture(scope="module")
def alone(
    simulated: SimulatedArchive, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, np.ndarray]:
    """The rates of all forecasts, made one after the other."""
    out = tmp_path_factory.mktemp("alone")
    assert not any(done.problem for done in hindcast(simulated, out).run(simulated.issue_times))
    return rates(out)


def hindcast(simulated: SimulatedArchive, out: Path) -> Hindcast:
    source = build.archive("odim", simulated.folder)
    return Hindcast(source=source, nowcasters=METHODS, steps=3, out=out)


def rates(out: Path) -> dict[str, np.ndarray]:
    return {
        str(path.relative_to(out)): read_forecast(path)["rainfall_rate"].values
        for path in sorted(out.glob("*/*.nc"))
    }


def assert_same(found: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
    assert found.keys() == expected.keys()
    for name, rate in expected.items():
        np.testing.assert_array_equal(found[name], rate)


def test_two_processes(
    simulated: SimulatedArchive, alone: dict[str, np.ndarray], tmp_path: Path
) -> None:
    with parallel.executor(workers=2) as executor:
        done = list(hindcast(simulated, tmp_path).run(simulated.issue_times, executor=executor))
    assert [one.method for one in done] == list(METHODS) * len(simulated.issue_times)
    assert_same(rates(tmp_path), alone)


def test_a_cluster_of_two_workers(
    simulated: SimulatedArchive, alone: dict[str, np.ndarray], tmp_path: Path
) -> None:
    from distributed import LocalCluster

    with (
        LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
        ) as cluster,
        parallel.executor(scheduler=cluster.scheduler_address) as executor,
    ):
        list(hindcast(simulated, tmp_path).run(simulated.issue_times, executor=executor))
    assert_same(rates(tmp_path), alone)


def test_killed_and_run_again(
    simulated: SimulatedArchive, alone: dict[str, np.ndarray], tmp_path: Path
) -> None:
    """kill -9 in the middle: what is there is whole and is kept, the rest is made."""
    times = tmp_path / "times.txt"
    times.write_text("".join(f"{time}Z\n" for time in simulated.issue_times))
    out = tmp_path / "out"
    command = [sys.executable, "-m", "nowcast", "hindcast", "--feed", "odim"]
    command += ["--archive", str(simulated.folder), "--issue-times", str(times), "--leads", "3"]
    command += ["--methods", ",".join(METHODS), "--out", str(out)]
    process = subprocess.Popen(command, start_new_session=True, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not list(out.glob("*/*.nc")) and time.monotonic() < deadline:
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    kept = {path: path.stat().st_mtime_ns for path in out.glob("*/*.nc")}
    assert 0 < len(kept) < len(alone)
    result = CliRunner().invoke(app, command[3:])
    assert result.exit_code == 0, result.output
    assert_same(rates(out), alone)
    assert all(path.stat().st_mtime_ns == written for path, written in kept.items())


def test_a_worker_that_dies_is_told() -> None:
    def work() -> None:
        with parallel.executor(workers=2) as executor:
            assert executor is not None
            executor.submit(os._exit, 1).result()

    with pytest.raises(MethodError, match=r"a worker died.*the forecasts that are done are kept"):
        work()


def test_a_scheduler_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel, "_SCHEDULER_SECONDS", 0.5)
    with (
        pytest.raises(UsageError, match=r"--scheduler tcp://127\.0\.0\.1:9: no dask scheduler"),
        parallel.executor(scheduler="tcp://127.0.0.1:9"),
    ):
        pass


def test_a_method_travels_without_its_weights() -> None:
    loaded = Mim(shipped_weights())
    assert loaded.history > 0
    sent = pickle.dumps(loaded)
    assert len(sent) < 2_000
    assert pickle.loads(sent) == loaded
    assert pickle.loads(sent).history == loaded.history
